"""Official SDKs as oracles: what one sends and reads on loopback, and every way to cut its stream."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import orjson

from connectors.providers.wire import Codec
from schemas.base import JsonObject
from schemas.calls import Answer, Piece
from tests.support.loopback import Loopback, Received, Reply

TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name."}},
            "required": ["city"],
        },
    },
}
SCHEMA: JsonObject = {"type": "object", "properties": {"city": {"type": "string"}}}
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How is Köln?"},
]


def captured(
    body: bytes, kind: str, call: Callable[[str], Awaitable[Any]], headers: Mapping[str, str] | None = None
) -> tuple[Received, Any]:
    """The request an SDK sends to a server that answers with `body`, and what it reads."""

    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(200, body, headers, kind=kind)

    async def main() -> tuple[Received, Any]:
        async with Loopback(script) as server:
            read = await call(server.url)
            return server.received[0], read

    return asyncio.run(main())


def theirs(body: bytes, kind: str, call: Callable[[str], Awaitable[Any]]) -> tuple[dict[str, Any], Any]:
    """The JSON body an SDK sends to a server that answers with `body`, and what it reads."""
    received, read = captured(body, kind, call)
    return orjson.loads(received.body), read


def fed(codec: Codec, parts: list[bytes]) -> tuple[list[Piece], Answer]:
    """All pieces and the answer of a stream that comes in these parts, ended as the shell ends it."""
    decoder = codec.decoder()
    pieces = [piece for part in parts for piece in decoder.feed(part)]
    pieces += decoder.feed(b"")
    return pieces, decoder.finish()


def cut_everywhere(stream: bytes) -> Iterator[list[bytes]]:
    """The stream in two parts, cut at every byte."""
    for place in range(len(stream) + 1):
        yield [part for part in (stream[:place], stream[place:]) if part]


def in_chunks(stream: bytes) -> Iterator[list[bytes]]:
    """The stream in parts of every fixed size."""
    for size_bytes in range(1, len(stream) + 1):
        yield [stream[place : place + size_bytes] for place in range(0, len(stream), size_bytes)]


def cut_twice(stream: bytes) -> Iterator[list[bytes]]:
    """The stream in three parts, cut at every two bytes."""
    for first in range(1, len(stream)):
        for second in range(first + 1, len(stream)):
            yield [stream[:first], stream[first:second], stream[second:]]
