"""The thread that owns the group's consumer: polls, pauses, commits, hands partitions over.

It never stops polling, for a rebalance would go unnoticed. What it reads is buffered up to a bound; the flow
takes from there. The watermark of each partition is committed once a second, with its note.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer
from kafka import errors as foreign
from kafka.structs import OffsetAndMetadata, TopicPartition

from connectors.kafka.careful import Careful
from connectors.kafka.clients import client_settings, group_name
from connectors.kafka.handover import Handover
from connectors.kafka.membership import QuickClient, claiming_assignor
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition, State
from connectors.kafka.polls import make_room_for_parked, shorten_polls
from connectors.kafka.recovery import Recovery
from connectors.kafka.rules.lease import Lease
from connectors.kafka.rules.marks import RELEASED, Mark, Note, read_mark
from connectors.kafka.rules.poison import Poison
from connectors.kafka.settling import Settling
from schemas.cluster import Cluster, Delivery
from schemas.topics import SOURCES

_log = logging.getLogger(__name__)

POLL_MS = 50
RPC_MS = 10_000
"""Longest wait for a mark at a takeover; a worker that can't read it starts anew."""
SMALL_POLL = 64
"""A poll with fewer records than this is followed by the feed pause."""
MANY = 2000
"""Most records of one poll."""
SOURCE = 0
"""The only source that is subscribed: `llm.requests`."""


Marked = dict[TopicPartition, OffsetAndMetadata]
"""What is committed, by partition."""


@dataclass(frozen=True, slots=True)
class FeederParts:
    """What the feeder works with."""

    ownership: Ownership
    """Where records are put."""
    outbox: Outbox
    """Asked for room, and for acknowledgements when partitions go."""
    recovery: Recovery
    """Scans partitions that were taken over."""
    settling: Settling
    """Flushed when its time has come."""
    lease: Lease
    """Kept by the consumer's heartbeats."""


