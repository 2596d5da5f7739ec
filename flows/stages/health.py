"""Which routes answer: a route that fails too often in a row is left alone for a while.

| state        | event                       | then                                     |
|--------------|-----------------------------|------------------------------------------|
| healthy      | failure, below allowed      | healthy, one more failure remembered     |
| healthy      | failure, the allowed number | unhealthy until now + cooldown           |
| unhealthy    | cooldown over               | healthy; the next failure closes again   |
| any          | success                     | healthy, nothing remembered              |

One writer and any readers in other threads: an entry is replaced, never changed.
"""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When a route is left alone, and for how long."""

    allowed_fails: int = 3
    """Failures in a row that make a route unhealthy."""
    cooldown: timedelta = timedelta(seconds=5)
    """How long it is left alone then."""


@dataclass(slots=True)
class Health:
    """What is known of routes, by name. Its fields are its whole state."""

    policy: HealthPolicy = HealthPolicy()
    _fails: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def record(self, route: str, ok: bool, now_ms: int) -> None:
        """Note how a call of the route ended."""
        if ok:
            self._fails.pop(route, None)
            return
        fails = self._fails.get(route, (0, 0))[0] + 1
        cooldown_ms = self.policy.cooldown // timedelta(milliseconds=1)
        until_ms = now_ms + cooldown_ms if fails >= self.policy.allowed_fails else 0
        self._fails[route] = (fails, until_ms)

    def healthy(self, route: str, now_ms: int) -> bool:
        """Whether the route may be chosen first."""
        return now_ms >= self._fails.get(route, (0, 0))[1]
