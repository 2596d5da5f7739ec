"""Takeover: fences, the scan of both logs, and the derived records that the predecessor still owed.

Runs in a thread of its own while the feeder goes on polling. A partition is fed only after its scan.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from kafka import KafkaConsumer
from kafka.structs import TopicPartition
from pydantic import ValidationError

from connectors.kafka.clients import client_settings
from connectors.kafka.membership import QuickClient
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition
from connectors.kafka.rules.derived import Written, is_turn
from connectors.kafka.rules.marks import Mark
from connectors.kafka.rules.takeover import Scan, remembers
from connectors.kafka.rules.window import Ask
from connectors.kafka.settling import Settling, Turns
from schemas.cluster import Cluster, Delivery
from schemas.packed import NO_OFFSET, PackedError, Seal, unpack_seal, unpack_settled, unpack_started
from schemas.records import Outgoing
from schemas.responses import Response
from schemas.topics import RESPONSES, SOURCES, USAGE, parse_source

_log = logging.getLogger(__name__)

PROGRESS_S = 2.0
ACK_S = 60.0
TURNS_S = 60.0
"""So long a takeover waits for the turns of conversations; requests that need none shan't wait longer."""


class _Reader:
    """One takeover scan: the partitions, their fences, and what has been read."""

    def __init__(self, todo: list[tuple[Partition, Mark]]) -> None:
        self.nonce = uuid4().hex.encode()
        self.scans = {p.number: Scan(p.source, mark) for p, mark in todo}
        self.partitions = {p.number: p for p, _ in todo}
        self.records = 0
        self.rewritten = 0
        self.owed: set[int] = set()
        self.turns: dict[int, dict[int, int]] = {number: {} for number in self.scans}


Take = Callable[[_Reader, Any], bool]
"""Takes in one record; whether it is our fence."""


@dataclass(frozen=True, slots=True)
class RecoveryParts:
    """What a takeover works with."""

    ownership: Ownership
    """Told what was found."""
    outbox: Outbox
    """Takes the fences."""
    settling: Settling
    """Writes again what the predecessor owed."""
    contexts: Turns
    """Reads the turns of conversations meanwhile."""


