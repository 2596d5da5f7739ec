"""What every provider over HTTP must do when an answer is slow or cut."""

import asyncio
from dataclasses import replace

import pytest

from schemas.calls import Timeouts, Unavailable
from tests.support.calls import FAST, Pieces
from tests.support.dialects import TEXT, Bench, Dialect, fails, for_each_dialect, on, streams
from tests.support.loopback import Received, Reply

pytestmark = for_each_dialect


def test_a_stream_that_does_not_end_behind_its_answer_is_complete(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        await reply.chunk(dialect.stream)
        await asyncio.sleep(30)

    async def test(bench: Bench) -> None:
        async with asyncio.timeout(1):
            assert (await bench.call(stream=True)).text == TEXT

    on(dialect, script, test)


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_before_the_answer_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        reply.reset()

    fails(dialect, script, Unavailable, "the connection was lost|closed the connection", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_close_before_the_answer_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        reply.close()

    fails(dialect, script, Unavailable, "the server closed the connection before its answer", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_loss_within_the_answer_is_unavailable(dialect: Dialect, stream: bool, how: str):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind if stream else "application/json")
        await reply.chunk(dialect.piece if stream else dialect.reply[:20])
        await asyncio.sleep(0.02)
        reply.reset() if how == "reset" else reply.close()

    fails(dialect, script, Unavailable, "the answer was cut|the connection was lost", stream=stream)


def test_a_loss_behind_the_end_of_a_stream_costs_nothing(dialect: Dialect):
    finished = dialect.stream.removesuffix(b"data: [DONE]\n\n")

    async def test(bench: Bench) -> None:
        assert (await bench.call(stream=True)).text == TEXT

    on(dialect, streams(finished, kind=dialect.kind, end=False), test)


def test_a_cut_stream_is_unavailable_though_http_ended_well(dialect: Dialect):
    script = streams(dialect.piece, dialect.piece, kind=dialect.kind)

    fails(dialect, script, Unavailable, "^the stream was cut$", stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_first_byte_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, _reply: Reply) -> None:
        await asyncio.sleep(30)

    fails(dialect, script, Unavailable, r"^no first byte within 0\.3 s$", stream=stream, timeouts=FAST)


def test_a_slow_first_byte_behind_the_headers_is_unavailable(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        await asyncio.sleep(30)

    fails(dialect, script, Unavailable, r"^no first byte within 0\.3 s$", stream=True, timeouts=FAST)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_a_stop_between_bytes_is_unavailable(dialect: Dialect, stream: bool, pause_s: float):
    kind = dialect.kind if stream else "application/json"
    part = dialect.piece if stream else dialect.reply[:20]

    async def script(_received: Received, reply: Reply) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 9999\r\n\r\n".encode()
        if pause_s:
            await reply.raw(head)
            await asyncio.sleep(pause_s)
            await reply.raw(part)
        else:
            await reply.raw(head + part)
        await asyncio.sleep(30)

    timeouts = replace(FAST, first_byte_s=30, total_s=5)
    fails(
        dialect, script, Unavailable, r"^the answer stood still for 0\.2 s$", stream=stream, timeouts=timeouts
    )


def test_bytes_that_keep_coming_do_not_time_out(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await asyncio.sleep(0.25)
        await reply.head(kind=dialect.kind)
        for start in range(0, len(dialect.stream), len(dialect.stream) // 4):
            await reply.chunk(dialect.stream[start : start + len(dialect.stream) // 4])
            await asyncio.sleep(0.15)
        await reply.end()

    async def test(bench: Bench) -> None:
        assert (await bench.call(stream=True)).text == TEXT

    on(dialect, script, test, timeouts=replace(FAST, first_byte_s=1, between_bytes_s=0.5, total_s=5))


def test_an_endless_stream_ends_with_the_total_time(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        while True:
            await reply.chunk(dialect.piece)
            await asyncio.sleep(0.01)

    timeouts = Timeouts(total_s=0.8)

    async def test(bench: Bench) -> None:
        sink = Pieces()
        with pytest.raises(Unavailable, match=r"^no whole answer within 0\.8 s$"):
            await bench.call(stream=True, sink=sink)
        assert sink.text.startswith("x")
        await asyncio.wait_for(bench.server.closed_by_peer.wait(), 1)

    on(dialect, script, test, timeouts=timeouts)


def test_a_stream_whose_end_comes_late_keeps_its_connection(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        await reply.chunk(dialect.stream)
        await asyncio.sleep(0.01)
        await reply.end()

    async def test(bench: Bench) -> None:
        for _ in range(3):
            await bench.call(stream=True)
        assert bench.server.connections < 3

    on(dialect, script, test)
