"""Requests a minute and requests at once, by caller. Pure; time is an argument.

In any 60 seconds at most the limit is let in: seconds are counted apart, and the whole second that has only
partly left the window still counts, so a caller may wait up to a second longer than it must, never shorter.
Each gateway counts for itself; with N of them each grants 1/N of a limit, at least 1.
"""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field

WINDOW_S = 60
MAX_CALLERS = 20_000
"""Most callers that are remembered; over it the one that asked longest ago goes."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a caller has left."""

    limit: int
    """Most requests in a minute."""
    remaining: int
    """Requests that would be let in now."""
    reset_s: float
    """Seconds until all of the limit is free again."""
    retry_s: float = 0.0
    """Seconds until one more is let in; 0 while there is room."""


@dataclass(slots=True)
class _Minute:
    """The requests of one caller in the last minute: (second, how many), in order."""

    seconds: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    total: int = 0


class Rates:
    """Requests a minute."""

    def __init__(self, gateways: int = 1) -> None:
        """Start with nobody known; `gateways` is how many share each limit."""
        self._gateways = gateways
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()

    def take(self, caller: str, limit: int, now_s: float) -> tuple[bool, Room]:
        """Count one request at a moment; whether it may go on, and what is left after it."""
        most = max(1, limit // self._gateways)
        minute = self._minutes.setdefault(caller, _Minute())
        self._minutes.move_to_end(caller)
        if len(self._minutes) > MAX_CALLERS:
            self._minutes.popitem(last=False)
        _forget(minute, now_s)
        free = minute.total < most
        if free:
            _count(minute, math.floor(now_s))
        return free, _room(minute, most, now_s)

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._minutes)


class Busy:
    """Requests under way, by caller."""

    def __init__(self, default: int = 256) -> None:
        """Start with nothing under way; `default` is the bound of callers that have none."""
        self._default = default
        self._open: dict[str, int] = {}

    def enter(self, caller: str, most: int | None) -> bool:
        """One more begins; `False` where it may not."""
        count = self._open.get(caller, 0)
        if count >= (self._default if most is None else most):
            return False
        self._open[caller] = count + 1
        return True

    def leave(self, caller: str) -> None:
        """One that had begun has ended."""
        count = self._open.get(caller, 0) - 1
        if count > 0:
            self._open[caller] = count
        else:
            self._open.pop(caller, None)

    def __len__(self) -> int:
        """How many callers have something under way."""
        return len(self._open)


def _forget(minute: _Minute, now_s: float) -> None:
    while minute.seconds and minute.seconds[0][0] + 1 + WINDOW_S <= now_s:
        minute.total -= minute.seconds.popleft()[1]


def _count(minute: _Minute, second: int) -> None:
    if minute.seconds and minute.seconds[-1][0] >= second:  # a clock that stepped back counts on
        last, count = minute.seconds.pop()
        minute.seconds.append((last, count + 1))
    else:
        minute.seconds.append((second, 1))
    minute.total += 1


def _room(minute: _Minute, most: int, now_s: float) -> Room:
    remaining = max(0, most - minute.total)
    reset_s = minute.seconds[-1][0] + 1 + WINDOW_S - now_s if minute.seconds else 0.0
    retry_s = 0.0 if remaining else minute.seconds[0][0] + 1 + WINDOW_S - now_s
    return Room(most, remaining, reset_s, retry_s)
