"""Reading topics by assignment, without a group: for commands and clients, which own and commit nothing.

A `Reader` holds one consumer. Every wait has a bound; a broker that is away shows as `BrokerDown` where an
answer is needed, and as an empty poll where it is not.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2
from kafka.structs import TopicPartition

from connectors.kafka.clients import address, client_settings, probe
from connectors.kafka.errors import BrokerDown, TopicMismatch, translate
from schemas.cluster import Cluster
from schemas.records import Headers

RPC_TIMEOUT_MS = 10_000
"""Longest wait for an answer about offsets or metadata."""


class Place(NamedTuple):
    """A partition of a topic, by its name on the cluster."""

    topic: str
    """Topic, prefix included."""
    partition: int
    """Its partition."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as it was read."""

    place: Place
    """Where it lies."""
    offset: int
    """Its offset there."""
    timestamp_ms: int
    """Its timestamp, Unix time in milliseconds."""
    key: bytes | None
    """Its key."""
    value: bytes | None
    """Its value; `None` on a fence."""
    headers: Headers
    """Its headers."""

    def header(self, name: str) -> str | None:
        """Text of the last header of that name; `None` when there is none."""
        for key, value in reversed(self.headers):
            if key == name:
                return value.decode("utf-8", "replace")
        return None


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that a key belongs to: murmur2 as in Kafka's own clients, sign bit off, modulo P."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


class Reader:
    """Reads records by assignment. Not thread safe; close it, or use `reading`."""

    def __init__(self, cluster: Cluster) -> None:
        """Connect to the cluster.

        Raises:
            KafkaProblem: When it can't be reached, or doesn't let us in.
        """
        probe(cluster)
        self._address = address(cluster)
        settings: dict[str, Any] = client_settings(cluster) | {
            "group_id": None,
            "allow_auto_create_topics": False,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 10 * 1024 * 1024,
            "fetch_max_wait_ms": 100,
        }
        self._consumer: Any = KafkaConsumer(**settings)

    def close(self) -> None:
        """End the connection."""
        self._consumer.close(autocommit=False)

    def places(self, topic: str) -> list[Place]:
        """All partitions of a topic, by number.

        Raises:
            TopicMismatch: When the cluster has no such topic.
        """
        try:
            known = self._consumer.partitions_for_topic(topic)
        except KafkaError as error:
            raise translate(error, self._address) from error
        if not known:
            raise TopicMismatch(f"there is no topic {topic}", hint="`weir up` creates the topics")
        return [Place(topic, partition) for partition in sorted(known)]

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Offset of the next record of each partition."""
        return self._offsets("end", places)

    def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """Offset of the oldest record of each partition."""
        return self._offsets("beginning", places)

    def since(self, places: Iterable[Place], timestamp_ms: int) -> dict[Place, int]:
        """Offset of the first record at or after a moment; the end where there is none."""
        wanted = list(places)
        ends = self.ends(wanted)
        moments = {TopicPartition(*place): max(timestamp_ms, 0) for place in wanted}
        try:
            found = self._consumer.offsets_for_times(moments, timeout_ms=RPC_TIMEOUT_MS)
        except KafkaError as error:
            raise translate(error, self._address) from error
        answer: dict[Place, int] = {}
        for place in wanted:
            at = found.get(TopicPartition(*place))
            answer[place] = ends[place] if at is None else int(at.offset)
        return answer

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on, instead of what was read before."""
        self._consumer.assign([TopicPartition(*place) for place in starts])
        for place, offset in starts.items():
            self._consumer.seek(TopicPartition(*place), offset)

    def poll(self, timeout_s: float, max_records: int = 2000) -> list[Seen]:
        """Records that came within the time, by partition in order; none when the time is over."""
        batches = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [_seen(record) for records in batches.values() for record in records]

    def positions(self) -> dict[Place, int]:
        """Offset that is read next, of each assigned partition."""
        held = sorted(self._consumer.assignment())
        return {Place(*tp): int(self._consumer.position(tp, timeout_ms=RPC_TIMEOUT_MS)) for tp in held}

    def scan(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[Seen]:
        """Every record from `starts` up to and without `ends`; each partition in order, then it ends.

        Raises:
            BrokerDown: When nothing comes for 10 seconds though there is more to read.
        """
        todo = {place: end for place, end in ends.items() if starts.get(place, end) < end}
        self.assign({place: starts[place] for place in todo})
        while todo:
            seen = self.poll(RPC_TIMEOUT_MS / 1000)
            yield from (one for one in seen if one.offset < ends[one.place])
            # Positions, not offsets: a compacted or aborted tail has no record at the last offset.
            at = self.positions()
            before = len(todo)
            todo = {place: end for place, end in todo.items() if at[place] < end}
            if not seen and len(todo) == before:
                raise BrokerDown("the broker sends nothing", hint="see `weir status`, then try again")

    def _offsets(self, which: str, places: Iterable[Place]) -> dict[Place, int]:
        wanted = [TopicPartition(*place) for place in places]
        ask = self._consumer.end_offsets if which == "end" else self._consumer.beginning_offsets
        try:
            found = ask(wanted, timeout_ms=RPC_TIMEOUT_MS)
        except KafkaError as error:
            raise translate(error, self._address) from error
        return {Place(*tp): int(offset) for tp, offset in found.items()}


@contextmanager
def reading(cluster: Cluster) -> Generator[Reader]:
    """A reader that is closed at the end."""
    reader = Reader(cluster)
    try:
        yield reader
    finally:
        reader.close()


def _seen(record: ConsumerRecord) -> Seen:
    """A record of kafka-python, whose fields are not typed, as a typed value."""
    return Seen(
        place=Place(record.topic, record.partition),
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )
