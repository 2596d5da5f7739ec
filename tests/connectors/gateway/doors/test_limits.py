"""Requests a minute and at once: never more than the limit in any minute, and never less for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.doors import limits
from connectors.gateway.doors.limits import Busy, Rates, Room

EDGES = st.sampled_from([0.0, 0.1, 0.9, 29.5, 59.05, 59.95, 60.0, 61.0])
GAPS = st.lists(st.floats(0, 20) | EDGES, min_size=1, max_size=60)


@given(GAPS, st.integers(1, 8))
def test_in_no_minute_more_than_the_limit_is_let_in(gaps: list[float], limit: int):
    rates, now_s, admitted = Rates(), 1000.0, list[float]()
    for gap in gaps:
        now_s += gap
        if rates.take("a", limit, now_s)[0]:
            admitted.append(now_s)

    assert all(sum(t - 60 < each <= t for each in admitted) <= limit for t in admitted)


@given(GAPS, st.integers(1, 8))
def test_who_stayed_under_the_limit_for_61_seconds_is_let_in(gaps: list[float], limit: int):
    rates, now_s, admitted = Rates(), 1000.0, list[float]()
    for gap in gaps:
        now_s += gap
        free, room = rates.take("a", limit, now_s)
        recent = sum(now_s - 61 < each for each in admitted)
        if recent < limit:
            assert free
        admitted += [now_s] if free else []

        assert room.limit == limit
        assert 0 <= room.remaining <= limit
        assert (room.retry_s > 0) == (room.remaining == 0)


@given(GAPS, st.integers(1, 4))
def test_the_wait_that_is_told_is_enough(gaps: list[float], limit: int):
    rates, now_s = Rates(), 1000.0
    for gap in gaps:
        now_s += gap
        free, room = rates.take("a", limit, now_s)
        if not free:
            now_s += room.retry_s + 1e-6

            assert rates.take("a", limit, now_s)[0]


def test_what_is_left_counts_down_and_comes_back():
    rates = Rates()

    assert rates.take("a", 2, 10.5) == (True, Room(2, 1, 60.5))
    assert rates.take("a", 2, 20.0) == (True, Room(2, 0, 61.0, 51.0))
    assert rates.take("a", 2, 20.0) == (False, Room(2, 0, 61.0, 51.0))
    assert rates.take("a", 2, 71.0) == (True, Room(2, 0, 61.0, 10.0))
    assert rates.take("a", 2, 500.0) == (True, Room(2, 1, 61.0))


def test_callers_do_not_count_for_each_other():
    rates = Rates()

    assert rates.take("a", 1, 0)[0]
    assert rates.take("b", 1, 0)[0]
    assert not rates.take("a", 1, 0)[0]


def test_a_clock_that_steps_back_forgets_nothing():
    rates = Rates()
    rates.take("a", 2, 100.0)
    rates.take("a", 2, 50.0)

    assert not rates.take("a", 2, 60.0)[0]


def test_gateways_share_a_limit_and_each_grants_at_least_one():
    two, many = Rates(gateways=2), Rates(gateways=100)

    assert [two.take("a", 5, 0)[0] for _ in range(3)] == [True, True, False]
    assert [many.take("a", 5, 0)[0] for _ in range(2)] == [True, False]


def test_of_too_many_callers_the_quietest_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_CALLERS", 2)
    rates = Rates()
    for caller in ("a", "b", "a", "c"):
        rates.take(caller, 2, 0)

    assert len(rates) == 2
    assert not rates.take("a", 2, 0)[0]
    assert rates.take("b", 2, 0)[1].remaining == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_no_caller_has_more_under_way_than_it_may(steps: list[tuple[str, bool]]):
    busy, inside = Busy(default=2), dict.fromkeys("abc", 0)
    for caller, enters in steps:
        most = 1 if caller == "a" else None
        if enters:
            entered = busy.enter(caller, most)
            assert entered == (inside[caller] < (most or 2))
            inside[caller] += entered
        elif inside[caller]:
            busy.leave(caller)
            inside[caller] -= 1

    assert len(busy) == sum(count > 0 for count in inside.values())
