"""Reads a run's topics from outside: a plain consumer without group, from the first record on."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import orjson
from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.structs import TopicPartition

from connectors.bench.facts import Answered, Asked, Begun, Buried, Done, Facts, Place, ProviderCall
from connectors.kafka.clients import client_settings
from schemas.cluster import Cluster
from schemas.packed import MOVED, REPEAT, unpack_settled, unpack_started
from schemas.topics import DEAD_LETTERS, RESPONSES, SOURCES, USAGE, Topic, parse_source

KIND_HEADER = "bench-kind"
"""Record header with which the bench marks what a request was made for; Weir knows nothing of it."""
_NUMBERS = {topic.name: number for number, topic in enumerate(SOURCES)}


class TopicsReader:
    """Follows the responses while a run lasts, and reads the rest at its end. Not thread safe."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._responses = open_consumer(cluster, [RESPONSES])
        self.answered: list[Answered] = []
        """Responses so far."""
        self.places: set[Place] = set()
        """Request records that have one."""

    def follow(self, timeout_s: float = 0.2) -> int:
        """Read what has come; the number of request records answered so far."""
        for records in self._responses.poll(timeout_ms=int(timeout_s * 1000)).values():
            for record in records:
                if record.value is not None:
                    answer = read_response(record, self._cluster)
                    self.answered.append(answer)
                    if answer.place is not None:
                        self.places.add(answer.place)
        return len(self.places)

    def facts(self, calls: tuple[ProviderCall, ...]) -> Facts:
        """Everything, to the present ends of the topics; fences are skipped."""
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            self.follow(0.1)
        asked: list[Asked] = []
        begun: list[Begun] = []
        done: list[Done] = []
        buried: list[Buried] = []

        def take(record: ConsumerRecord) -> None:
            match record.topic[len(self._cluster.prefix) :]:
                case USAGE.name:
                    begun.extend(read_started(record))
                    done.extend(read_settled(record))
                case DEAD_LETTERS.name:
                    buried.append(read_dead_letter(record, self._cluster))
                case name:
                    asked.append(read_request(record, _NUMBERS[name]))

        read_to_ends(self._cluster, [*SOURCES, USAGE, DEAD_LETTERS], take)
        facts = Facts(tuple(asked), tuple(self.answered), tuple(begun), tuple(done), tuple(buried))
        return replace(facts, calls=calls)

    def close(self) -> None:
        """End the connection."""
        self._responses.close()


def open_consumer(cluster: Cluster, topics: Iterable[Topic]) -> KafkaConsumer:
    """A consumer without group on all partitions of some topics, at their beginnings."""
    consumer = KafkaConsumer(
        **client_settings(cluster),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=10 << 20,
        max_poll_records=5000,
    )
    consumer.assign(
        [
            TopicPartition(cluster.topic(topic.name), partition)
            for topic in topics
            for partition in range(cluster.partitions if topic.partitioned else 1)
        ]
    )
    return consumer


def read_to_ends(cluster: Cluster, topics: Iterable[Topic], take: Callable[[ConsumerRecord], None]) -> None:
    """Hand over each record that has a value, from the beginnings to the present ends."""
    consumer = open_consumer(cluster, topics)
    try:
        ends = consumer.end_offsets(sorted(consumer.assignment()))
        left = {place for place, end in ends.items() if end}
        while left:
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    if record.value is not None:
                        take(record)
            left = {place for place in left if (consumer.position(place) or 0) < ends[place]}
    finally:
        consumer.close()


def read_request(record: ConsumerRecord, source: int) -> Asked:
    """A request record; its id as Weir reads it: header, body, else its place."""
    place = Place(source, record.partition, record.offset)
    own = f"{SOURCES[source].name}/{record.partition}/{record.offset}"
    request_id = _header(record, "request_id") or _id_in(record.value) or own
    return Asked(place, request_id, record.timestamp, _header(record, KIND_HEADER) or "")


def read_response(record: ConsumerRecord, cluster: Cluster) -> Answered:
    """A response record."""
    body = orjson.loads(record.value)
    error, attempts = body.get("error"), body.get("attempts", [])
    return Answered(
        place=_place(_header(record, "source"), cluster),
        partition=record.partition,
        append_ms=record.timestamp,
        code=error["code"] if error else None,
        unknown_outcome=bool(body.get("unknown_outcome")),
        known_attempts=sum(1 for attempt in attempts if attempt["outcome"] != "unknown"),
        value_bytes=len(record.value),
    )


def read_started(record: ConsumerRecord) -> list[Begun]:
    """The entries of a `started` record; none of another."""
    if _header(record, "kind") != "started":
        return []
    return [
        Begun(Place(entry.source, record.partition, entry.offset), entry.attempt, record.timestamp)
        for entry in unpack_started(record.value)
    ]


def read_settled(record: ConsumerRecord) -> list[Done]:
    """The entries of a `settled` record; none of another."""
    if _header(record, "kind") != "settled":
        return []
    return [
        Done(Place(entry.source, record.partition, entry.offset), bool(entry.flags & (REPEAT | MOVED)))
        for entry in unpack_settled(record.value)
    ]


def read_dead_letter(record: ConsumerRecord, cluster: Cluster) -> Buried:
    """A dead letter."""
    body = orjson.loads(record.value)
    return Buried(_place(body["source"], cluster), body["code"])


def _place(source: str | None, cluster: Cluster) -> Place | None:
    if source is None:
        return None
    try:
        topic, partition, offset = parse_source(source)
    except ValueError:
        return None
    number = _NUMBERS.get(topic.removeprefix(cluster.prefix))
    return None if number is None else Place(number, partition, offset)


def _header(record: ConsumerRecord, name: str) -> str | None:
    for key, value in reversed(record.headers):
        if key == name:
            return value.decode("utf-8", "replace")
    return None


def _id_in(value: bytes) -> str | None:
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    found = body.get("request_id") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None
