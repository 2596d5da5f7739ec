"""The wire formats side by side, and a provider with its server: what the conformance tests share."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
import pytest

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.gemini import GeminiCodec
from connectors.providers.http import HttpTransport
from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from connectors.providers.pool import Way
from connectors.providers.sdks import open_sdk
from connectors.providers.shell import Shell
from connectors.providers.wire import Codec
from schemas.calls import (
    Answer,
    Piece,
    ProviderError,
    Route,
    Timeouts,
)
from tests.support.calls import Pieces, always, make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Loopback, Received, Reply, Script

CANT: Mapping[tuple[str, str], str] = {
    ("sdk", "keep the connection at a closed gate"): (
        "httpcore and urllib3 close a connection whose request was given up, though none of it was sent"
    ),
    ("gemini-sdk", "connect on the loop"): "its session connects on threads; its own test has it hang there",
}
"""What a client (or one SDK) can't do as our own connections do, and why. All else holds for all."""


@dataclass(frozen=True)
class Dialect:
    """What differs between the formats."""

    name: str
    codec: Callable[[], Codec]
    kind: str
    reply: bytes
    stream: bytes
    piece: bytes
    """An event that adds one `x` to the text."""
    failure: Callable[[str], object]
    """The JSON value of an error that says a text; its name for it leaves the class to the status."""
    key: tuple[str, str] = ("authorization", "Bearer sk-secret")
    """The header that the key `sk-secret` goes out in."""
    client: Literal["http", "sdk"] = "http"
    """What moves the bytes."""

    def cant(self, what: str) -> bool:
        """Whether it can't do that, for the reason that stands in `CANT`."""
        return (self.shown, what) in CANT or (self.client, what) in CANT

    @property
    def shown(self) -> str:
        """Its name and its client's."""
        return self.name if self.client == "http" else f"{self.name}-{self.client}"

    def shell(self, way: Way, max_answer_bytes: int = 1 << 20) -> Shell:
        """A provider of its own."""
        transport = HttpTransport(way) if self.client == "http" else open_sdk(self.name, way)
        return Shell(self.codec(), transport, max_answer_bytes=max_answer_bytes)

    def error(self, text: str) -> bytes:
        return orjson.dumps(self.failure(text))


OPENAI = Dialect(
    "openai",
    OpenAICodec,
    "text/event-stream",
    wire("openai_text.reply.json"),
    wire("openai_text.stream.sse"),
    b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n',
    lambda text: {"error": {"message": text}},
)
OLLAMA = Dialect(
    "ollama",
    OllamaCodec,
    "application/x-ndjson",
    wire("ollama_text.reply.json"),
    wire("ollama_text.stream.ndjson"),
    b'{"message": {"content": "x"}, "done": false}\n',
    lambda text: {"error": text},
)
ANTHROPIC = Dialect(
    "anthropic",
    AnthropicCodec,
    "text/event-stream",
    wire("anthropic_text.reply.json"),
    wire("anthropic_text.stream.sse"),
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"x"}}\n\n',
    lambda text: {"type": "error", "error": {"type": "api_error", "message": text}, "request_id": "req_1"},
)
GEMINI = Dialect(
    "gemini",
    GeminiCodec,
    "text/event-stream",
    wire("gemini_text.reply.json"),
    wire("gemini_text.stream.sse"),
    b'data: {"candidates": [{"content": {"parts": [{"text": "x"}], "role": "model"}}]}\r\n\r\n',
    lambda text: [{"error": {"code": 14, "message": text, "status": "MADE_UP"}}],
    ("x-goog-api-key", "sk-secret"),
)
TEXT = "Grüße, reader."
PATIENT = Timeouts(connect_s=5, first_byte_s=5, between_bytes_s=5, total_s=20)


PLAIN = [OPENAI, OLLAMA, ANTHROPIC, GEMINI]
SDKS = [replace(dialect, client="sdk") for dialect in PLAIN if dialect.name != "openai"]
DIALECTS = [*PLAIN, *SDKS]
for_each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.shown)


@dataclass
class Bench:
    """A provider, its server, and one way to call."""

    provider: Shell
    server: Loopback
    route: Route

    async def call(
        self,
        *,
        stream: bool = False,
        sink: Callable[[Piece], Awaitable[None]] | None = None,
        gate: Callable[[], bool] = always,
        prompt: str = "Say hello to the reader.",
    ) -> Answer:
        call = make_call({"prompt": prompt}, route=self.route, stream=stream)
        return await self.provider.complete(call, self.provider.encode(call), sink, gate)


def on(
    dialect: Dialect,
    script: Script,
    test: Callable[[Bench], Awaitable[None]],
    *,
    timeouts: Timeouts = PATIENT,
    max_answer_bytes: int = 1 << 20,
    max_connections: int = 8,
) -> None:
    """Run a test against a server with that script; the loop must end without a leftover."""

    async def main() -> None:
        async with Loopback(script) as server:
            provider = dialect.shell(Way(max_connections), max_answer_bytes)
            route = make_route(dialect.name, api_base=server.url, api_key="sk-secret", timeouts=timeouts)
            try:
                await test(Bench(provider, server, route))
            finally:
                await provider.close()

    asyncio.run(main())


def fails(
    dialect: Dialect,
    script: Script,
    leaf: type[ProviderError],
    reason: str,
    *,
    stream: bool = False,
    **settings: Any,
) -> ProviderError:
    """The error that a call ends with; its class and reason are checked."""
    caught: list[ProviderError] = []

    async def test(bench: Bench) -> None:
        with pytest.raises(leaf, match=reason) as error:
            await bench.call(stream=stream, sink=Pieces())
        caught.append(error.value)

    on(dialect, script, test, **settings)
    return caught[0]


def replies(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Script:
    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(status, body, headers, kind)

    return script


def streams(*parts: bytes, kind: str, end: bool = True) -> Script:
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=kind)
        for part in parts:
            await reply.chunk(part)
        if end:
            await reply.end()
        else:
            reply.close()

    return script