class Feeder:
    """Feeds the buffer of `ownership` from the group's share of `llm.requests`, until it is stopped."""

    def __init__(
        self,
        cluster: Cluster,
        delivery: Delivery,
        parts: FeederParts,
        fatal: Callable[[str], None],
    ) -> None:
        self._cluster, self._delivery = cluster, delivery
        self._ownership, self._outbox, self._lease = parts.ownership, parts.outbox, parts.lease
        self._recovery, self._settling = parts.recovery, parts.settling
        self._topic = cluster.topic(SOURCES[SOURCE].name)
        self._fatal = fatal
        self._stop_at: float | None = None
        self._paused: set[TopicPartition] = set()
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._commit_at = 0.0
        self._uncounted: list[tuple[Partition, Mark]] = []
        self.finished = threading.Event()
        self._careful = Careful(parts.ownership, self._commit_now)

    def _connect(self) -> KafkaConsumer:
        def millis(span: Any) -> int:
            return round(span.total_seconds() * 1000)

        delivery = self._delivery
        return KafkaConsumer(
            **client_settings(self._cluster),
            kafka_client=QuickClient,
            group_id=group_name(self._cluster),
            group_instance_id=delivery.instance_id,
            partition_assignment_strategy=[claiming_assignor(self._draining)],
            session_timeout_ms=millis(delivery.session),
            heartbeat_interval_ms=millis(delivery.heartbeat),
            max_poll_interval_ms=millis(delivery.drain) + 30_000,
            max_poll_records=MANY,
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=500,
            retry_backoff_ms=50,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    def _draining(self) -> list[TopicPartition]:
        return [
            self._place(p) for p in list(self._ownership.partitions.values()) if p.state is State.DRAINING
        ]

    def start(self) -> None:
        """Connect, and begin on a thread of its own."""
        self.consumer = self._connect()
        shorten_polls(self.consumer, SMALL_POLL)
        self._handover = Handover(
            self.consumer, self._lease, self._delivery, self._ownership, self._outbox, self._fatal
        )
        threading.Thread(target=self._guarded, name="weir-feeder", daemon=True).start()

    def stop(self) -> None:
        """Feed no more, wait for what is under way up to the drain bound, commit, leave; sets `finished`."""
        self._ownership.stopping = True

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  a dead feeder is a dead worker: log once and let it restart
            _log.exception("the feeder failed")
            self._fatal(f"the feeder failed: {error!r}")

    def _run(self) -> None:
        self.consumer.subscribe([self._topic], listener=self._handover)
        while not (self._ownership.stopping and self._stopped()):
            self._take_over()
            self._careful.feed(self._live())
            self._settling.flush_due()
            self._handover.finish_if_drained(lambda ps: self._commit_now(ps, released=True))
            self._adjust()
            if time.monotonic() >= self._commit_at:
                self._commit_changed()
            polled = self._poll()  # last: what it brings rings for the flow, which then has the interpreter
            if polled < SMALL_POLL and not self._ownership.stopping:
                time.sleep(self._delivery.feed_pause.total_seconds())
        self._leave()

    def _live(self) -> list[Partition]:
        return [p for p in self._ownership.partitions.values() if p.state is State.LIVE]

    def _poll(self) -> int:
        busy = self._ownership.stopping or self._careful.busy
        make_room_for_parked(self.consumer)
        polled = self.consumer.poll(timeout_ms=5 if busy else POLL_MS)
        count = 0
        for place, records in polled.items():
            partition = self._ownership.partitions.get((SOURCE, place.partition))
            if partition is None or partition.state is not State.LIVE or not records:
                continue
            count += len(records)
            taken = [partition.record(r) for r in records if r.value is not None]
            if partition.poison.crashes or partition.backlog:
                partition.backlog.extend(taken)
            else:
                self._ownership.put(partition, taken, records[-1].offset)
        return count

    # --- taking over

    def _take_over(self) -> None:
        """New partitions: read their marks, count the crash, and only then let recovery scan the logs."""
        fresh = self._handover.take_fresh()
        if fresh and not self._ownership.stopping:
            marks = [self._read_mark(number) for number in fresh]
            adopted = [self._adopt(number, mark) for number, mark in zip(fresh, marks, strict=True)]
            self._uncounted += zip(adopted, marks, strict=True)
        if self._uncounted:
            todo = [(p, mark) for p, mark in self._uncounted if p.state is State.SCANNING]
            if not self._commit_now([partition for partition, _ in todo]):
                return  # a rebalance goes on, or the broker is away: the next round tries again
            self._uncounted = []
            self._recovery.begin(todo)
        for partition in self._recovery.take_done():
            if partition.state is State.LIVE:
                self.consumer.seek(self._place(partition), partition.marks.next)

    def _read_mark(self, number: int) -> Mark:
        place = TopicPartition(self._topic, number)
        committed = self.consumer.committed(place, metadata=True, timeout_ms=RPC_MS)
        begin = self.consumer.beginning_offsets([place])[place]
        if committed is None:
            return Mark(begin, Note(0, 0), RELEASED)
        mark = read_mark(committed.offset, committed.metadata or "")
        if mark is None:
            _log.warning("partition %d: unreadable commit metadata, scanning the whole log", number)
            mark = Mark(committed.offset, Note(0, 0))
        return mark._replace(offset=max(mark.offset, begin))

    def _adopt(self, number: int, mark: Mark) -> Partition:
        partition = self._ownership.adopt(SOURCE, number, mark, Poison.takeover(mark))
        if partition.poison.crashes:
            _log.warning("partition %d: taken over after a crash (%d)", number, partition.poison.crashes)
            self._ownership.counters["takeovers_after_crash"] += 1
        return partition

    # --- pausing

    def _adjust(self) -> None:
        """Pause what must not be read now, resume the rest."""
        ownership = self._ownership
        whole = (
            ownership.buffered_bytes > self._delivery.buffer_bytes
            or self._outbox.full
            or sum([p.buffered for p in ownership.partitions.values()]) > 2 * self._delivery.credits
        )
        wanted = {
            self._place(p)
            for p in ownership.partitions.values()
            if whole or p.state is not State.LIVE or p.turns.full or p.backlog
        }
        assigned = self.consumer.assignment()
        self._paused &= assigned
        self._paused |= {place for place in self._handover.take_paused() if place in assigned}
        pause, resume = (wanted & assigned) - self._paused, (self._paused - wanted) & assigned
        if pause:
            self.consumer.pause(*pause)
        if resume:
            self.consumer.resume(*resume)
        self._paused = (self._paused | pause) - resume

    def _place(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self._topic, partition.number)

    # --- committing

    def _marks(
        self, partitions: list[Partition], released: bool = False
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        marks: dict[TopicPartition, OffsetAndMetadata] = {}
        with self._ownership.lock:
            for partition in partitions:
                watermark, note = partition.marks.watermark()
                partition.poison.moved(watermark)
                mark = partition.poison.mark(watermark, note)
                if released:
                    mark = mark._replace(crashes=RELEASED)
                marks[self._place(partition)] = OffsetAndMetadata(mark.offset, mark.metadata(), -1)
        return marks

    def _commit_changed(self) -> None:
        self._commit_at = time.monotonic() + self._delivery.commit_every.total_seconds()
        partitions = [
            p for p in self._ownership.partitions.values() if p.state in (State.LIVE, State.DRAINING)
        ]
        marks = self._marks(partitions)
        changed = {place: mark for place, mark in marks.items() if self._committed.get(place) != mark}
        if changed:
            self._committed.update(changed)
            self.consumer.commit_async(changed, callback=self._on_commit)

    def _on_commit(self, _: Any, result: Any) -> None:
        if isinstance(result, Exception):
            self._committed.clear()  # the next commit is right again

    def _commit_now(self, partitions: list[Partition], released: bool = False) -> bool:
        """Commit and wait; whether the broker took it."""
        marks = self._marks(partitions, released)
        if not marks:
            return True
        try:
            self.consumer.commit(marks, timeout_ms=5000)
        except foreign.KafkaError as error:
            _log.warning("a commit failed: %r", error)
            return False
        self._committed.update(marks)
        return True

    # --- stopping

    def _stopped(self) -> bool:
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._delivery.drain.total_seconds()
            self._handover.drain_all()
        return self._ownership.under_way <= 0 or time.monotonic() > self._stop_at

    def _leave(self) -> None:
        partitions = list(self._ownership.partitions.values())
        self._handover.release(partitions, lambda ps: self._commit_now(ps, released=True))
        self.consumer.close()
        self.finished.set()
