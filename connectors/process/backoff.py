"""When a child that ended is started again; pure.

Rules that hold here:
- The n-th failure in a row waits 0.2 s x 2^(n-1), 15 s at most, jittered; 15 s of health forget the past.
- The first failure after that, of a child that ran for 5 s, waits nothing: it had served, and was killed
  or lost its session. The next one waits. What fails at once always waits, so that poison doesn't spin.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a child is started again."""

    first: timedelta = timedelta(milliseconds=200)
    """After the first failure; doubles with each."""
    most: timedelta = timedelta(seconds=15)
    """Never longer."""
    steady: timedelta = timedelta(seconds=5)
    """A run of this length may end once without a wait."""
    healthy: timedelta = timedelta(seconds=15)
    """A run of this length forgets the failures before it."""
    jitter_ratio: float = 0.2
    """Up to this share is taken off by chance, so that children don't start in step."""

    def delay(self, failures: int, chance: float) -> timedelta:
        """The wait after that many failures in a row (from 1); `chance` is from 0 to 1."""
        doubled = self.first * 2 ** min(failures - 1, 30)
        return min(doubled, self.most) * (1 - self.jitter_ratio * chance)


@dataclass(slots=True)
class Failures:
    """The past of one child. Its fields are its whole state."""

    backoff: Backoff
    count: int = 0
    """Failures in a row that waited."""
    spared: bool = False
    """Whether one did not have to."""

    def after(self, ran_s: float, chance: float) -> float:
        """Note a failure after a run of that length; the wait before the next start, in seconds."""
        if ran_s >= self.backoff.healthy.total_seconds():
            self.count, self.spared = 0, False
        if ran_s >= self.backoff.steady.total_seconds() and not self.count and not self.spared:
            self.spared = True
            return 0.0
        self.count += 1
        return self.backoff.delay(self.count, chance).total_seconds()
