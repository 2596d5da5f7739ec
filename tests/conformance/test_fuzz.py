"""Whatever a server sends, nothing but an answer or a provider's error comes out, in bounded memory.

The codec is fed by itself, without the shell's guard, then through the shell. The failure names the seed.
"""

import asyncio
import random
import re
import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from connectors.providers.shell import Shell
from connectors.providers.transport import Connections
from connectors.providers.wire import Gate
from schemas.calls import Answer, HttpRequest, Malformed, Piece, ProviderError, Route, Unavailable
from schemas.chunks import Chunk
from schemas.responses import Attempt, Response, Usage
from tests.support.calls import always, make_call, make_route
from tests.support.dialects import PLAIN, Dialect
from tests.support.fixtures import WIRE
from tests.support.mutate import cuts, mutated

QUICK = 3_000
FULL = 100_000
SEED = 20_261_122
MAX_GROWTH_BYTES = 64 << 20
STATUSES = (200, 200, 200, 200, 201, 301, 400, 401, 404, 429, 500, 503, 529)


def corpus(dialect: Dialect) -> list[bytes]:
    """Every reply and stream that there is of a format; the mutations start there."""
    found = sorted(WIRE.glob(f"{dialect.name}_*"))
    kept = [file.read_bytes() for file in found if ".reply." in file.name or ".stream." in file.name]
    return [dialect.reply, dialect.stream, dialect.piece, dialect.error("no"), *kept]


class Sent:
    """A transport whose server has said it all already."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.parts: list[bytes] = []

    async def send(self, route: Route, request: HttpRequest, gate: Gate, max_bytes: int) -> "Sent":
        return self

    async def next(self, gather: bool = False) -> bytes:
        return self.parts.pop(0) if self.parts else b""

    async def end(self) -> None:
        """It has."""

    async def warm(self, route: Route, request: HttpRequest) -> None:
        """It is."""

    def connections(self) -> Connections:
        return Connections()

    async def close(self) -> None:
        """It is."""


def check_answer(answer: object) -> None:
    """It is one, and a response can be made from it and written."""
    assert isinstance(answer, Answer)
    assert answer.usage is None or isinstance(answer.usage, Usage)
    assert answer.finish_reason in ("stop", "length", "tool_calls", "content_filter")
    written = Response.model_construct(
        response=answer.text,
        tool_calls=list(answer.tool_calls) or None,
        usage=answer.usage,
        model=answer.model,
        finish_reason=answer.finish_reason,
        finish_reason_raw=answer.finish_reason_raw,
        reasoning_content=answer.reasoning,
        provider_content=answer.provider_content,
        logprobs=answer.logprobs,
        embeddings=answer.embeddings,
        attempts=[Attempt.model_construct(usage=answer.usage, usage_raw=answer.usage_raw)],
    )
    assert written.to_bytes()


def check_pieces(pieces: list[Piece]) -> None:
    for piece in pieces:
        assert isinstance(piece.text, str)
        assert isinstance(piece.reasoning, str)
        assert all(isinstance(call, dict) for call in piece.tool_calls)
        chunk = Chunk.model_construct(
            request_id="r",
            attempt=1,
            seq=0,
            delta=piece.text,
            tool_calls=list(piece.tool_calls),
            reasoning_content=piece.reasoning,
            logprobs=list(piece.logprobs),
        )
        assert chunk.to_bytes()


def through_codec(dialect: Dialect, data: bytes, parts: list[bytes], status: int) -> None:
    """The codec by itself, whole and streamed."""
    codec = dialect.codec()
    with suppress(ProviderError):
        check_answer(codec.decode(status, {"retry-after": "1"}, data))
    decoder = codec.decoder()
    with suppress(ProviderError):
        for part in parts:
            check_pieces(decoder.feed(part))
            if decoder.done:
                break
        check_pieces(decoder.feed(b""))
        check_answer(decoder.finish())


async def through_shell(shell: Shell, sent: Sent, call: Any, parts: list[bytes]) -> None:
    """The shell, whose answers must be whole: a response is made from them."""
    sent.parts = list(parts)

    async def sink(piece: Piece) -> None:
        check_pieces([piece])

    with suppress(ProviderError):
        check_answer(await shell.complete(call, None, sink, always))


def fuzz(dialect: Dialect, times: int) -> None:
    """So many mutations; the seed of the one that fails is in the failure."""
    seeds = corpus(dialect)

    async def main() -> None:
        sent = Sent()
        shell = Shell(dialect.codec(), sent)
        route = make_route(dialect.name, api_base="http://127.0.0.1:1", api_key="k")
        calls = [make_call(route=route, stream=stream) for stream in (False, True)]
        for number in range(times):
            seed = SEED + number
            dice = random.Random(seed)
            data = mutated(dice.choice(seeds), dice)
            parts, sent.status = cuts(data, dice), dice.choice(STATUSES)
            call = calls[dice.randrange(2)]
            sent.headers = {"content-type": dialect.kind if call.stream and dice.random() < 0.8 else "x/y"}
            try:
                through_codec(dialect, data, parts, sent.status)
                await through_shell(shell, sent, call, parts)
            except Exception as error:
                raise AssertionError(f"{dialect.name}, seed {seed}: {error!r} of {data[:2000]!r}") from error
        await shell.close()

    asyncio.run(main())


by_codec = pytest.mark.parametrize("dialect", PLAIN, ids=lambda dialect: dialect.name)


@by_codec
def test_whatever_a_server_sends_comes_out_as_an_answer_or_an_error(dialect: Dialect):
    print(f"seeds {SEED} to {SEED + QUICK - 1}")

    fuzz(dialect, QUICK)


@pytest.mark.full
@pytest.mark.timeout(1200)
@by_codec
def test_a_hundred_thousand_of_them_do_too(dialect: Dialect):
    print(f"seeds {SEED} to {SEED + FULL - 1}")

    fuzz(dialect, FULL)


@by_codec
@pytest.mark.parametrize("depth", [190, 300, 1000])
def test_an_answer_too_deep_for_a_writer_is_malformed(dialect: Dialect, depth: int):
    deep = b'"odd": ' + b"[" * depth + b"]" * depth + b", "
    whole = re.sub(rb"\{(\s*\")", rb"{" + deep + rb"\1", dialect.reply)
    streamed = re.sub(rb"\{(\s*\")", rb"{" + deep + rb"\1", dialect.stream)
    codec = dialect.codec()
    decoder = codec.decoder()

    if depth < 200:
        check_answer(codec.decode(200, {}, whole))
        check_pieces(decoder.feed(streamed))
        check_answer(decoder.finish())
    else:
        with pytest.raises(Malformed, match="too deeply"):
            codec.decode(200, {}, whole)
        with pytest.raises(Malformed, match="too deeply"):
            decoder.feed(streamed)
        with pytest.raises(Unavailable):
            codec.decode(500, {}, whole)


@by_codec
def test_memory_is_bounded_by_what_came(dialect: Dialect):
    nested = [b"[" * 1_000_000, b'{"a":' * 200_000, b"data: " + b"[" * 1_000_000 + b"\n\n", b"9" * 4_000_000]
    many = dialect.piece * 20_000
    tracemalloc.start()
    for data in (*nested, many):
        through_codec(dialect, data, [data[at : at + 65_536] for at in range(0, len(data), 65_536)], 200)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < MAX_GROWTH_BYTES
