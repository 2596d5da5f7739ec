"""What a new owner learns from the logs of responses and usage, before it feeds a partition.

Rules that hold here, for one partition:
- A fence of the new owner's own ends each log: what follows it is not the predecessor's.
- What is answered is skipped. What was started and not answered is an unknown outcome; its next attempt is
  1 + the highest started.
- The derived records (ledger, copy) of what is answered and has no `settled` entry are written again.
- The window of repeats is rebuilt from `started` and `settled`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.kafka.rules.marks import Mark, Note
from schemas.packed import MOVED, NO_OFFSET, REMEMBERED, Settled, Started


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a takeover's scan."""

    answered: dict[int, int]
    """Offset of an answered request to that of its response (`NO_OFFSET` for moved ones and repeats)."""
    attempts: dict[int, int]
    """Offset of a started request without an answer to the highest attempt that was started."""
    high: int
    """1 + the highest offset that earlier owners answered or started."""
    ends: Note
    """1 + the offsets of the fences."""


@dataclass(slots=True)
class Scan:
    """Takes in the records of both logs, usage first, and says what they amount to."""

    source: int
    """Number of the source topic."""
    mark: Mark
    """What the predecessor committed."""
    settled: dict[int, int] = field(default_factory=dict[int, int])
    """Offsets at or above the watermark that are done with, and the offset of their response."""
    started: dict[int, int] = field(default_factory=dict[int, int])
    """Offsets at or above the watermark that were started, and their highest attempt."""
    answered: dict[int, int] = field(default_factory=dict[int, int])
    """Offsets at or above the watermark that have a response, and its offset."""
    response_end: int | None = None
    """1 + the offset of the fence in the responses; `None` until it was met."""
    usage_end: int | None = None
    """1 + the offset of the fence in the usage log; `None` until it was met."""

    def take_started(self, entries: Iterable[Started]) -> None:
        """Entries of a `started` record."""
        for entry in entries:
            if entry.source == self.source and entry.offset >= self.mark.offset:
                self.started[entry.offset] = max(entry.attempt, self.started.get(entry.offset, 0))

    def take_settled(self, entries: Iterable[Settled]) -> None:
        """Entries of a `settled` record."""
        for entry in entries:
            if entry.source == self.source and entry.offset >= self.mark.offset:
                self.settled[entry.offset] = entry.response_offset

    def take_response(self, offset: int, response_offset: int) -> bool:
        """A response to the request at `offset`; whether its derived records must be written again."""
        if offset < self.mark.offset or offset in self.answered:
            return False
        self.answered[offset] = response_offset
        return offset not in self.settled

    @property
    def complete(self) -> bool:
        """Whether both fences were met."""
        return self.response_end is not None and self.usage_end is not None

    def result(self) -> Found:
        """What it amounts to.

        Raises:
            ValueError: Before both fences were met.
        """
        if self.response_end is None or self.usage_end is None:
            raise ValueError("the scan is not complete")
        answered = {**self.settled, **self.answered}
        attempts = {offset: n for offset, n in self.started.items() if offset not in answered}
        high = max((*answered, *attempts, self.mark.offset - 1)) + 1
        return Found(answered, attempts, high, Note(self.response_end, self.usage_end))


def remembers(entry: Settled) -> bool:
    """Whether a settled entry belongs into the window of repeats."""
    return bool(entry.flags & REMEMBERED) and not entry.flags & MOVED and entry.response_offset != NO_OFFSET
