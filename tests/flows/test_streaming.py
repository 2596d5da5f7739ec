"""The chunks of one attempt: the first at once, then gathered, without gaps, the last one marked."""

import asyncio
import time
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import streaming
from flows.streaming import Streamer
from schemas.calls import Answer, Piece
from schemas.chunks import Chunk
from schemas.responses import LastChunk
from tests.flows.doubles import FakeOutlet
from tests.flows.stages.making import job


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(test)


def chunks(outlet: FakeOutlet) -> list[Chunk]:
    return [Chunk.model_validate_json(record.value or b"") for record in outlet.sent]


def streamer(outlet: FakeOutlet, attempt: int = 1, **fields: object) -> Streamer:
    return Streamer(job(**fields), attempt, outlet, "x.llm.chunks")


def test_the_first_piece_goes_out_at_once_and_the_next_are_gathered():
    async def test() -> None:
        outlet = FakeOutlet()
        stream = streamer(outlet)
        for text in ("a", "b", "c"):
            await stream.take(Piece(text))
        assert [chunk.delta for chunk in chunks(outlet)] == ["a"]
        await asyncio.sleep(streaming.GATHER_S * 3)
        assert [(chunk.seq, chunk.delta) for chunk in chunks(outlet)] == [(0, "a"), (1, "bc")]
        assert stream.finish(Answer("abc", "stop", None)) == LastChunk(attempt=1, seq=2)
        assert chunks(outlet)[-1] == Chunk(request_id="r", attempt=1, seq=2, delta="", last=True)

    run(test())


def test_much_text_is_not_gathered_any_longer():
    async def test() -> None:
        outlet = FakeOutlet()
        stream = streamer(outlet)
        await stream.take(Piece("a"))
        await stream.take(Piece("b"))
        await stream.take(Piece("x" * streaming.GATHER_CHARS))
        assert [len(chunk.delta) for chunk in chunks(outlet)] == [1, 1 + streaming.GATHER_CHARS]
        await asyncio.sleep(streaming.GATHER_S * 2)
        assert len(outlet.sent) == 2

    run(test())


def test_an_answer_that_did_not_come_in_pieces_is_one_chunk():
    outlet = FakeOutlet()
    stream = streamer(outlet, attempt=3)
    last = stream.finish(Answer("all", "stop", None, tool_calls=({"id": "1"},)))

    assert last == LastChunk(attempt=3, seq=0)
    assert chunks(outlet) == [
        Chunk(request_id="r", attempt=3, seq=0, delta="all", tool_calls=[{"id": "1"}], last=True)
    ]
    assert stream.first_s is None


def test_pieces_of_tool_calls_travel_with_the_text():
    async def test() -> None:
        outlet = FakeOutlet()
        stream = streamer(outlet)
        await stream.take(Piece("", ({"index": 0},)))
        await stream.take(Piece("b", ({"index": 1}, {"index": 2})))
        stream.finish(Answer("b", "tool_calls", None))
        assert [chunk.tool_calls for chunk in chunks(outlet)] == [
            [{"index": 0}],
            [{"index": 1}, {"index": 2}],
        ]

    run(test())


def test_an_attempt_that_was_stopped_writes_nothing_more():
    async def test() -> None:
        outlet = FakeOutlet()
        stream = streamer(outlet)
        await stream.take(Piece("a"))
        await stream.take(Piece("b"))
        stream.stop()
        stream.stop()
        await asyncio.sleep(streaming.GATHER_S * 2)
        assert [chunk.delta for chunk in chunks(outlet)] == ["a"]

    run(test())


def test_while_the_outbox_is_full_no_more_is_taken_from_the_provider():
    async def test() -> None:
        outlet = FakeOutlet()
        outlet.full = True
        stream = streamer(outlet)
        taking = asyncio.ensure_future(stream.take(Piece("a")))
        await asyncio.sleep(streaming.ROOM_S * 3)
        assert not taking.done()
        outlet.full = False
        await asyncio.wait_for(taking, 1)

    run(test())


@pytest.mark.parametrize(
    ("fields", "topic", "partition"),
    [
        ({}, "x.llm.chunks", None),
        ({"reply_partition": 2}, "x.llm.chunks", None),
        ({"reply_topic": "reply.a"}, "reply.a", None),
        ({"reply_topic": "reply.a", "reply_partition": 2}, "reply.a", 2),
    ],
)
def test_chunks_go_to_the_reply_topic_where_there_is_one(
    fields: dict[str, object], topic: str, partition: int | None
):
    outlet = FakeOutlet()
    streamer(outlet, **fields).finish(Answer("a", "stop", None))

    assert (outlet.sent[0].topic, outlet.sent[0].partition, outlet.sent[0].key) == (topic, partition, b"r")


def test_a_chunk_carries_the_callers_headers_and_may_be_lost():
    outlet = FakeOutlet()
    streamer(outlet, correlation_id="c", traceparent="t").finish(Answer("a", "stop", None))
    streamer(outlet).finish(Answer("a", "stop", None))
    lost = outlet.lost[0]

    assert outlet.sent[0].headers == (("kind", b"chunk"), ("correlation_id", b"c"), ("traceparent", b"t"))
    assert outlet.sent[1].headers == (("kind", b"chunk"),)
    assert lost is not None
    lost(RuntimeError("gone"))


def test_the_moment_of_the_first_piece_is_known():
    async def test() -> None:
        stream = streamer(FakeOutlet())
        before_s = time.monotonic()
        await stream.take(Piece("a"))
        first_s = stream.first_s
        await stream.take(Piece("b"))
        stream.stop()
        assert first_s is not None
        assert before_s <= first_s <= time.monotonic()
        assert stream.first_s == first_s

    run(test())


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.tuples(st.text(max_size=3000), st.booleans()), max_size=8))
def test_the_chunks_put_together_are_the_answer_numbered_without_gaps(pieces: list[tuple[str, bool]]):
    text = "".join(each for each, _ in pieces)

    async def test() -> None:
        outlet = FakeOutlet()
        stream = streamer(outlet)
        for piece, wait in pieces:
            await stream.take(Piece(piece))
            if wait:
                await asyncio.sleep(streaming.GATHER_S * 1.5)
        last = stream.finish(Answer(text, "stop", None))
        written = chunks(outlet)
        assert "".join(chunk.delta for chunk in written) == text
        assert [chunk.seq for chunk in written] == [*range(len(written))]
        assert [chunk.last for chunk in written] == [False] * (len(written) - 1) + [True]
        assert last.seq == written[-1].seq
        await asyncio.sleep(streaming.GATHER_S * 1.5)
        assert len(outlet.sent) == len(written)

    run(test())
