"""Streams of events: nothing is shown twice, nothing is lost, every end is said."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.dialects.streams import EventStream, as_chunk, merged
from connectors.gateway.ports import Lost, Problem
from schemas.chunks import Chunk
from schemas.codes import Code
from schemas.responses import LastChunk, Response
from tests.connectors.gateway.dialects.serving import chunk, failure, response


class Words:
    """A writer whose words a test can read: `[`, text, `]`, `!code`."""

    heartbeat = b""

    def open(self) -> bytes:
        return b"["

    def piece(self, chunk: Chunk) -> bytes:
        return (chunk.delta + (chunk.reasoning_content or "") + "+" * len(chunk.tool_calls or ())).encode()

    def end(self, response: Response) -> bytes:
        return b"]"

    def idle(self) -> bytes:
        return b""

    def fail(self, problem: Problem) -> bytes:
        return f"!{problem.code}".encode()


def told(*items: Chunk | Response | Lost) -> tuple[str, EventStream]:
    stream = EventStream(Words())
    return b"".join(stream.take(item) for item in items).decode(), stream


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([chunk("a"), chunk("b", seq=1), response("ab")], "ab]"),
        ([response("ab")], "ab]"),
        ([response(None, tool_calls=[CALL], reasoning_content="hm")], "hm+]"),
        ([response("")], "]"),
        ([chunk(""), chunk("", attempt=2), chunk("b", attempt=2, seq=1), response("b")], "b]"),
        ([chunk("b", attempt=3), response("b", last_chunk=LastChunk(attempt=3, seq=0))], "b]"),
        ([chunk("a"), chunk("b", attempt=2), response("b")], "a!stream_restarted"),
        ([chunk("a"), response("b", last_chunk=LastChunk(attempt=2, seq=0))], "a!stream_restarted"),
        ([chunk(reasoning_content="hm"), chunk("b", attempt=2), response("b")], "hm!stream_restarted"),
        ([chunk("a"), failure(Code.INTERNAL)], "a!internal"),
        ([chunk("a"), Lost("a gap")], "a!answer_lost"),
        ([chunk("a"), response("a"), chunk("b", seq=1), response("ab")], "a]"),
    ],
)
def test_a_stream_says_what_came_once_and_how_it_ended(items: list[Chunk | Response | Lost], words: str):
    made, stream = told(*items)

    assert made == words
    assert stream.ended
    assert stream.unwanted == ("restarted" in words)


TEXTS = st.lists(st.text("abc", max_size=2), min_size=1, max_size=4)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(["good", "failed", "lost"]))
def test_what_is_shown_is_one_attempt_whole_or_an_error(attempts: list[list[str]], end: str):
    items: list[Chunk | Response | Lost] = [
        chunk(text, attempt=number, seq=seq)
        for number, texts in enumerate(attempts, 1)
        for seq, text in enumerate(texts)
    ]
    whole = "".join(attempts[-1])
    last = LastChunk(attempt=len(attempts), seq=len(attempts[-1]) - 1)
    ends = {
        "good": response(whole, last_chunk=last),
        "failed": failure(Code.INTERNAL),
        "lost": Lost("a gap"),
    }

    made, stream = told(*items, ends[end])

    assert stream.ended
    first = next((number for number, texts in enumerate(attempts, 1) if "".join(texts)), None)
    if first is not None and first < len(attempts):
        assert made == "".join(attempts[first - 1]) + "!stream_restarted"
    else:
        assert made == whole + {"good": "]", "failed": "!internal", "lost": "!answer_lost"}[end]


def test_a_whole_answer_is_one_piece_with_numbered_calls():
    made = as_chunk(response("Hi", tool_calls=[CALL, CALL], logprobs={"content": [{"token": "Hi"}]}))

    assert made.tool_calls == [{**CALL, "index": 0}, {**CALL, "index": 1}]
    assert made.logprobs == [{"token": "Hi"}]


PIECES = st.lists(st.tuples(st.integers(0, 2), st.text('{"', max_size=3)), min_size=1, max_size=6)


@given(PIECES)
def test_pieces_of_one_call_become_one_and_lose_nothing(pieces: list[tuple[int, str]]):
    calls = [
        {"index": index, "id": f"c{index}", "function": {"name": f"f{index}", "arguments": text}}
        for index, text in pieces
    ]

    made = merged(calls)

    assert len({call["index"] for call in made}) == len(made)
    for call in made:
        index = call["index"]
        assert call["function"]["arguments"] == "".join(text for at, text in pieces if at == index)
        assert (call["id"], call["function"]["name"]) == (f"c{index}", f"f{index}")
    assert [call["index"] for call in made] == [
        at for at, _ in itertools.groupby(dict.fromkeys(at for at, _ in pieces))
    ]
