"""The client for what is off the hot path: every failure is one of ours, and stopping a pull stops it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from connectors.providers.ollama_server import OllamaServer
from schemas.calls import Malformed, Missing, ProviderError, Refused, Unavailable
from tests.support.dialects import replies
from tests.support.loopback import Loopback, Received, Reply, Script

LINE = b'{"status":"pulling aa","digest":"sha256:aa","total":100,"completed":60}\n'


async def pulled(server: OllamaServer) -> list[str]:
    async with aclosing(server.pull("m")) as parts:
        return [part.status async for part in parts]


ASKS: dict[str, Callable[[OllamaServer], Awaitable[Any]]] = {
    "tags": lambda server: server.tags(),
    "loaded": lambda server: server.loaded(),
    "show": lambda server: server.show("m"),
    "load": lambda server: server.load("m", window_tokens=2048),
    "embed": lambda server: server.embed("m", ["a"]),
    "pull": pulled,
}
every_ask = pytest.mark.parametrize("name", ASKS)


def on(script: Script, ask: Callable[[OllamaServer], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with Loopback(script) as found, OllamaServer(found.url, "k", quick_s=0.3, slow_s=0.3) as server:
            return await ask(server)

    return asyncio.run(main())


async def silence(_received: Received, reply: Reply) -> None:
    await reply.writer.wait_closed()


@every_ask
@pytest.mark.parametrize(
    ("script", "leaf", "reason"),
    [
        (silence, Unavailable, "does not answer in time"),
        (replies(200, b"<html>", kind="text/html"), Malformed, "no Ollama server"),
    ],
    ids=["silent", "foreign"],
)
def test_a_server_that_is_none_is_an_error(name: str, script: Script, leaf: type[ProviderError], reason: str):
    with pytest.raises(leaf, match=reason):
        on(script, ASKS[name])


@pytest.mark.parametrize("name", ["tags", "loaded", "embed"])
def test_an_answer_without_what_we_need_is_malformed(name: str):
    with pytest.raises(Malformed, match="no Ollama server"):
        on(replies(200, b"{}"), ASKS[name])


@every_ask
def test_a_server_that_is_away_is_unavailable_and_its_password_is_not_shown(name: str):
    async def main() -> None:
        async with OllamaServer("http://me:secret@127.0.0.1:9") as server:
            with pytest.raises(Unavailable, match=r"server at http://127\.0\.0\.1:9 does not answer$"):
                await ASKS[name](server)

    asyncio.run(main())


@pytest.mark.parametrize("name", ["show", "load", "embed"])
def test_a_missing_model_says_what_to_pull(name: str):
    with pytest.raises(Missing, match="weir models pull m"):
        on(replies(404, b'{"error":"model \'m\' not found"}'), ASKS[name])


def test_other_errors_go_by_their_status():
    with pytest.raises(Refused, match="400: no"):
        on(replies(400, b'{"error":"no"}'), ASKS["embed"])


def test_a_pull_tells_its_progress_and_sends_the_key():
    keys: list[str] = []

    async def script(received: Received, reply: Reply) -> None:
        keys.append(received.headers["authorization"])
        await reply.whole(200, LINE + b'{"status":"success"}\n', kind="application/x-ndjson")

    assert on(script, ASKS["pull"]) == ["pulling aa", "success"]
    assert keys == ["Bearer k"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(LINE, "it was cut"), (LINE + b'{"error":"file does not exist"}\n', "file does not exist")],
)
def test_a_pull_that_does_not_end_well_is_an_error(body: bytes, reason: str):
    with pytest.raises(Unavailable, match=f"the pull failed: {reason}"):
        on(replies(200, body, kind="application/x-ndjson"), ASKS["pull"])


def test_a_pull_that_is_stopped_closes_its_connection():
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind="application/x-ndjson")
        while True:
            await reply.chunk(LINE)
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with Loopback(script) as found, OllamaServer(found.url) as server:
            async with aclosing(server.pull("m")) as parts:
                assert (await anext(parts)).completed_bytes == 60
            await asyncio.wait_for(found.closed_by_peer.wait(), 2)

    asyncio.run(main())
