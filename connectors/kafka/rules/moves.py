"""Moves: a request of a conversation that a foreign partitioner put elsewhere is forwarded, once.

The mover sets `request_id`, `deadline_ms`, `origin`, the attempts so far and `hop`, and names the partition;
the offset it came from settles as moved. Requests without a `context_id` stay where they are.
"""

from collections.abc import Callable
from uuid import UUID

from schemas.records import Headers, Record
from schemas.requests import Request

HOP = "hop"
"""Header of a record that has been forwarded; it is not forwarded again."""

Partitioner = Callable[[bytes], int]
"""murmur2 of the key's bytes, as every Kafka client computes it, before the modulo."""


def home(context_id: UUID, partitions: int, murmur2: Partitioner) -> int:
    """The partition that a conversation belongs to."""
    return (murmur2(str(context_id).encode()) & 0x7FFFFFFF) % partitions


def destination(record: Record, request: Request, partitions: int, murmur2: Partitioner) -> int | None:
    """Where the record must go, or `None` when it may stay."""
    if request.context_id is None or any(name == HOP for name, _ in record.headers):
        return None
    partition = home(request.context_id, partitions, murmur2)
    return None if partition == record.partition else partition


def forwarded(record: Record, request_id: str, deadline_ms: int | None) -> Headers:
    """The headers of the forwarded record: the original ones, and what the mover sets."""
    set_by_mover = {
        "request_id": request_id.encode("utf-8", "surrogatepass"),
        "origin": record.place.encode(),
        "attempts": str(record.attempts).encode(),
        HOP: b"1",
    }
    if deadline_ms is not None:
        set_by_mover["deadline_ms"] = str(deadline_ms).encode()
    kept = tuple((name, value) for name, value in record.headers if name not in set_by_mover)
    return (*kept, *set_by_mover.items())
