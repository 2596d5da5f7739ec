"""What is held of one stream between the shared consumer and its reader, bounded. Pure.

Kafka is the buffer. A reader that is slower than its answer loses what is held, not what is on the log:

    live        records from `live_from` on are held; the reader has come that far, and takes them
    behind      records from `live_from` on are held; the reader is before it, and reads the log up to there
    lagging     nothing is held (`live_from` is None): it overflowed; the reader reads the log, and `rearm`
                starts to hold again

A record is taken once, whichever way it came: `next` says which offset is looked at next.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_RECORDS = 256
"""Most records held of one stream."""
MAX_BYTES = 1024 * 1024
"""Most bytes of them."""


class Raw(NamedTuple):
    """A record of the reply topic as it was read."""

    offset: int
    """Its offset."""
    final: bool
    """Whether it is the response; else a chunk."""
    value: bytes
    """The event, as JSON."""


@dataclass(slots=True)
class Window:
    """The records held of one stream, all of one partition."""

    next: int
    """Offset that the reader looks at next."""
    live_from: int | None
    """From here on records are held; `None` while lagging."""
    held: deque[Raw] = field(default_factory=deque[Raw])
    """What is held, by offset."""
    held_bytes: int = 0
    """Their bytes."""
    overflows: int = 0
    """How often what was held had to be dropped."""

    def push(self, raw: Raw) -> None:
        """The shared consumer read a record of this stream."""
        if self.live_from is None or raw.offset < self.next:
            return
        if len(self.held) >= MAX_RECORDS or (self.held and self.held_bytes + len(raw.value) > MAX_BYTES):
            self.drop()
            self.overflows += 1
            return
        self.held.append(raw)
        self.held_bytes += len(raw.value)

    def drop(self) -> None:
        """Hold nothing any more."""
        self.held.clear()
        self.held_bytes = 0
        self.live_from = None

    @property
    def live(self) -> bool:
        """Whether the reader has come to where records are held."""
        return self.live_from is not None and self.next >= self.live_from

    def take(self) -> Raw | None:
        """The next record held, for a reader that is live."""
        if not self.live or not self.held:
            return None
        raw = self.held.popleft()
        self.held_bytes -= len(raw.value)
        self.next = raw.offset + 1
        return raw

    def rearm(self, position: int) -> None:
        """Hold again, from `position` on: the shared consumer has not looked at that offset yet."""
        if self.live_from is None:
            self.live_from = position

    def caught(self, upto: int) -> None:
        """The log was read up to, and without, an offset."""
        self.next = max(self.next, upto)
        while self.held and self.held[0].offset < self.next:
            self.held_bytes -= len(self.held.popleft().value)
