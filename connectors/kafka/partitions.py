"""A partition of requests, for the time that this worker owns it."""

from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from connectors.kafka.rules.marks import Marks
from connectors.kafka.rules.poison import Poison
from connectors.kafka.rules.turns import Turns
from schemas.records import Headers, Record


class State(Enum):
    """Where a partition stands with this worker."""

    SCANNING = auto()
    """Taken over; the logs are being read."""
    LIVE = auto()
    """Fed and answered."""
    DRAINING = auto()
    """To be given back: nothing is fed, what is on its way is finished."""
    GONE = auto()
    """Given back: nothing of it is written any more."""


@dataclass(slots=True, eq=False)
class Partition:
    """One partition of one source topic, for the time that this worker owns it."""

    source: int
    """Number of the source topic."""
    number: int
    """Its partition number."""
    epoch: int
    """This ownership; a later one has a higher number."""
    marks: Marks
    """Open offsets and notes."""
    poison: Poison
    """Crash bookkeeping."""
    turns: Turns[Record]
    """Requests that wait for an earlier one."""
    state: State = State.SCANNING
    """Where it stands."""
    attempts: dict[int, int] = field(default_factory=dict[int, int])
    """Offsets with an unknown outcome, and their highest attempt."""
    owed: dict[int, int] = field(default_factory=dict[int, int])
    """Offsets that an earlier owner answered and whose turn it may not have written, and their response's."""
    under_way: int = 0
    """Requests between release and settling."""
    buffered: int = 0
    """Records read and not yet released."""
    backlog: deque[Record] = field(default_factory=deque[Record])
    """Records that wait for a commit before they may be fed, while crashes are counted."""
    sealed: bool = False
    """Whether nothing more is handed to the producer: it is about to be given back."""

    @property
    def place(self) -> int:
        """Source and partition as one number."""
        return self.source << 24 | self.number

    def record(self, read: Any) -> Record:
        """A record as the flow takes it, with what recovery knows of it; `read` is the consumer's."""
        headers: Headers = tuple(read.headers)
        offset: int = read.offset
        unknown = self.attempts.pop(offset, 0) if self.attempts else 0
        return Record(
            self.source,
            self.number,
            offset,
            read.timestamp,
            read.key,
            read.value,
            headers,
            unknown or _moved_attempts(headers),
            unknown > 0,
            self.epoch,
            offset == self.poison.dead,
        )


def _moved_attempts(headers: Headers) -> int:
    """Attempts made before the request was moved here."""
    for name, value in headers:
        if name == "attempts" and value.isdigit() and len(value) < 5:
            return int(value)
    return 0


class Writers:
    """Threads between asking whose a record is and handing over what follows from it; for `with`."""

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        """Count them under this lock."""
        self._lock = lock
        self.count = 0
        """How many there are."""

    def __enter__(self) -> None:
        with self._lock:
            self.count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.count -= 1
