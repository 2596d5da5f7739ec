"""A second writing of the retry rules, to hold the machine against.

It keeps no state: from the whole history of failures it says what must come next. Where the machine
counts, this looks back; where the machine compares milliseconds, this works in exact fractions.
"""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from flows.stages.retry import RetryPolicy
from schemas.calls import ProviderError
from schemas.codes import Code

History = list[tuple[ProviderError, int, float]]
"""Failures so far: error, moment in milliseconds, jitter."""


@dataclass(frozen=True)
class Expected:
    """What must come next: a try, or the code of giving up."""

    route: int | None = None
    attempt: int | None = None
    at_ms: int | None = None
    reason: str | None = None
    code: Code | None = None


def expect(
    routes: int, policy: RetryPolicy, deadline_ms: int | None, first: int, history: History
) -> Expected:
    """The step after a history that had no end before."""
    if not history:
        return expect_first(policy, deadline_ms, first)
    visits = walk(routes, policy, deadline_ms, first, history)
    error, now_ms, jitter = history[-1]
    here = visits[-1]
    attempt = first + len(history)
    tries_here = visits.count(here)
    may_stay = error.retriable and tries_here <= policy.retries_per_route
    may_leave = error.elsewhere and here < routes - 1
    at_ms = now_ms + wait_ms(policy, error, tries_here, jitter)
    in_time = deadline_ms is None or at_ms < deadline_ms
    patient = error.retry_after_s is None or Fraction(error.retry_after_s) <= seconds(policy.max_wait)
    stay = Expected(here, attempt, at_ms, f"retry after {error.outcome}")
    leave = Expected(here + 1, attempt, now_ms, f"fallback after {error.outcome}")
    wishes = [
        (not error.elsewhere and not error.retriable, Expected(code=Code.REFUSED)),
        (deadline_ms is not None and deadline_ms <= now_ms, Expected(code=Code.DEADLINE_EXCEEDED)),
        (attempt > policy.max_attempts, Expected(code=Code.MODEL_UNAVAILABLE)),
        (may_stay and in_time and patient, stay),
        (may_leave, leave),
        (may_stay and in_time, stay),
        (may_stay, Expected(code=Code.DEADLINE_EXCEEDED)),
    ]
    return next((step for holds, step in wishes if holds), Expected(code=Code.MODEL_UNAVAILABLE))


def expect_first(policy: RetryPolicy, deadline_ms: int | None, first: int) -> Expected:
    """The step before any failure, at moment 0."""
    if deadline_ms is not None and deadline_ms <= 0:
        return Expected(code=Code.DEADLINE_EXCEEDED)
    if first > policy.max_attempts:
        return Expected(code=Code.MODEL_UNAVAILABLE)
    return Expected(0, first, 0, "named")


def walk(
    routes: int, policy: RetryPolicy, deadline_ms: int | None, first: int, history: History
) -> list[int]:
    """The route of each attempt that the history tells of."""
    visits: list[int] = []
    for length in range(len(history)):
        where = expect(routes, policy, deadline_ms, first, history[:length]).route
        assert where is not None
        visits.append(where)
    return visits


def wait_ms(policy: RetryPolicy, error: ProviderError, tries_here: int, jitter: float) -> int:
    """Milliseconds to wait, rounded up."""
    if error.retry_after_s is not None:
        wait_s = Fraction(error.retry_after_s)
    else:
        limit_s = seconds(policy.base)
        for _ in range(tries_here - 1):
            limit_s *= Fraction(policy.factor)
        wait_s = max(min(limit_s, seconds(policy.cap)) * Fraction(str(jitter)), seconds(policy.min_wait))
    whole, rest = divmod((wait_s * 1000).limit_denominator(10**9), 1)
    return int(whole) + (1 if rest else 0)


def seconds(length: timedelta) -> Fraction:
    """A length of time in exact seconds."""
    return Fraction(length // timedelta(microseconds=1), 1_000_000)