class Recovery:
    """Scans the logs of partitions that were taken over."""

    def __init__(
        self,
        cluster: Cluster,
        delivery: Delivery,
        parts: RecoveryParts,
        fatal: Callable[[str], None],
    ) -> None:
        self._cluster, self._ownership, self._outbox = cluster, parts.ownership, parts.outbox
        self._window_ms = round(delivery.window.total_seconds() * 1000)
        self._owner = (delivery.instance_id or f"worker-{uuid4().hex[:8]}").encode()
        self._settling, self._contexts, self._fatal = parts.settling, parts.contexts, fatal
        self._responses, self._usage = cluster.topic(RESPONSES.name), cluster.topic(USAGE.name)
        self._done: deque[Partition] = deque()

    def begin(self, todo: list[tuple[Partition, Mark]]) -> None:
        """Scan these partitions in the background; `take_done` hands them out."""
        if todo:
            threading.Thread(target=self._guarded, args=(todo,), name="weir-takeover", daemon=True).start()

    def take_done(self) -> list[Partition]:
        """Partitions whose scan has ended since the last call."""
        return [self._done.popleft() for _ in range(len(self._done))]

    def _guarded(self, todo: list[tuple[Partition, Mark]]) -> None:
        try:
            self._run(todo)
        except BaseException as error:  # noqa: BLE001  half a takeover must not go on: log once and let it restart
            _log.exception("a takeover failed")
            self._fatal(f"a takeover failed: {error!r}")

    def _run(self, todo: list[tuple[Partition, Mark]]) -> None:
        begun = time.monotonic()
        reader = _Reader(todo)
        self._contexts.take_over(reader.scans)
        self._fence(reader)
        consumer = self._consumer()
        try:
            self._read_usage(consumer, reader)
            self._read_responses(consumer, reader)
        finally:
            consumer.close()
        end_s = time.monotonic() + ACK_S
        while reader.owed:
            if time.monotonic() > end_s:
                raise TimeoutError("derived records of a takeover are not acknowledged")
            time.sleep(0.005)
        if not self._contexts.wait(reader.scans, TURNS_S):
            _log.warning("the turns of conversations are still being read; their next turns wait")
        unknown = sum(self._finish(reader, number) for number in reader.scans)
        _log.info(
            "took over %d partitions in %.2f s: %d records read, %d settled again, %d unknown outcomes",
            len(todo), time.monotonic() - begun, reader.records, reader.rewritten, unknown,
        )  # fmt: skip

    def _finish(self, reader: _Reader, number: int) -> int:
        found = reader.scans[number].result()
        partition = reader.partitions[number]
        partition.owed = reader.turns[number]
        if self._ownership.revive(partition, set(found.answered), found.attempts, found.high, found.ends):
            self._ownership.counters["unknown_outcomes"] += len(found.attempts)
            self._done.append(partition)
            return len(found.attempts)
        return 0

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            **client_settings(self._cluster),
            kafka_client=QuickClient,
            retry_backoff_ms=20,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
            fetch_max_bytes=64 << 20,
            max_poll_records=20_000,
            receive_buffer_bytes=1 << 20,
            fetch_max_wait_ms=10,  # a fetch under way holds up the next one, which is for other partitions
        )

    def _fence(self, reader: _Reader) -> None:
        """A fence of our own on both logs of every partition: what the predecessor wrote lies before it."""
        headers = (("kind", b"fence"), ("owner", self._owner), ("nonce", reader.nonce))
        for number in reader.scans:
            for topic in (self._responses, self._usage):
                self._outbox.send(Outgoing(topic, None, number, None, headers))

    # --- reading

    def _read_usage(self, consumer: KafkaConsumer, reader: _Reader) -> None:
        places = {TopicPartition(self._usage, number): scan for number, scan in reader.scans.items()}
        consumer.assign(list(places))
        since = consumer.offsets_for_times(dict.fromkeys(places, round(time.time() * 1000) - self._window_ms))
        for place, scan in places.items():
            start = scan.mark.note.usage_offset
            if (found := since[place]) is not None:
                start = min(start, found.offset)
            consumer.seek(place, start)
        self._drain(consumer, reader, set(places), self._take_usage)

    def _read_responses(self, consumer: KafkaConsumer, reader: _Reader) -> None:
        places = {TopicPartition(self._responses, number): scan for number, scan in reader.scans.items()}
        consumer.assign(list(places))
        for place, scan in places.items():
            consumer.seek(place, scan.mark.note.response_offset)
        self._drain(consumer, reader, set(places), self._take_response)

    def _drain(
        self,
        consumer: KafkaConsumer,
        reader: _Reader,
        left: set[TopicPartition],
        take: Callable[[_Reader, Any], bool],
    ) -> None:
        """Read each partition up to our own fence."""
        report_at = time.monotonic() + PROGRESS_S
        while left:
            for place, records in consumer.poll(timeout_ms=200).items():
                reader.records += len(records)
                if place in left and any(take(reader, record) for record in records):
                    left.discard(place)
                    consumer.pause(place)
            if time.monotonic() > report_at:
                report_at = time.monotonic() + PROGRESS_S
                _log.info("takeover: %d records read, %d partitions left", reader.records, len(left))

    def _take_usage(self, reader: _Reader, record: Any) -> bool:
        """One record of the usage log; whether it is our fence."""
        if record.key is not None:
            return False  # a `finished` entry
        headers = dict(record.headers)
        scan = reader.scans[record.partition]
        if record.value is None:
            if headers.get("nonce") != reader.nonce:
                return False
            scan.usage_end = record.offset + 1
            return True
        partition = reader.partitions[record.partition]
        try:
            if headers.get("kind") == b"started":
                self._take_started(partition, scan, record)
            elif headers.get("kind") == b"settled":
                self._take_settled(partition, scan, record)
        except PackedError as error:
            _log.warning("usage %d/%d is skipped: %s", record.partition, record.offset, error)
        return False

    def _take_started(self, partition: Partition, scan: Scan, record: Any) -> None:
        entries = unpack_started(record.value)
        scan.take_started(entries)
        for entry in entries:
            if entry.request_hash:
                ask = Ask(partition.place, partition.epoch, entry.request_hash, entry.body_hash, entry.offset)
                with self._ownership.lock:
                    self._ownership.window.learn(ask, NO_OFFSET, record.timestamp / 1000)

    def _take_settled(self, partition: Partition, scan: Scan, record: Any) -> None:
        entries = unpack_settled(record.value)
        scan.take_settled(entries)
        window = self._ownership.window
        for entry in entries:
            if not entry.request_hash:
                continue
            ask = Ask(partition.place, partition.epoch, entry.request_hash, entry.body_hash, entry.offset)
            with self._ownership.lock:
                if remembers(entry):
                    window.learn(ask, entry.response_offset, record.timestamp / 1000)
                else:
                    window.settle(ask, NO_OFFSET, keep=False)

    def _take_response(self, reader: _Reader, record: Any) -> bool:
        """One record of the responses; whether it is our fence."""
        headers = dict(record.headers)
        scan = reader.scans[record.partition]
        if record.value is None:
            if headers.get("nonce") != reader.nonce:
                return False
            scan.response_end = record.offset + 1
            return True
        try:
            topic, number, offset = parse_source(headers["source"].decode())
            seal = unpack_seal(headers["seal"])
        except (KeyError, AttributeError, ValueError) as error:
            where = (record.partition, record.offset)
            _log.warning("response %d/%d is skipped, it is not Weir's: %r", *where, error)
            return False
        if topic == SOURCES[scan.source].name and scan.take_response(offset, record.offset):
            place = (scan.source, number, offset)
            self._remember(reader.partitions[record.partition], record, seal, offset)
            self._write_again(reader, record, seal, place)
        return False

    def _remember(self, partition: Partition, record: Any, seal: Seal, offset: int) -> None:
        """What the missing `settled` entry would have told the window: or repeats would wait for ever."""
        if seal.request_hash:
            ask = Ask(partition.place, partition.epoch, seal.request_hash, seal.body_hash, offset)
            with self._ownership.lock:
                if seal.remembered:
                    self._ownership.window.learn(ask, record.offset, record.timestamp / 1000)
                else:
                    self._ownership.window.settle(ask, NO_OFFSET, keep=False)

    def _write_again(self, reader: _Reader, record: Any, seal: Seal, place: tuple[int, int, int]) -> None:
        """Ledger and copy of a response without `settled` entry; its turn when the request is read again."""
        try:
            response = Response.model_validate_json(record.value)
        except ValidationError as error:
            _log.warning("response %d/%d can't be read: %s", record.partition, record.offset, error)
            return
        reader.rewritten += 1
        if is_turn(response):
            reader.turns[record.partition][place[-1]] = record.offset
        reader.owed.add(record.offset << 16 | record.partition)
        done = partial(reader.owed.discard, record.offset << 16 | record.partition)
        self._settling.write_again(Written(response, seal, *place, record.offset), done)
