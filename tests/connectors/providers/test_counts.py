"""A provider's own count, asked through its official SDK, against a server in the real wire format."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest

from connectors.providers.counts import Counts
from schemas.calls import Call, Route
from tests.support.calls import make_call
from tests.support.loopback import Loopback, Received, Reply

ANTHROPIC = b'{"input_tokens": 4321}'
GEMINI = b'{"totalTokens": 4321, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4321}]}'


def route(provider: str, url: str) -> Route:
    return Route(f"{provider}:m", "m", provider, "m", api_base=url, api_key="secret")


def play(
    use: Callable[[Counts, Loopback], Awaitable[None]], status: int, body: bytes, made: Counts | None = None
) -> Loopback:
    async def script(_: Received, reply: Reply) -> None:
        if status:
            await reply.whole(status, body)
        else:
            await asyncio.sleep(30)

    async def run() -> Loopback:
        counts = made or Counts(timeout_s=5)
        async with Loopback(script) as server:
            try:
                await use(counts, server)
            finally:
                await counts.close()
            return server

    return asyncio.run(run())


def call(provider: str, server: Loopback, prompt: str = "Who opened gate 7?") -> Call:
    return make_call({"prompt": prompt}, route=route(provider, server.url), max_tokens=50)


@pytest.mark.parametrize(
    ("provider", "body", "path", "key"),
    [
        ("anthropic", ANTHROPIC, "/v1/messages/count_tokens", "authorization"),
        ("gemini", GEMINI, "/v1beta/models/m:countTokens", "x-goog-api-key"),
    ],
)
def test_the_count_endpoint_is_asked_once_for_the_same_content(
    provider: str, body: bytes, path: str, key: str
):
    async def use(counts: Counts, server: Loopback) -> None:
        assert await counts.count(call(provider, server)) == 4321
        assert await counts.count(call(provider, server)) == 4321
        assert await counts.count(call(provider, server, "Who opened gate 8?")) == 4321
        assert (counts.asked, counts.failed) == (2, 0)

    server = play(use, 200, body)
    assert [each.path for each in server.received] == [path, path]
    assert "secret" in server.received[0].headers[key]
    assert b"gate 7" in server.received[0].body
    asked = orjson.loads(server.received[0].body)
    assert "max_tokens" not in asked


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"{}"), (429, b"{}"), (200, b"?"), (200, b"{}"), (0, b"")]
)
def test_what_fails_is_no_count_and_is_asked_anew(status: int, body: bytes):
    async def use(counts: Counts, server: Loopback) -> None:
        assert await counts.count(call("anthropic", server)) is None
        assert await counts.count(call("anthropic", server)) is None
        assert (counts.asked, counts.failed) == (2, 2)

    play(use, status, body, Counts(timeout_s=0.5 if status == 0 else 5))


def test_who_has_no_such_endpoint_is_not_asked():
    async def use(counts: Counts, server: Loopback) -> None:
        assert await counts.count(call("openai", server)) is None
        assert counts.asked == 0

    assert play(use, 200, ANTHROPIC).received == []


def test_so_many_counts_are_kept():
    async def use(counts: Counts, server: Loopback) -> None:
        for at in (0, 1, 2, 0):
            await counts.count(call("anthropic", server, f"gate {at}"))
        assert counts.asked == 4
        await counts.count(call("anthropic", server, "gate 2"))
        assert counts.asked == 4

    play(use, 200, ANTHROPIC, Counts(kept=2))
