"""Open offsets, notes and the watermark of one partition, and the metadata of its commits.

Rules that hold here:
- Offsets settle out of order; the watermark is the lowest that is not settled.
- A note says where a takeover must begin to read: 1 + the highest response and usage offsets that were
  acknowledged to this worker when the batch of the request was read.
- The watermark is committed with the note of *its own* request.
- Offsets below `high` (1 + the highest offset that earlier owners answered or started) keep the note they
  were inherited with: else a second crash would forget what the first owner answered.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

_VERSION = "1"

NOBODY = -1
"""No suspect."""
RELEASED = -1
"""Crashes of a partition that was given back in order: the next owner starts at 0."""


class Note(NamedTuple):
    """Where a takeover begins to read."""

    response_offset: int
    """First offset of `llm.responses` that may answer the request or a later one."""
    usage_offset: int
    """First offset of `llm.usage` that may tell of the request or a later one."""


class Mark(NamedTuple):
    """What is committed for a partition: the watermark and, as metadata, what the next owner must know."""

    offset: int
    """The watermark: the lowest offset that is not settled."""
    note: Note
    """The note of that offset's request."""
    crashes: int = 0
    """Takeovers without an orderly release since the watermark last moved; `RELEASED` after one."""
    fed: int = 0
    """While crashes are counted: no offset at or above this one was fed."""
    suspect: int = NOBODY
    """Offset that was passing the synchronous steps alone, or `NOBODY`."""

    def metadata(self) -> str:
        """The commit's metadata: fixed fields, at most 90 characters."""
        return f"{_VERSION};{self.note[0]};{self.note[1]};{self.crashes};{self.fed};{self.suspect}"


def read_mark(offset: int, metadata: str) -> Mark | None:
    """Read a committed offset and its metadata; `None` where the metadata can't be read."""
    fields = metadata.split(";")
    if len(fields) != 6 or fields[0] != _VERSION:
        return None
    try:
        response, usage, crashes, fed, suspect = map(int, fields[1:])
    except ValueError:
        return None
    if min(response, usage, fed) < 0 or crashes < RELEASED or suspect < NOBODY:
        return None
    return Mark(offset, Note(response, usage), crashes, fed, suspect)


@dataclass(slots=True)
class Marks:
    """The bookkeeping of one partition of one source topic, while this worker owns it."""

    next: int
    """Offset of the next record to be read."""
    inherited: Note
    """The note that the partition came with."""
    ends: Note
    """1 + the highest response and usage offsets known to be durable."""
    high: int = 0
    """1 + the highest offset that earlier owners answered or started."""
    answered: set[int] = field(default_factory=set[int])
    """Offsets that earlier owners answered; they are skipped."""
    open: dict[int, None] = field(default_factory=dict[int, None])
    """Offsets read and not settled, rising."""
    notes: deque[tuple[int, Note]] = field(default_factory=deque[tuple[int, Note]])
    """First offset of a batch and its note, rising; the first one is the inherited note."""

    def __post_init__(self) -> None:
        self.notes.append((self.next, self.inherited))

    def read(self, offsets: Iterable[int], last: int) -> list[int]:
        """A batch was read up to `last`: note it and return the offsets that must be worked on, in order."""
        taken = [offset for offset in offsets if offset >= self.next]
        if last >= self.high and self.notes[-1][1] != self.ends:
            self.notes.append((max(taken[0] if taken else self.next, self.high), self.ends))
        if self.answered:
            taken = [offset for offset in taken if offset not in self.answered]
        self.open.update(dict.fromkeys(taken))
        self.next = max(self.next, last + 1)
        if self.answered and self.next >= self.high:
            self.answered = set()
        return taken

    def settle(self, offset: int) -> None:
        """An offset is done, with all that is derived from it."""
        self.open.pop(offset, None)

    def durable(self, response: int | None = None, usage: int | None = None) -> None:
        """A response or usage record was acknowledged at that offset."""
        ends = self.ends
        self.ends = Note(
            max(ends.response_offset, -1 if response is None else response + 1),
            max(ends.usage_offset, -1 if usage is None else usage + 1),
        )

    def watermark(self) -> tuple[int, Note]:
        """The lowest offset that is not settled, and the note of its request."""
        if not self.open:
            if self.next < self.high:
                return self.next, self.inherited
            self.notes = deque([(self.next, self.ends)])  # or they would pile up where calls are short
            return self.next, self.ends
        mark = next(iter(self.open))
        while len(self.notes) > 1 and self.notes[1][0] <= mark:
            self.notes.popleft()
        return mark, self.notes[0][1]
