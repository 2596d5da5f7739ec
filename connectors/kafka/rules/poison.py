"""Crashes, suspects, and the records that are fed one at a time.

Rules that hold here, for one partition:
- At takeover the successor first commits crashes + 1 (an orderly release left `RELEASED`, so it starts at
  0). A watermark that this owner moved resets the count.
- While crashes are counted, no offset is fed before a commit has said how far the feeding goes (`fed`).
- From the second crash on, the records from the watermark up to `fed` pass the synchronous steps one at a
  time, each named as suspect in a commit first. A worker names one suspect at a time, over all partitions,
  and nothing else passes those steps meanwhile: else a crash would blame an innocent.
- Only a named suspect becomes a dead letter, at the third crash.
"""

from collections.abc import Container
from dataclasses import dataclass

from connectors.kafka.rules.marks import NOBODY, Mark, Note

ONE_AT_A_TIME = 2
"""Crashes from which on the suspects are fed alone."""
DEAD_LETTER = 3
"""Crashes from which on a named suspect becomes a dead letter."""


@dataclass(slots=True)
class Poison:
    """The crash bookkeeping of one partition, while this worker owns it."""

    crashes: int = 0
    """Takeovers without an orderly release since the watermark last moved."""
    start: int = 0
    """The watermark at takeover."""
    fed: int = 0
    """No offset at or above this one may be fed while crashes are counted; committed before it is used."""
    slow_until: int = 0
    """Offsets below this one are fed one at a time."""
    suspect: int = NOBODY
    """Offset that is passing the synchronous steps alone; committed before it is fed."""
    dead: int = NOBODY
    """Offset that must become a dead letter."""

    @classmethod
    def takeover(cls, mark: Mark) -> "Poison":
        """What the successor of `mark` starts with; `commit()` must be durable before anything is fed."""
        crashes = mark.crashes + 1
        if crashes == 0:
            return cls(start=mark.offset)
        named = crashes >= DEAD_LETTER and mark.suspect != NOBODY
        slow = crashes >= ONE_AT_A_TIME
        return cls(
            crashes=crashes,
            start=mark.offset,
            fed=max(mark.fed, mark.offset) if slow else mark.offset,
            slow_until=max(mark.fed, mark.offset) if slow else mark.offset,
            suspect=mark.suspect if named else NOBODY,
            dead=mark.suspect if named else NOBODY,
        )

    def scanned(self, answered: Container[int]) -> None:
        """The scan is over: what the predecessor answered at the watermark is no progress of this owner's."""
        while self.start in answered:
            self.start += 1

    def moved(self, watermark: int) -> None:
        """The watermark moved: past its place at takeover and the slow zone, crashes are forgotten."""
        if self.crashes and watermark > self.start and watermark >= self.slow_until:
            self.crashes = 0
            self.suspect = NOBODY

    def slow(self, offset: int) -> bool:
        """Whether the record at `offset` is fed alone, after a commit that names it."""
        return self.crashes >= ONE_AT_A_TIME and offset < self.slow_until

    def allowed(self, offset: int) -> bool:
        """Whether the record at `offset` may be fed without another commit."""
        if not self.crashes:
            return True
        if self.slow(offset):
            return self.suspect == offset
        return offset < self.fed

    def passed(self, offset: int) -> None:
        """The record fed alone went through the synchronous steps; the next commit names it no more."""
        if self.suspect == offset:
            self.suspect = NOBODY

    def propose(self, offset: int, last: int) -> None:
        """Ask to feed `offset`, alone, or with those up to `last`: the next commit will allow it."""
        if self.slow(offset):
            self.suspect = offset
        else:
            self.suspect = NOBODY
            self.fed = max(self.fed, last + 1)

    def withdraw(self, offset: int) -> None:
        """The commit that would have allowed `offset` and what follows it failed: they may not be fed yet."""
        self.fed = min(self.fed, offset)

    def mark(self, watermark: int, note: Note) -> Mark:
        """What to commit with the watermark."""
        if not self.crashes:
            return Mark(watermark, note)
        return Mark(watermark, note, self.crashes, self.fed, self.suspect)
