"""The order of a stream: shown once, in order, or an error; never a success with a hole."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.exchange.rules import streams
from connectors.gateway.exchange.rules.streams import Item, Order
from connectors.gateway.ports import Lost
from schemas.chunks import Chunk
from schemas.codes import Code
from schemas.responses import ErrorInfo, LastChunk, Latency, Response

LATENCY = Latency(queue_ms=0, routing_ms=0, provider_ms=0, total_ms=0)


def chunk(attempt: int, seq: int, last: bool = False) -> Chunk:
    return Chunk(request_id="r", attempt=attempt, seq=seq, delta=f"{attempt}.{seq} ", last=last)


def answer(last: tuple[int, int] | None = None, code: Code | None = None, **fields: object) -> Response:
    return Response(
        request_id="r",
        tenant="acme",
        response=None if code else "all of it",
        error=ErrorInfo(code=code, message="no") if code else None,
        latency=LATENCY,
        last_chunk=LastChunk(attempt=last[0], seq=last[1]) if last else None,
        **fields,  # type: ignore[arg-type]
    )


def read(log: list[Chunk | Response], streamed: bool = True) -> list[Item]:
    """What a reader is given of a log."""
    order = Order(streamed)
    items: list[Item] = []
    for event in log:
        if isinstance(event, Response):
            items += order.end(event)
        elif (item := order.chunk(event)) is not None:
            items.append(item)
        if items and not isinstance(items[-1], Chunk):
            break
    return items


def text(items: list[Item]) -> str:
    """What a client has in the end, which drops what it has where a higher attempt begins."""
    shown, attempt = "", 0
    for item in items:
        if isinstance(item, Chunk):
            shown, attempt = ("" if item.attempt > attempt else shown) + item.delta, item.attempt
    return shown


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Chunk | Response], str]:
    """A log as workers write it: attempts that were cut, the one that answered, repeats of either."""
    events: list[Chunk] = []
    attempts = draw(st.integers(1, 3))
    whole = draw(st.integers(1, 5))
    for attempt in range(1, attempts + 1):
        pieces = whole if attempt == attempts else draw(st.integers(0, 3))
        for seq in range(pieces):
            events.append(chunk(attempt, seq, attempt == attempts and seq == whole - 1))
            if draw(st.booleans()):  # a worker that crashed writes what it had written again
                events.append(draw(st.sampled_from(events)))
    expected = "".join(f"{attempts}.{seq} " for seq in range(whole))
    return [*events, answer((attempts, whole - 1))], expected


def holds(log: list[Chunk | Response], expected: str) -> bool:
    items = read(log)
    chunks = [item for item in items if isinstance(item, Chunk)]
    numbers = [(item.attempt, item.seq) for item in chunks]
    return (
        isinstance(items[-1], Response)
        and text(items) == expected
        and numbers == sorted(set(numbers))
        and sum(not isinstance(item, Chunk) for item in items) == 1
    )


@given(logs())
def test_a_log_with_repeats_and_restarts_is_shown_once_and_in_order(log: tuple[list[Chunk | Response], str]):
    assert holds(*log)


@given(logs(), st.data())
def test_a_log_that_lacks_a_piece_never_ends_as_a_success(
    log: tuple[list[Chunk | Response], str], data: st.DataObject
):
    events, _ = log
    response = events[-1]
    assert isinstance(response, Response)
    assert response.last_chunk is not None
    missing = (response.last_chunk.attempt, data.draw(st.integers(0, response.last_chunk.seq)))
    holed = [e for e in events if isinstance(e, Response) or (e.attempt, e.seq) != missing]

    assert isinstance(read(holed)[-1], Lost)


def _show_repeats(order: Order, piece: Chunk) -> Chunk | Lost | None:
    return piece if piece.attempt == order.attempt and piece.seq <= order.seq else _chunk(order, piece)


def _ignore_gaps(order: Order, piece: Chunk) -> Chunk | Lost | None:
    found = _chunk(order, piece)
    return None if isinstance(found, Lost) else found


def _show_old_attempts(order: Order, piece: Chunk) -> Chunk | Lost | None:
    return piece if piece.attempt < order.attempt else _chunk(order, piece)


def _keep_the_count(order: Order, piece: Chunk) -> Chunk | Lost | None:
    if piece.attempt > order.attempt > 0:
        order.attempt = piece.attempt
    return _chunk(order, piece)


_chunk = Order.chunk
TWICE: list[Chunk | Response] = [chunk(1, 0), chunk(1, 0), chunk(1, 1, True), answer((1, 1))]
HOLED: list[Chunk | Response] = [chunk(1, 0), chunk(1, 2, True), answer((1, 2))]
LATE: list[Chunk | Response] = [chunk(1, 0), chunk(2, 0), chunk(1, 1), chunk(2, 1, True), answer((2, 1))]


@pytest.mark.parametrize(
    ("bug", "log", "expected"),
    [
        (_show_repeats, TWICE, "1.0 1.1 "),
        (_show_old_attempts, LATE, "2.0 2.1 "),
        (_keep_the_count, LATE, "2.0 2.1 "),
    ],
)
def test_planted_bugs_are_seen(
    bug: Callable[[Order, Chunk], Chunk | Lost | None],
    log: list[Chunk | Response],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
):
    assert holds(log, expected)

    monkeypatch.setattr(streams.Order, "chunk", bug)

    assert not holds(log, expected)


def test_a_gap_that_is_ignored_is_still_found_at_the_end(monkeypatch: pytest.MonkeyPatch):
    said = read(HOLED)[-1]
    monkeypatch.setattr(streams.Order, "chunk", _ignore_gaps)

    assert said == Lost("piece 1 of attempt 1 is missing; 2 came")
    assert read(HOLED)[-1] == Lost(
        "the answer ends with piece 2 of attempt 1, which was not the last that came"
    )


def test_an_attempt_that_begins_in_its_middle_has_a_gap():
    assert read([chunk(1, 0), chunk(2, 1)])[-1] == Lost("pieces 0 to 0 of attempt 2 are missing")


def test_nothing_is_shown_of_an_attempt_after_its_last_piece():
    assert read([chunk(1, 0, True), chunk(1, 1), answer((1, 0))])[1:] == [answer((1, 0))]


def test_pieces_that_were_not_asked_for_are_not_shown():
    assert read([chunk(1, 0), answer((1, 0))], streamed=False) == [answer((1, 0))]


def test_a_failure_is_the_end_whatever_was_shown():
    failed = answer(code=Code.CANCELLED)

    assert read([chunk(1, 0), failed]) == [chunk(1, 0), failed]


def test_an_answer_without_pieces_is_one_piece():
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    response = answer(tool_calls=calls, reasoning_content="hm", logprobs={"content": [{"token": "all"}]})

    piece, end = read([response])

    assert end == response
    assert piece == Chunk(
        request_id="r", attempt=1, seq=0, delta="all of it", tool_calls=[{"index": 0, **calls[0]}],
        reasoning_content="hm", logprobs=[{"token": "all"}], last=True,
    )  # fmt: skip


def test_an_answer_without_pieces_is_not_shown_again_after_a_cut_before_its_end():
    order = Order(True)
    order.end(answer())

    assert order.end(answer()) == (answer(),)


@pytest.mark.parametrize(
    ("shown", "items"), [((1, 1), 1), ((1, 0), 2), ((0, -1), 2)], ids=["all", "some", "nothing"]
)
def test_a_response_that_was_found_late_makes_up_for_missing_pieces(shown: tuple[int, int], items: int):
    order = Order(True, *shown)

    found = order.late(answer((1, 1)))

    assert len(found) == items
    assert found[-1] == answer((1, 1))
    assert items == 1 or (isinstance(found[0], Chunk) and found[0].attempt == shown[0] + 1)


@pytest.mark.parametrize("order", [Order(False), Order(True)])
def test_a_failure_that_was_found_late_is_the_end(order: Order):
    failed = answer(code=Code.INTERNAL)

    assert order.late(failed) == (failed,)
    assert Order(False).late(answer()) == (answer(),)
