"""What of a streamed answer is shown, alone and as one of many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.demo_screen import Screen
from flows.shown import Shown
from schemas.chunks import Chunk
from schemas.codes import Code
from schemas.responses import ErrorInfo, Latency, Response

LATENCY = Latency(queue_ms=0, routing_ms=0, provider_ms=0, total_ms=5)


def piece(seq: int, delta: str, *, attempt: int = 1, request_id: str = "a") -> Chunk:
    return Chunk(request_id=request_id, attempt=attempt, seq=seq, delta=delta)


def response(text: str | None, request_id: str = "a") -> Response:
    error = None if text is not None else ErrorInfo(code=Code.REFUSED, message="no")
    return Response(request_id=request_id, tenant="t", response=text, error=error, latency=LATENCY)


def test_pieces_are_shown_in_order_and_once():
    shown = Shown()

    told = [shown.chunk(piece(seq, text)) for seq, text in ((0, "a"), (0, "a"), (1, "b"), (0, "a"))]

    assert told == [(None, "a"), (None, ""), (None, "b"), (None, "")]
    assert shown.rest(response("ab")) == (None, "")


def test_higher_attempt_starts_anew_with_a_note():
    shown = Shown()
    shown.chunk(piece(0, "old"))

    assert shown.chunk(piece(0, "new", attempt=2)) == ("attempt 2: starting again", "new")
    assert shown.chunk(piece(1, "late")) == (None, "")
    assert shown.text == "new"


def test_higher_attempt_needs_no_note_where_nothing_was_shown():
    assert Shown().chunk(piece(0, "x", attempt=3)) == (None, "x")


def test_response_adds_the_end_that_no_piece_brought():
    shown = Shown()
    shown.chunk(piece(0, "Hel"))

    assert shown.rest(response("Hello")) == (None, "lo")


def test_response_that_says_something_else_is_shown_whole():
    shown = Shown()
    shown.chunk(piece(0, "Hi"))

    assert shown.rest(response("Hello")) == ("the answer, whole", "Hello")


@given(st.lists(st.text(max_size=5), max_size=8), st.integers(0, 8))
def test_pieces_and_rest_make_the_answer(deltas: list[str], lost_from: int):
    shown = Shown()
    out = "".join(shown.chunk(piece(at, delta))[1] for at, delta in enumerate(deltas[:lost_from]))

    assert out + shown.rest(response("".join(deltas)))[1] == "".join(deltas)


def test_answers_are_shown_in_the_order_of_the_questions():
    screen = Screen({"a": "First?", "b": "Second?"})
    out = screen.take(piece(0, "two", request_id="b"))
    out += screen.take(piece(0, "one"))
    out += screen.take(response("two!", "b"))
    assert not screen.complete
    out += screen.take(response("one."))

    assert screen.complete
    assert [line for line in out.splitlines() if line] == [
        "1. First?",
        "one.",
        "   (no route, 0 tokens, $0, 5 ms)",
        "2. Second?",
        "two!",
        "   (no route, 0 tokens, $0, 5 ms)",
    ]


def test_answer_that_waited_its_turn_goes_on_streaming_when_it_is_in_front():
    screen = Screen({"a": "First?", "b": "Second?"})
    screen.take(piece(0, "tw", request_id="b"))

    assert "2. Second?\ntw" in screen.take(response("one"))
    assert screen.take(piece(1, "o", request_id="b")) == "o"


def test_failure_is_shown_in_its_place():
    screen = Screen({"a": "First?"})

    assert "refused: no" in screen.take(response(None))


@pytest.mark.parametrize("other", ["b", "a"])
def test_event_of_another_or_a_finished_request_shows_nothing(other: str):
    screen = Screen({"a": "First?"})
    screen.take(response("one"))

    assert screen.take(piece(0, "x", request_id=other)) == ""


def test_new_attempt_in_front_is_told():
    screen = Screen({"a": "First?"})
    screen.take(piece(0, "old"))

    assert screen.take(piece(0, "new", attempt=2)) == "\n[attempt 2: starting again]\nnew"
