"""When a child is started again: the rule alone."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.process.backoff import Backoff, Failures


def _waits(*runs_s: float) -> list[float]:
    """The wait after each of these runs, without jitter."""
    failures = Failures(Backoff())
    return [failures.after(ran_s, 0) for ran_s in runs_s]


def test_wait_doubles_with_each_failure_at_once_up_to_fifteen_seconds():
    assert _waits(*[0.1] * 9) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]


def test_first_failure_after_five_seconds_waits_nothing_and_the_next_ones_wait():
    assert _waits(5, 5, 5, 0.1) == [0, 0.2, 0.4, 0.8]


def test_failure_that_waited_is_not_followed_by_one_that_does_not():
    assert _waits(4.9, 14.9) == [0.2, 0.4]


def test_fifteen_seconds_of_health_forget_the_failures_before():
    assert _waits(5, 1, 1, 15, 1) == [0, 0.2, 0.4, 0, 0.2]


@given(st.integers(1, 200), st.floats(0, 1))
def test_wait_is_never_longer_than_the_rule_and_never_nothing(failures: int, chance: float):
    delay_s = Backoff().delay(failures, chance).total_seconds()
    full_s = min(0.2 * 2 ** (failures - 1), 15)

    assert full_s * 0.8 - 1e-6 <= delay_s <= full_s + 1e-6


@given(st.lists(st.floats(0, 14.9), min_size=1, max_size=50))
def test_of_failures_in_a_row_at_most_one_waits_nothing(runs_s: list[float]):
    assert _waits(*runs_s).count(0) <= 1
