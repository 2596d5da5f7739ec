"""The call machine: which attempt comes next, and when. Pure; the shell waits, calls and reports back.

A failure is of one of three kinds (`RULES`), by what its class in `schemas.calls` says of it:

| retriable | elsewhere | errors                  | move                                       |
|-----------|-----------|-------------------------|--------------------------------------------|
| yes       | yes       | Throttled, Unavailable  | AGAIN: same route, then the next           |
| yes       | no        | (none)                  | HERE: same route only                      |
| no        | yes       | Missing, Malformed      | NEXT: the next route at once               |
| no        | no        | Refused                 | END: give up with `refused`                |

From a failed attempt, the first row that holds:

| #  | when                                                          | step                               |
|----|---------------------------------------------------------------|------------------------------------|
| 1  | move END                                                      | give up, `refused`                 |
| 2  | the deadline has come                                         | give up, `deadline_exceeded`       |
| 3  | the attempt had the highest number allowed                    | give up, `model_unavailable`       |
| 4  | AGAIN or HERE, retries left here, the wait is short enough    | same route, after the wait         |
| 5  | AGAIN or NEXT, a route is left                                | next route, now                    |
| 6  | AGAIN or HERE, retries left here, the wait ends in time       | same route, after the wait         |
| 7  | AGAIN or HERE, retries left here                              | give up, `deadline_exceeded`       |
| 8  | else                                                          | give up, `model_unavailable`       |

The wait is what the server asked for, to the millisecond, rounded up; else a random share of a limit that
doubles with each retry ("full jitter"), at least `min_wait`. It is short enough when it ends before the
deadline and, if the server asked for it, is no longer than `max_wait`; it ends in time when it ends before
the deadline. Attempts are numbered through over routes, from `first_attempt`: those that earlier owners of
the request started count against `max_attempts` too.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from math import ceil

from flows.stages.jobs import CallPlan, PlannedRoute
from schemas.calls import ProviderError
from schemas.codes import Code

_REASON_CHARS = 200
_MESSAGE_CHARS = 1000


class Move(Enum):
    """What kind of failure it was."""

    AGAIN = "again"
    """The same route, then others."""
    HERE = "here"
    """The same route only."""
    NEXT = "next"
    """Other routes only."""
    END = "end"
    """Nothing would help."""


RULES: Mapping[tuple[bool, bool], Move] = {
    (True, True): Move.AGAIN,
    (True, False): Move.HERE,
    (False, True): Move.NEXT,
    (False, False): Move.END,
}
"""Move by (retriable, elsewhere) of the error."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long between."""

    retries_per_route: int = 2
    """Further tries of a route after its first."""
    max_attempts: int = 8
    """Highest number an attempt of a request may have."""
    base: timedelta = timedelta(milliseconds=250)
    """Limit of the first wait."""
    factor: float = 2.0
    """By how much the limit grows with each retry of a route."""
    cap: timedelta = timedelta(seconds=20)
    """Most that the limit grows to."""
    min_wait: timedelta = timedelta(0)
    """Least wait before a retry, unless the server names one."""
    max_wait: timedelta = timedelta(seconds=30)
    """Longest wait a server may ask for while another route is left."""


@dataclass(frozen=True, slots=True)
class Try:
    """Make an attempt."""

    route: PlannedRoute
    """Where."""
    attempt: int
    """Its number."""
    at_ms: int
    """Not before this moment, Unix time in milliseconds."""
    reason: str
    """Why there: the plan's reason, `retry after throttled`, `fallback after unavailable`."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer with a failure."""

    code: Code
    """Stable name."""
    message: str
    """What happened, in one line."""


Step = Try | GiveUp


