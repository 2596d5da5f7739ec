"""What every provider over HTTP must do with a good answer: read it, hand it on, keep its connection."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from connectors.providers.shell import HttpProvider
from schemas.calls import (
    Piece,
    Unavailable,
)
from tests.support.calls import FAST, Pieces
from tests.support.dialects import TEXT, Bench, Dialect, for_each_dialect, on, replies, streams
from tests.support.loopback import Received, Reply

pytestmark = for_each_dialect


def test_a_whole_answer_is_read_and_its_connection_used_again(dialect: Dialect):
    async def test(bench: Bench) -> None:
        answers = [await bench.call() for _ in range(3)]

        assert [answer.text for answer in answers] == [TEXT] * 3
        assert bench.server.connections == 1
        assert bench.server.received[0].headers["x-request-id"] == "req-1"
        assert bench.server.received[0].headers[dialect.key[0]] == dialect.key[1]
        assert bench.server.received[0].headers["content-type"] == "application/json"

    on(dialect, replies(200, dialect.reply), test)


def test_a_streamed_answer_comes_in_pieces_and_its_connection_is_used_again(dialect: Dialect):
    middle = len(dialect.stream) // 2
    script = streams(dialect.stream[:middle], dialect.stream[middle:], kind=dialect.kind)

    async def test(bench: Bench) -> None:
        for _ in range(2):
            sink = Pieces()
            answer = await bench.call(stream=True, sink=sink)
            assert sink.text == answer.text == TEXT
            assert answer.usage is not None
        assert bench.server.connections == 1

    on(dialect, script, test)


def test_the_limits_in_the_head_of_a_stream_stand_on_its_answer(dialect: Dialect):
    limits = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}

    async def test(bench: Bench) -> None:
        answer = await bench.call(stream=True, sink=Pieces())

        assert [(limit.name, limit.limit, limit.remaining) for limit in answer.limits] == [
            ("requests", 60, 59)
        ]

    on(dialect, replies(200, dialect.stream, limits, dialect.kind), test)


def test_a_stream_without_a_sink_is_read_all_the_same(dialect: Dialect):
    async def test(bench: Bench) -> None:
        assert (await bench.call(stream=True)).text == TEXT

    on(dialect, streams(dialect.stream, kind=dialect.kind), test)


def test_a_whole_answer_to_a_stream_is_one_piece(dialect: Dialect):
    async def test(bench: Bench) -> None:
        sink = Pieces()
        answer = await bench.call(stream=True, sink=sink)

        assert [piece.text for piece in sink.got] == [answer.text] == [TEXT]

    on(dialect, replies(200, dialect.reply), test)


def test_a_provider_that_was_never_used_ends_too(dialect: Dialect):
    async def test(bench: Bench) -> None:
        await HttpProvider(dialect.codec()).close()
        assert bench.server.connections == 0

    on(dialect, replies(200, b""), test)


def test_a_closed_gate_sends_nothing_and_keeps_the_connection(dialect: Dialect):
    async def test(bench: Bench) -> None:
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"^not allowed to call now$"):
                await bench.call(gate=lambda: False)
        assert bench.server.received == []

        await bench.call()
        kept = not dialect.cant("keep the connection at a closed gate")
        assert bench.server.connections == (1 if kept else 3)

    on(dialect, replies(200, dialect.reply), test)


def test_the_gate_is_asked_when_the_connection_is_free_and_not_before(dialect: Dialect):
    asked: list[int] = []
    go = asyncio.Event()

    async def script(received: Received, reply: Reply) -> None:
        await go.wait()
        await reply.whole(200, dialect.reply)

    async def test(bench: Bench) -> None:
        def gate() -> bool:
            asked.append(len(bench.server.received))
            return True

        calls = [asyncio.create_task(bench.call(gate=gate)) for _ in range(2)]
        async with asyncio.timeout(5):
            while not asked:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert asked == [0]
        go.set()
        await asyncio.gather(*calls)
        assert asked == [0, 1]

    on(dialect, script, test, max_connections=1)


def test_a_gate_that_breaks_leaves_no_connection_behind(dialect: Dialect):
    def broken() -> bool:
        raise RuntimeError("gate")

    async def test(bench: Bench) -> None:
        with pytest.raises(RuntimeError, match="gate"):
            await bench.call(gate=broken)
        await bench.call()

    on(dialect, replies(200, dialect.reply), test, max_connections=1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cancelled_call_closes_its_connection(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        if stream:
            await reply.head(kind=dialect.kind)
        while stream:
            await reply.chunk(dialect.piece)
            await asyncio.sleep(0.01)
        await reply.writer.wait_closed()

    async def test(bench: Bench) -> None:
        call = asyncio.create_task(bench.call(stream=stream, sink=Pieces()))
        async with asyncio.timeout(5):
            while not bench.server.received:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(bench.server.received) == 1
        if stream:
            await asyncio.wait_for(bench.server.closed_by_peer.wait(), 1)

    on(dialect, script, test, timeouts=replace(FAST, first_byte_s=5, total_s=5))


def test_nothing_is_read_while_the_sink_waits(dialect: Dialect):
    sent_bytes = 0

    async def script(_received: Received, reply: Reply) -> None:
        nonlocal sent_bytes
        await reply.head(kind=dialect.kind)
        while True:
            await reply.chunk(dialect.piece * 1000)
            sent_bytes += 1000 * len(dialect.piece)

    async def test(bench: Bench) -> None:
        full = asyncio.Event()

        async def sink(_piece: Piece) -> None:
            full.set()
            await asyncio.sleep(30)

        call = asyncio.create_task(bench.call(stream=True, sink=sink))
        await full.wait()
        await asyncio.sleep(0.4)
        before = sent_bytes
        await asyncio.sleep(0.4)
        assert sent_bytes == before
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    on(dialect, script, test, max_answer_bytes=1 << 30, timeouts=replace(FAST, first_byte_s=5, total_s=10))


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError(), RuntimeError("sink")])
def test_what_the_sink_raises_passes_through(dialect: Dialect, error: Exception):
    async def sink(_piece: Piece) -> None:
        raise error

    async def test(bench: Bench) -> None:
        with pytest.raises(type(error)) as caught:
            await bench.call(stream=True, sink=sink)
        assert caught.value is error

    on(dialect, streams(dialect.stream, kind=dialect.kind), test)


def test_many_calls_at_once_get_each_its_own_answer(dialect: Dialect):
    async def script(received: Received, reply: Reply) -> None:
        body = received.json()
        assert isinstance(body, dict)
        turns = body.get("messages") or body["contents"]
        text = turns[0].get("content") or turns[0]["parts"][0]["text"]
        message = {"role": "assistant", "content": text}
        await reply.whole(
            200,
            orjson.dumps(
                {
                    "choices": [{"message": message}],
                    "message": message,
                    "done": True,
                    "content": [{"type": "text", "text": text}],
                    "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}],
                }
            ),
        )

    async def test(bench: Bench) -> None:
        asked = [f"number {place}" for place in range(50)]
        answers = await asyncio.gather(*(bench.call(prompt=prompt) for prompt in asked))
        assert [answer.text for answer in answers] == asked
        assert bench.server.connections <= 8

    on(dialect, script, test)
