"""A whole gateway in this process: what operators see of it, and how it ends."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from connectors.gateway.parts import GatewaySettings
from connectors.gateway.server import Gateway, Surroundings
from connectors.kafka.broker import EmbeddedBroker
from connectors.process.errors import NotReady
from schemas.metrics import Snapshot
from schemas.topics import METRICS
from tests.support.kafka import Topics, fresh_topics
from tests.support.replying import Replying
from tests.support.tls import make_certificates

LOCAL = GatewaySettings(port=0, drain=timedelta(seconds=0.3))


@pytest.fixture(scope="module")
def shared(broker: EmbeddedBroker) -> Topics:
    return fresh_topics(broker)


@pytest.fixture(scope="module")
def workers(shared: Topics) -> Generator[Replying]:
    with Replying(shared.cluster) as replying:
        yield replying


@dataclass
class Running:
    """A gateway that serves."""

    url: str
    session: aiohttp.ClientSession
    keys: list[str] = field(default_factory=list[str])

    async def get(self, path: str, key: str = "", **more: Any) -> tuple[int, str]:
        """Status and text."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with self.session.get(self.url + path, headers=headers, **more) as answer:
            return answer.status, await answer.text()


def run(
    topics: Topics, test: Callable[[Running], Awaitable[None]], settings: GatewaySettings = LOCAL
) -> list[str]:
    """Serve while a test runs, then end by SIGTERM; the keys that were shown."""
    keys: list[str] = []

    async def whole() -> None:
        said: asyncio.Queue[str] = asyncio.Queue()
        around = Surroundings(os.environ, lambda: [{"id": "auto"}], len, said.put_nowait)
        serving = asyncio.create_task(Gateway(topics.cluster, settings, around).serve(keys.append))
        url = asyncio.create_task(said.get())
        await asyncio.wait([serving, url], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            await test(Running(url.result(), session, keys))
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(15):
                await serving

    asyncio.run(whole())
    return keys


def test_first_start_shows_one_admin_key_and_later_ones_none(topics: Topics):
    async def look(gateway: Running) -> None:
        status, text = await gateway.get("/api/me", gateway.keys[0] if gateway.keys else "")
        assert status == (200 if gateway.keys else 401), text

    assert len(run(topics, look)) == 1
    assert run(topics, look) == []


def test_operators_see_that_it_lives_is_ready_and_what_it_counted(shared: Topics, workers: Replying):
    async def look(gateway: Running) -> None:
        assert await gateway.get("/healthz") == (200, '{"status":"ok"}')
        assert await gateway.get("/readyz") == (200, '{"status":"ready"}')
        status, text = await gateway.get("/metrics")
        assert status == 200
        assert "# TYPE weir_gateway_streams gauge\nweir_gateway_streams 0\n" in text
        assert "# TYPE weir_gateway_foreign_records_total counter" in text
        await asyncio.sleep(1.2)

    run(shared, look)
    snapshots = [Snapshot.model_validate_json(record.value) for record in shared.consume(METRICS, 1)]
    assert snapshots[0].role == "gateway"
    assert "streams" in snapshots[0].gauges


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/no/such", 404, "not_found"), ("/healthz/x", 404, "not_found"), ("/v1/no", 404, "not_found")],
)
def test_what_is_not_there_is_told_as_an_error_object(shared: Topics, path: str, status: int, code: str):
    async def look(gateway: Running) -> None:
        found, text = await gateway.get(path)
        assert (found, orjson.loads(text)["error"]["code"]) == (status, code)

    run(shared, look)


def test_a_wrong_method_is_told(shared: Topics):
    async def look(gateway: Running) -> None:
        async with gateway.session.post(f"{gateway.url}/healthz") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (405, "method_not_allowed")

    run(shared, look)


def test_streams_that_are_open_when_it_stops_end_with_an_error_after_the_drain(topics: Topics):
    async def look(gateway: Running) -> None:
        body = {
            "model": "auto", "stream": True, "messages": [{"role": "user", "content": "hi"}],
            "metadata": {"chunks": 100, "every_ms": 100},
        }  # fmt: skip
        headers = {"authorization": f"Bearer {gateway.keys[0]}"}
        url = f"{gateway.url}/v1/chat/completions"
        async with gateway.session.post(url, json=body, headers=headers) as answer:
            lines = aiter(answer.content)
            while b"0 ..." not in await anext(lines):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            rest = [line async for line in lines if line.startswith(b"data: ")]
        assert b"the gateway stops" in b"".join(rest)
        assert b"[DONE]" not in rest[-1] or b"error" in rest[-2]

    with Replying(topics.cluster):
        run(topics, look)


def test_beyond_loopback_nothing_listens_before_there_are_keys(topics: Topics):
    async def look(_: Running) -> None:
        pytest.fail("it listens")

    with pytest.raises(NotReady, match="there are no keys yet"):
        run(topics, look, replace(LOCAL, host="0.0.0.0"))


def test_an_address_that_is_taken_is_told(shared: Topics):
    async def look(_: Running) -> None:
        pytest.fail("it listens")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NotReady, match=rf"can't listen at 127.0.0.1:{port}.*WEIR_GATEWAY_PORT"):
            run(shared, look, replace(LOCAL, port=port))


def test_with_a_certificate_it_speaks_https(shared: Topics, tmp_path: Path):
    certificates = make_certificates(tmp_path)

    async def look(gateway: Running) -> None:
        trust = ssl.create_default_context(cafile=certificates.ca_file)
        assert gateway.url.startswith("https://127.0.0.1:")
        assert (await gateway.get("/healthz", ssl=trust))[0] == 200

    run(shared, look, replace(LOCAL, tls_cert=certificates.cert_file, tls_key=certificates.cert_file))
