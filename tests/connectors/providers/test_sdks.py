"""What `client: sdk` adds to the conformance suite: each SDK's own keys, no retries, TLS, proxies."""

import asyncio
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from google.auth.exceptions import DefaultCredentialsError

from connectors.providers.pool import Way, way_of
from connectors.providers.registry import Registry
from connectors.providers.sdks import open_sdk
from connectors.providers.shell import Shell
from connectors.providers.transport import Connections
from schemas.calls import Missing, ProviderError, Route, Timeouts, Unavailable
from tests.support.calls import FAST, always, make_call, make_route
from tests.support.dialects import SDKS, TEXT, Dialect
from tests.support.loopback import Loopback, Received, Reply, Script
from tests.support.proxy import Proxy
from tests.support.tls import Certificates, make_certificates

ENVIRONMENT = {
    "anthropic": ("ANTHROPIC_API_KEY", "authorization", "Bearer sk-found"),
    "gemini": ("GOOGLE_API_KEY", "x-goog-api-key", "sk-found"),
    "ollama": ("OLLAMA_API_KEY", "authorization", "Bearer sk-found"),
}
QUICK = Timeouts(connect_s=2.0, first_byte_s=2.0, between_bytes_s=2.0, total_s=8.0)
for_each_sdk = pytest.mark.parametrize("dialect", SDKS, ids=lambda dialect: dialect.name)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


async def ask(dialect: Dialect, route: Route) -> str:
    shell = dialect.shell(way_of(route))
    try:
        return (await shell.complete(make_call(route=route), None, None, always)).text
    finally:
        await shell.close()


Outcome = tuple[str | ProviderError, list[Received]]


def outcome(dialect: Dialect, script: Script, **settings: object) -> Outcome:
    """The text or the error of one call, and what the server got."""

    async def main() -> Outcome:
        async with Loopback(script) as server:
            try:
                said: str | ProviderError = await ask(
                    dialect, make_route(dialect.name, api_base=server.url, timeouts=QUICK, **settings)
                )
            except ProviderError as error:
                said = error
            return said, server.received

    return asyncio.run(main())


def good(dialect: Dialect) -> Script:
    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(200, dialect.reply)

    return script


@for_each_sdk
def test_without_a_key_of_the_route_the_sdk_finds_its_own(dialect: Dialect, monkeypatch: pytest.MonkeyPatch):
    variable, header, value = ENVIRONMENT[dialect.name]
    monkeypatch.setenv(variable, "sk-found")

    said, received = outcome(dialect, good(dialect))

    assert said == TEXT
    assert received[0].headers[header] == value


@for_each_sdk
def test_the_routes_key_comes_before_the_sdks(dialect: Dialect, monkeypatch: pytest.MonkeyPatch):
    variable, header, _ = ENVIRONMENT[dialect.name]
    monkeypatch.setenv(variable, "sk-found")

    _, received = outcome(dialect, good(dialect), api_key="sk-secret")

    name, value = dialect.key
    assert received[0].headers[name] == value
    assert "sk-found" not in str(received[0].headers)
    assert header == name or header not in received[0].headers


