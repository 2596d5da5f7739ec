"""Forwards a turn that a foreign partitioner put elsewhere to the partition its conversation belongs to.

The mover sets `request_id`, `deadline_ms`, `origin`, the attempts so far and `hop`, and names the partition;
the offset it came from settles as moved. At most one forward; requests without a conversation stay.
"""

from collections.abc import Callable
from uuid import UUID

from flows.stages.jobs import Job
from schemas.cluster import Cluster
from schemas.records import Headers, Outgoing, Record
from schemas.topics import REQUESTS

HOP = "hop"
"""Header of a record that has been forwarded; it is not forwarded again."""

Hash = Callable[[bytes], int]
"""murmur2, as every Kafka client computes it."""


def home(context_id: UUID, partitions: int, murmur2: Hash) -> int:
    """The partition that a conversation belongs to."""
    return (murmur2(str(context_id).encode()) & 0x7FFFFFFF) % partitions


def forward(job: Job, cluster: Cluster, murmur2: Hash) -> Outgoing | None:
    """The record to write where the job belongs, or `None` when it may stay."""
    record, context_id = job.record, job.request.context_id
    if context_id is None or any(name == HOP for name, _ in record.headers):
        return None
    partition = home(context_id, cluster.partitions, murmur2)
    if partition == record.partition:
        return None
    topic = cluster.topic(REQUESTS.name)
    return Outgoing(topic, record.value, partition, record.key, _headers(record, job))


def _headers(record: Record, job: Job) -> Headers:
    """The original headers, and what the mover sets."""
    set_by_mover = {
        "request_id": job.request_id.encode("utf-8", "surrogatepass"),
        "deadline_ms": str(job.deadline_ms).encode(),
        "origin": record.place.encode(),
        "attempts": str(record.attempts).encode(),
        HOP: b"1",
    }
    kept = tuple((name, value) for name, value in record.headers if name not in set_by_mover)
    return (*kept, *set_by_mover.items())
