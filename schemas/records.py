"""A request record as it lies on its topic: what the source hands to the flow."""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.topics import SOURCES, source_text

Headers = tuple[tuple[str, bytes], ...]
"""Record headers in their order; a name may stand more than once, the last one holds."""


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of one request record, its place, and what recovery knows of it."""

    source: int
    """Number of its topic in `schemas.topics.SOURCES`."""
    partition: int
    """Its partition."""
    offset: int
    """Its offset."""
    timestamp_ms: int
    """When the broker appended it, Unix time in milliseconds."""
    key: bytes | None
    """Its key."""
    value: bytes | None
    """Its value; never `None` for a request (those are fences and are skipped)."""
    headers: Headers = ()
    """Its headers."""
    attempts: int = 0
    """Highest attempt that an earlier owner started; 0 when none."""
    unknown_outcome: bool = False
    """Whether an earlier owner started a call for it and was not heard of again."""
    epoch: int = 0
    """The reader's ownership of the partition when it was read; a later one does not own it any more."""
    crash_loop: bool = False
    """Whether recovery named this record as the one that stops its worker: it must not be worked on."""

    @property
    def place(self) -> str:
        """`topic/partition/offset`, the identity of the request record."""
        return source_text(SOURCES[self.source].name, self.partition, self.offset)


class Outgoing(NamedTuple):
    """A record on its way out."""

    topic: str
    """Topic, with the installation's prefix."""
    value: bytes | None
    """Value; `None` for a fence."""
    partition: int | None = None
    """Partition; `None` for the one the key hashes to."""
    key: bytes | None = None
    """Key."""
    headers: Headers = ()
    """Headers."""