@for_each_sdk
def test_a_rotated_key_file_works_as_with_our_own_connections(dialect: Dialect, tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("sk-in-a-file\n")

    _, received = outcome(dialect, good(dialect), api_key_file=str(file))

    assert received[0].headers[dialect.key[0]].endswith("sk-in-a-file")


def test_claude_without_any_key_is_missing():
    [claude] = [dialect for dialect in SDKS if dialect.name == "anthropic"]
    said, received = outcome(claude, good(claude))

    assert isinstance(said, Missing)
    assert said.reason == "there is no key, and the SDK found none"
    assert received == []


def test_gemini_without_any_key_is_missing(monkeypatch: pytest.MonkeyPatch):
    def nothing(*_given: object, **_named: object) -> object:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", nothing)
    [gemini] = [dialect for dialect in SDKS if dialect.name == "gemini"]

    said, received = outcome(gemini, good(gemini))

    assert isinstance(said, Missing)
    assert said.reason == "there is no key, and the SDK found none"
    assert received == []


@for_each_sdk
@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_an_sdk_tries_once(dialect: Dialect, status: int):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(status, dialect.error("no"), {"retry-after": "0"})

    said, received = outcome(dialect, script, api_key="sk-secret")

    assert isinstance(said, ProviderError)
    assert said.status == status
    assert len(received) == 1


@for_each_sdk
def test_the_routes_certificates_hold_for_an_sdk(dialect: Dialect, certificates: Certificates):
    async def main() -> list[str]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # failed handshakes
        async with Loopback(good(dialect), certificates.server(asks_for_one=True)) as server:
            own = {"ca_file": certificates.ca_file, "client_cert_file": certificates.cert_file}
            route = make_route(dialect.name, api_base=server.url, api_key="k", timeouts=QUICK, **own)
            said = [await ask(dialect, route)]
            said.append(await ask(dialect, replace(route, ca_file=None, verify_tls=False)))
            with pytest.raises(Unavailable) as caught:
                await ask(dialect, replace(route, ca_file=None))
            return [*said, caught.value.reason]

    assert asyncio.run(main()) == [TEXT, TEXT, "the server's certificate is not one that we trust"]


@for_each_sdk
def test_a_file_for_tls_that_is_not_there_is_missing(dialect: Dialect):
    said, _ = outcome(dialect, good(dialect), api_key="k", ca_file="/nowhere/ca.pem")

    assert isinstance(said, Missing)
    assert "/nowhere/ca.pem" in said.reason


@for_each_sdk
def test_an_sdk_goes_by_the_routes_proxy(dialect: Dialect, certificates: Certificates):
    async def main() -> tuple[str, list[str]]:
        async with Loopback(good(dialect), certificates.server()) as server, Proxy() as proxy:
            route = make_route(
                dialect.name, api_base=server.url, api_key="k", timeouts=QUICK,
                proxy=proxy.url, ca_file=certificates.ca_file,
            )  # fmt: skip
            return await ask(dialect, route), proxy.heads

    said, heads = asyncio.run(main())

    assert said == TEXT
    assert heads[0].startswith("CONNECT 127.0.0.1:")


@for_each_sdk
def test_a_proxy_that_refuses_is_named(dialect: Dialect):
    async def main() -> str:
        async with Proxy(refuses=407) as proxy:
            route = make_route(
                dialect.name, api_base="https://127.0.0.1:1", api_key="k", timeouts=QUICK, proxy=proxy.url
            )
            with pytest.raises(Unavailable) as caught:
                await ask(dialect, route)
            return caught.value.reason

    assert asyncio.run(main()) == "the proxy refused to connect us"


@for_each_sdk
def test_the_environments_proxy_is_not_used_unasked(dialect: Dialect, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert outcome(dialect, good(dialect), api_key="k")[0] == TEXT


@for_each_sdk
def test_calls_under_way_stand_for_an_sdks_connections(dialect: Dialect):
    go = asyncio.Event()

    async def script(_received: Received, reply: Reply) -> None:
        await go.wait()
        await reply.whole(200, dialect.reply)

    async def main() -> list[Connections]:
        async with Loopback(script) as server:
            shell = dialect.shell(Way(4))
            route = make_route(dialect.name, api_base=server.url, api_key="k", timeouts=QUICK)
            await shell.warm(make_call(route=route))
            found = [shell.connections()]
            calls = [
                asyncio.create_task(shell.complete(make_call(route=route), None, None, always))
                for _ in range(3)
            ]
            async with asyncio.timeout(5):
                while len(server.received) < 3:
                    await asyncio.sleep(0.01)
            found.append(shell.connections())
            go.set()
            await asyncio.gather(*calls)
            found.append(shell.connections())
            await shell.close()
            return found

    assert asyncio.run(main()) == [Connections(), Connections(open=3), Connections()]


def hang(*_given: object, **_named: object) -> object:
    raise TimeoutError("timed out")


def test_gemini_sdk_connects_within_its_time(monkeypatch: pytest.MonkeyPatch):
    [gemini] = [dialect for dialect in SDKS if dialect.name == "gemini"]
    monkeypatch.setattr(socket.socket, "connect", hang)
    route = make_route("gemini", api_base="http://127.0.0.1:1", api_key="k", timeouts=FAST)

    with pytest.raises(Unavailable, match=r"^connect timed out after 0\.5 s$"):
        asyncio.run(ask(gemini, route))


def test_the_registry_makes_them_by_the_routes_client():
    registry = Registry()
    ours, sdk = (registry.of(make_route("ollama", client=client)) for client in ("http", "sdk"))

    assert isinstance(sdk, Shell)
    assert sdk is not ours
    with pytest.raises(KeyError):
        registry.of(make_route("vllm", client="sdk"))
    with pytest.raises(KeyError):
        open_sdk("nobody", Way())


def test_no_sdk_is_imported_before_a_route_wants_it():
    program = """
import sys, connectors.providers.registry
assert not {"anthropic", "ollama", "google.generativeai", "httpx"} & set(sys.modules), "imported"
"""

    subprocess.run([sys.executable, "-c", program], check=True)


def test_only_one_module_imports_google_generativeai():
    root = Path(__file__).parents[3]
    files = [file for folder in ("schemas", "flows", "connectors") for file in (root / folder).rglob("*.py")]
    line = re.compile(r"^\s*(import|from) google\.generativeai", re.MULTILINE)

    assert [file.name for file in files if line.search(file.read_text())] == ["sdk_gemini.py"]
