"""The connections to one server: TLS, proxies, warm-up, counts."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop

from connectors.providers.openai import OpenAICodec
from connectors.providers.pool import Way, open_connector, proxy_for, tls_of, way_of
from connectors.providers.registry import Registry
from connectors.providers.shell import HttpProvider
from connectors.providers.transport import Connections
from schemas.calls import Missing, Route, Timeouts, Unavailable
from tests.support.calls import always, make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Loopback, Received, Reply
from tests.support.proxy import Proxy
from tests.support.tls import Certificates, make_certificates

TEXT = "Grüße, reader."
QUICK = Timeouts(connect_s=1.0, first_byte_s=2.0, between_bytes_s=2.0, total_s=4.0)


async def good(_received: Received, reply: Reply) -> None:
    await reply.whole(200, wire("openai_text.reply.json"))


def test_the_connection_that_was_used_last_is_used_first_so_that_others_may_idle_out():
    ports: list[int] = []

    async def script(received: Received, reply: Reply) -> None:
        ports.append(reply.writer.get_extra_info("peername")[1])
        if len(ports) <= 3:
            await asyncio.sleep(0.05)  # so that three are under way at once
        await good(received, reply)

    async def main() -> None:
        async with Loopback(script) as server:
            route = make_route(api_base=server.url, timeouts=QUICK)
            provider = HttpProvider(OpenAICodec(), way=way_of(route))
            call = make_call(route=route)
            await asyncio.gather(*(provider.complete(call, None, None, always) for _ in range(3)))
            for _ in range(6):
                await provider.complete(call, None, None, always)
            await provider.close()

    asyncio.run(main())

    assert len(set(ports[:3])) == 3
    assert len(set(ports[3:])) == 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


async def ask(route: Route) -> str:
    provider = HttpProvider(OpenAICodec(), way=way_of(route))
    try:
        return (await provider.complete(make_call(route=route), None, None, always)).text
    finally:
        await provider.close()


def over_tls(certificates: Certificates, asks_for_one: bool = False, **settings: object) -> str:
    """The text of a call to a server with a certificate of our own authority."""

    async def main() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # failed handshakes
        async with Loopback(good, certificates.server(asks_for_one=asks_for_one)) as server:
            return await ask(make_route(api_base=server.url, timeouts=QUICK, **settings))

    return asyncio.run(main())


def test_a_servers_certificate_is_checked_against_the_authorities_of_the_route(certificates: Certificates):
    assert over_tls(certificates, ca_file=certificates.ca_file) == TEXT


def test_a_certificate_of_an_authority_we_do_not_know_is_not_trusted(certificates: Certificates):
    with pytest.raises(Unavailable, match=r"^the server's certificate is not one that we trust$"):
        over_tls(certificates)


@pytest.mark.parametrize("with_file", [False, True])
def test_no_certificate_is_checked_where_the_route_says_so(certificates: Certificates, with_file: bool):
    own = {"client_cert_file": certificates.cert_file} if with_file else {}

    assert over_tls(certificates, verify_tls=False, **own) == TEXT


def test_our_certificate_is_shown_to_a_server_that_asks(certificates: Certificates):
    files = {"ca_file": certificates.ca_file, "client_cert_file": certificates.cert_file}

    assert over_tls(certificates, asks_for_one=True, **files) == TEXT
    with pytest.raises(Unavailable, match=r"the connection (failed|was lost)|server closed|was cut"):
        over_tls(certificates, asks_for_one=True, ca_file=certificates.ca_file)


@pytest.mark.parametrize("name", ["ca_file", "client_cert_file"])
def test_a_file_that_cannot_be_used_is_missing_and_named(tmp_path: Path, name: str):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")

    with pytest.raises(Missing, match=r"empty\.pem can't be used for TLS: not the right PEM"):
        tls_of(Way(**{name: str(empty)}))
    with pytest.raises(Missing, match=r"none\.pem can't be used for TLS: No such file"):
        tls_of(Way(**{name: str(tmp_path / "none.pem")}))


def test_without_files_the_defaults_hold():
    assert tls_of(Way()) is True
    assert tls_of(Way(verify_tls=False)) is False


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_call_goes_through_the_tunnel_of_a_proxy(certificates: Certificates, run: Callable[..., str]):
    heads: list[str] = []

    async def main() -> str:
        async with Loopback(good, certificates.server()) as server, Proxy() as proxy:
            url = proxy.url.replace("//", "//me:secret-word@")
            route = make_route(
                api_base=server.url, proxy=url, ca_file=certificates.ca_file, api_key="k-1", timeouts=QUICK
            )
            said = await ask(route)
            heads.extend(proxy.heads)
            assert heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} ")
            return said

    assert run(main()) == TEXT
    assert len(heads) == 1
    assert "proxy-authorization: basic" in heads[0].lower()
    assert "k-1" not in heads[0]


def test_a_plain_call_is_put_to_the_proxy_as_a_whole():
    async def main() -> list[str]:
        async with Proxy() as proxy:
            route = make_route(api_base="http://nowhere.invalid/v1", proxy=proxy.url, timeouts=QUICK)
            assert await ask(route) == TEXT
            return proxy.heads

    assert asyncio.run(main())[0].startswith("POST http://nowhere.invalid/v1/chat/completions ")


def fails_by(proxy: Proxy) -> str:
    async def main() -> str:
        async with proxy:
            route = make_route(api_base="https://127.0.0.1:1", proxy=proxy.url, timeouts=QUICK)
            with pytest.raises(Unavailable) as caught:
                await ask(route)
            return caught.value.reason

    return asyncio.run(main())


def test_a_proxy_that_does_not_serve_us_is_named_as_the_one_at_fault():
    assert fails_by(Proxy(refuses=407)) == "the proxy refused to connect us"
    assert fails_by(Proxy(silent=True)) == "connect timed out after 1 s"


def test_a_proxy_that_is_away_is_unavailable():
    with pytest.raises(Unavailable, match=r"^the connection to the proxy failed: Connection refused$"):
        asyncio.run(ask(make_route(api_base="https://127.0.0.1:1", proxy="http://127.0.0.1:1")))


@pytest.mark.parametrize(
    ("proxy", "url", "used"),
    [
        (None, "https://api.example/v1", None),
        ("http://own:1", "https://api.example/v1", "http://own:1"),
        ("environment", "https://api.example/v1", "http://secure:1"),
        ("environment", "http://api.example/v1", "http://plain:2"),
        ("environment", "http://user:word@inside.example:80/v1", None),
    ],
)
def test_the_environment_says_the_proxy_only_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, proxy: str | None, url: str, used: str | None
):
    for name, value in {"HTTPS_PROXY": "http://secure:1", "HTTP_PROXY": "http://plain:2"}.items():
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "inside.example")

    assert proxy_for(Way(proxy=proxy), url) == used


def test_a_warm_up_opens_one_connection_and_sends_nothing():
    async def main() -> None:
        async with Loopback(good) as server:
            registry = Registry()
            routes = [make_route("vllm", api_base=server.url, model=name) for name in ("one", "two")]
            await registry.warm([*routes, make_route("extractive")])
            assert (server.connections, server.received) == (1, [])
            assert registry.gauges()["connections_idle:vllm"] == 1

            call = make_call(route=routes[1])
            await registry.of(routes[1]).complete(call, None, None, always)
            assert server.connections == 1
            await registry.close()

    asyncio.run(main())


def test_a_warm_up_that_fails_is_logged_once_and_hurts_nobody(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        registry = Registry()
        away = make_route("vllm", api_base="http://127.0.0.1:1", timeouts=QUICK)
        nowhere = make_route("openai_like")
        with caplog.at_level(logging.WARNING):
            await registry.warm([away, away, nowhere])
        await registry.close()

    asyncio.run(main())

    assert sorted(caplog.messages) == [
        "openai_like:some-model: no connection yet: route `openai_like:some-model` has no api_base",
        "vllm:some-model: no connection yet: the connection failed: Connection refused",
    ]


def test_connections_are_counted_open_idle_and_waited_for():
    go = asyncio.Event()

    async def script(received: Received, reply: Reply) -> None:
        await go.wait()
        await good(received, reply)

    async def main() -> list[dict[str, float]]:
        async with Loopback(script) as server:
            registry = Registry()
            found = [registry.gauges()]
            route = make_route("vllm", api_base=server.url, max_connections=2)
            provider = registry.of(route)
            found.append(registry.gauges())
            call = make_call(route=route)
            calls = [asyncio.create_task(provider.complete(call, None, None, always)) for _ in range(5)]
            async with asyncio.timeout(5):
                while len(server.received) < 2:
                    await asyncio.sleep(0.01)
            found.append(registry.gauges())
            go.set()
            await asyncio.gather(*calls)
            found.append(registry.gauges())
            await registry.close()
            return [*found, registry.gauges()]

    def three(*counts: float) -> dict[str, float]:
        names = ("open", "idle", "waiting")
        return {f"connections_{name}:vllm": count for name, count in zip(names, counts, strict=True)}

    assert asyncio.run(main()) == [{}, three(0, 0, 0), three(2, 0, 3), three(2, 2, 0), {}]


def test_what_is_taken_of_aiohttps_connector_is_there():
    async def main() -> None:
        connector = open_connector(Way(max_connections=3), 1.0)
        assert connector.counts() == Connections(0, 0, 0)
        assert callable(aiohttp.TCPConnector._create_connection)
        await connector.close()

    asyncio.run(main())


def test_routes_with_other_ways_to_a_server_have_other_connections():
    registry, plain = Registry(), make_route("vllm", api_base="http://a")
    others = [
        {"proxy": "http://p:1"},
        {"ca_file": "ca.pem"},
        {"client_cert_file": "c.pem"},
        {"verify_tls": False},
    ]
    found = [
        registry.of(plain),
        *(registry.of(make_route("vllm", api_base="http://a", **one)) for one in others),
    ]

    assert len({id(provider) for provider in found}) == 5
    assert registry.of(make_route("vllm", api_base="http://a", **others[0])) is found[1]


def test_the_context_of_a_pool_wants_a_certificate_of_its_authority(certificates: Certificates):
    context = tls_of(Way(ca_file=certificates.ca_file))

    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_route_shows_neither_the_proxys_password_nor_the_key():
    assert "secret" not in repr(make_route(proxy="http://me:secret@p:1", api_key="sk-secret"))