@dataclass(slots=True)
class CallMachine:
    """The way of one request over its plan. Ask `begin` once, then `failed` after each attempt that did."""

    plan: CallPlan
    policy: RetryPolicy
    deadline_ms: int | None
    first_attempt: int = 1
    _attempt: int = field(default=0, init=False)
    _index: int = field(default=0, init=False)
    _retries: int = field(default=0, init=False)
    _reasons: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _tries: Counter[str] = field(default_factory=Counter[str], init=False)

    def begin(self, now_ms: int) -> Step:
        """The first step."""
        self._attempt = self.first_attempt - 1
        if self._late(now_ms):
            return GiveUp(Code.DEADLINE_EXCEEDED, "the deadline passed before the first call")
        if self._attempt >= self.policy.max_attempts:
            message = f"{self._attempt} attempts were started before, all in vain"
            return GiveUp(Code.MODEL_UNAVAILABLE, message)
        return self._go(now_ms, self.plan.reason)

    def failed(self, error: ProviderError, now_ms: int, jitter: float) -> Step:
        """The step after a failed attempt; `jitter` is a random number from 0 to under 1."""
        self._note(error)
        move = RULES[error.retriable, error.elsewhere]
        return self._ending(error, move, now_ms) or self._onward(error, move, now_ms, jitter)

    def _ending(self, error: ProviderError, move: Move, now_ms: int) -> GiveUp | None:
        """Rows 1 to 3."""
        if move is Move.END:
            return GiveUp(Code.REFUSED, error.reason[:_MESSAGE_CHARS])
        if self._late(now_ms):
            return self._deadline_exceeded()
        return self._unavailable() if self._attempt >= self.policy.max_attempts else None

    def _onward(self, error: ProviderError, move: Move, now_ms: int, jitter: float) -> Step:
        """Rows 4 to 8."""
        stay = move in (Move.AGAIN, Move.HERE) and self._retries < self.policy.retries_per_route
        at_ms = now_ms + self._wait_ms(error, jitter)
        if stay and self._short(error, at_ms):
            return self._again(error, at_ms)
        if move is not Move.HERE and self._index + 1 < len(self.plan.routes):
            return self._next(error, now_ms)
        if stay:
            return self._deadline_exceeded() if self._late(at_ms) else self._again(error, at_ms)
        return self._unavailable()

    def _again(self, error: ProviderError, at_ms: int) -> Try:
        self._retries += 1
        return self._go(at_ms, f"retry after {error.outcome}")

    def _next(self, error: ProviderError, now_ms: int) -> Try:
        self._index += 1
        self._retries = 0
        return self._go(now_ms, f"fallback after {error.outcome}")

    def _go(self, at_ms: int, reason: str) -> Try:
        self._attempt += 1
        return Try(self.plan.routes[self._index], self._attempt, at_ms, reason)

    def _late(self, at_ms: int) -> bool:
        return self.deadline_ms is not None and at_ms >= self.deadline_ms

    def _short(self, error: ProviderError, at_ms: int) -> bool:
        asked_s = error.retry_after_s
        return not self._late(at_ms) and (asked_s is None or asked_s <= self.policy.max_wait.total_seconds())

    def _wait_ms(self, error: ProviderError, jitter: float) -> int:
        if error.retry_after_s is not None:
            return _whole_ms(max(error.retry_after_s, 0.0))
        policy = self.policy
        limit_s = min(policy.base.total_seconds() * policy.factor**self._retries, policy.cap.total_seconds())
        return _whole_ms(max(limit_s * jitter, policy.min_wait.total_seconds()))

    def _note(self, error: ProviderError) -> None:
        name = self.plan.routes[self._index].route.name
        self._tries[name] += 1
        self._reasons[name] = error.reason[:_REASON_CHARS]

    def _deadline_exceeded(self) -> GiveUp:
        return GiveUp(Code.DEADLINE_EXCEEDED, self._summary("no answer before the deadline"))

    def _unavailable(self) -> GiveUp:
        return GiveUp(Code.MODEL_UNAVAILABLE, self._summary("no route could answer"))

    def _summary(self, what: str) -> str:
        """What happened; then each route tried, how often, and its last reason."""
        parts = [f"{name} ({self._tries[name]}x): {reason}" for name, reason in self._reasons.items()]
        return f"{what}: {'; '.join(parts)}"[:_MESSAGE_CHARS]


def _whole_ms(length_s: float) -> int:
    """Milliseconds, rounded up; what floating point adds far behind the comma doesn't count."""
    return ceil(round(length_s * 1000, 6))
