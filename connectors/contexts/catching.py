"""Brings a worker's file of turns up to the log, for partitions that were taken over.

Runs in a thread of its own for each takeover. The file goes on where it was; it is read anew where the log
is not the one it was made from, or so old that tombstones may be gone.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaConsumer
from kafka import errors as foreign
from kafka.structs import TopicPartition
from pydantic import ValidationError

from connectors.contexts.keeper import Keeper, row_of
from connectors.contexts.store import Place, Row
from connectors.kafka.clients import admin, client_settings
from connectors.kafka.errors import KafkaProblem
from connectors.kafka.membership import QuickClient
from schemas.cluster import Cluster
from schemas.contexts import Turn, parse_turn_key
from schemas.topics import CONTEXTS

_log = logging.getLogger(__name__)

FRESH_MS = 20 * 60 * 60 * 1000
"""A file that is further behind is made anew: tombstones are kept for a day (`delete.retention.ms`)."""
PAUSE_S = 0.5
"""Before the log is asked again, after a failure of the broker."""
PROGRESS_S = 2.0
BATCH = 1000
"""Most records that are read at once."""


class Catching:
    """Reads `llm.contexts` for a keeper."""

    def __init__(self, cluster: Cluster, keeper: Keeper, fatal: Callable[[str], None]) -> None:
        self._cluster, self._keeper, self._fatal = cluster, keeper, fatal
        self._topic = cluster.topic(CONTEXTS.name)
        self._generation = 0
        self._behind: dict[int, int] = {}
        self._changed = threading.Condition()

    def take_over(self, partitions: Iterable[int]) -> None:
        """These partitions are this worker's from now on: read what the log has of them, in a thread."""
        numbers = sorted(partitions)
        with self._changed:
            self._generation += 1
            generation = self._generation
            self._behind |= dict.fromkeys(numbers, generation)
        for number in numbers:
            self._keeper.behind(number, generation)
        threading.Thread(
            target=self._guarded, args=(numbers, generation), name="weir-catching-up", daemon=True
        ).start()

    def wait(self, partitions: Iterable[int], timeout_s: float) -> bool:
        """Wait until the file is up to these partitions; whether it was in time."""
        wanted = set(partitions)
        with self._changed:
            return self._changed.wait_for(lambda: not wanted & self._behind.keys(), timeout_s)

    def _guarded(self, numbers: list[int], generation: int) -> None:
        left = list(numbers)
        try:
            while left := self._still(left, generation):
                try:
                    self._catch_up(left, generation)
                except (foreign.KafkaError, KafkaProblem) as error:
                    _log.warning("the turns of conversations can't be read yet: %r", error)
                    time.sleep(PAUSE_S)
        except BaseException as error:  # noqa: BLE001  turns without the ones before are wrong: log once, restart
            _log.exception("reading the turns of conversations failed")
            self._fatal(f"reading the turns of conversations failed: {error!r}")

    def _still(self, numbers: list[int], generation: int) -> list[int]:
        with self._changed:
            return [number for number in numbers if self._behind.get(number) == generation]

    def _caught_up(self, number: int, generation: int) -> None:
        self._keeper.caught_up(number, generation)
        with self._changed:
            if self._behind.get(number) == generation:
                del self._behind[number]
                self._changed.notify_all()

    def _catch_up(self, numbers: list[int], generation: int) -> None:
        consumer = KafkaConsumer(
            **client_settings(self._cluster),
            kafka_client=QuickClient,
            retry_backoff_ms=20,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=10 << 20,
            fetch_max_wait_ms=10,
        )
        try:
            self._read(consumer, numbers, generation)
        finally:
            consumer.close()

    def _read(self, consumer: KafkaConsumer, numbers: list[int], generation: int) -> None:
        places = [TopicPartition(self._topic, number) for number in numbers]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        for place in [place for place in places if not ends[place]]:
            self._caught_up(place.partition, generation)  # no turn ever: the file isn't even opened
        places = [place for place in places if ends[place]]
        if not places:
            return
        self._seek(consumer, places, ends)
        begun, records, report_at = time.monotonic(), 0, time.monotonic() + PROGRESS_S
        left = set(places)
        while True:
            for place in [place for place in left if (consumer.position(place) or 0) >= ends[place]]:
                left.discard(place)
                consumer.pause(place)
                self._caught_up(place.partition, generation)
            if not left:
                break
            for place, read in consumer.poll(timeout_ms=200, max_records=BATCH).items():
                records += len(read)
                self._keeper.load(place.partition, turns_of(read), read[-1].offset + 1)
            if time.monotonic() > report_at:
                report_at = time.monotonic() + PROGRESS_S
                _log.info("conversations: %d turns read, %d partitions left", records, len(left))
        _log.info("conversations: %d turns read in %.2f s", records, time.monotonic() - begun)

    def _seek(
        self, consumer: KafkaConsumer, places: list[TopicPartition], ends: dict[TopicPartition, int]
    ) -> None:
        """Go on where the file is, or from the start where it can't be trusted."""
        begins = consumer.beginning_offsets(places)
        known = self._keeper.ends()
        fresh_ms = time.time_ns() // 1_000_000 - FRESH_MS
        for place in places:
            at, noted_ms = known.get(place.partition, (-1, 0))
            if noted_ms < fresh_ms or not begins[place] <= at <= ends[place]:
                at = begins[place]
                self._keeper.load(place.partition, (), at, anew=True)
            consumer.seek(place, at)


def turns_of(read: Iterable[Any]) -> list[Row | Place]:
    """Records of the log as turns and tombstones; what is neither is passed over."""
    found: list[Row | Place] = []
    for record in read:
        try:
            if record.value is None:
                found.append(Place(record.partition, *parse_turn_key(record.key)))
            else:
                found.append(row_of(Turn.model_validate_json(record.value), record.value, record.partition))
        except (ValidationError, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            _log.warning("llm.contexts %d/%d is skipped: %s", record.partition, record.offset, reason)
    return found


def topic_id(cluster: Cluster) -> str:
    """What tells this cluster's `llm.contexts` from any other; waits while no broker says it."""
    name = cluster.topic(CONTEXTS.name)
    while True:
        try:
            with admin(cluster) as client:
                for topic in client.describe_topics([name]):
                    if topic["error_code"] == 0:
                        return str(topic["topic_id"])
        except KafkaProblem as error:
            _log.warning("the topic of conversations can't be described yet: %s", error)
        time.sleep(PAUSE_S)
