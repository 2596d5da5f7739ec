"""The one producer of a worker: asynchronous, gated by the lease, bounded in bytes.

Records of one partition are acknowledged in the order they were sent (idempotent producer). A record that
can't be written after `PATIENCE` ends the process: what it held was not acknowledged, so the successor finds
the truth in the logs.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from kafka import KafkaProducer
from kafka import errors as foreign
from kafka.serializer import Serializer

from connectors.kafka.clients import client_settings
from connectors.kafka.hurry import Hurry
from connectors.kafka.membership import gated_client
from connectors.kafka.records import send_sure
from schemas.cluster import Cluster, Delivery
from schemas.records import Outgoing
from schemas.topics import MAX_RECORD_BYTES

_log = logging.getLogger(__name__)

PATIENCE_MS = 3_600_000
"""How long a record may wait for a broker; the outbox is bounded, so waiting costs nothing but time."""
SIDE_PATIENCE_MS = 30_000
"""The same for records that may be lost."""
PARTITION_TRIES = 5
"""How often a topic's metadata is asked for."""
BATCH_BYTES = 256 * 1024
OVERHEAD_BYTES = 120
"""What a record weighs besides its value, roughly."""

Acked = Callable[[int], None]
"""Called on the producer's thread with the record's offset; must be short."""
Lost = Callable[[Exception], None]
"""Called on the producer's thread when a record could not be written."""


_NO_KEY = object()


class _Keys(Serializer):
    """Keys as they are; lets a record through that has neither key nor value, which kafka-python refuses."""

    def serialize(self, topic: str, headers: Any, data: Any) -> bytes | None:  # pyright: ignore[reportIncompatibleMethodOverride]  its stubs are of kafka-python 2
        """The key's bytes."""
        return None if data is _NO_KEY else data


def _rest() -> None:
    time.sleep(0.005)


class _Lane:
    """One producer, and what it has not had acknowledged, in the order it was handed over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, None] = {}
        self._next = 0
        self.bytes = 0
        self.producer: Any = None

    def send(self, record: Outgoing, acked: Acked | None, failed: Lost) -> None:
        """Hand a record over.

        Raises:
            KafkaError: When the topic isn't known or the record is too large.
            ValueError: When there is no such partition.
        """
        topic, value, partition, key, headers = record
        size = OVERHEAD_BYTES + (len(value) if value else 0)
        with self._lock:
            number = self._next
            self._next += 1
            self._open[number] = None
            self.bytes += size
        try:
            future = send_sure(self.producer, record)
            if future is None:
                if value is None and key is None:
                    key = cast(bytes, _NO_KEY)
                future = self.producer.send(
                    topic, value=value, key=key, headers=list(headers), partition=partition
                )
        except (foreign.KafkaError, ValueError):
            self._done(number, size)
            raise

        def arrived(metadata: Any) -> None:
            self._done(number, size)
            if acked is not None:
                acked(metadata.offset)

        def lost(error: Exception) -> None:
            self._done(number, size)
            failed(error)

        future._add_cb_eb(arrived, lost)

    def _done(self, number: int, size: int) -> None:
        with self._lock:
            self._open.pop(number, None)
            self.bytes -= size

    def settled(self, timeout_s: float, rest: Callable[[], None] = _rest) -> bool:
        """Wait until all that has been handed over by now is acknowledged or lost; whether it was in time."""
        end_s, upto = time.monotonic() + timeout_s, self._next
        while True:
            with self._lock:
                oldest = next(iter(self._open), upto)
            if oldest >= upto:
                return True
            if time.monotonic() > end_s:
                return False
            rest()

    def close(self) -> None:
        """End the producer; what it still holds was not acknowledged."""
        if self.producer is not None:
            with contextlib.suppress(foreign.KafkaError):  # its thread is a daemon
                self.producer.close(timeout=1)


class Outbox:
    """Hands records to Kafka without waiting for it.

    Two lanes: the main one for records whose loss ends the process, and a side lane for those that may be
    lost (chunks, copies, metrics), so that a reply topic that is gone stops nothing but itself. The gateways'
    own reply topic goes along on the main lane, where it is there: one producer's turns less.
    """

    def __init__(
        self, cluster: Cluster, delivery: Delivery, allowed: Callable[[], bool], fatal: Callable[[str], None]
    ) -> None:
        """Nothing is connected before `open`.

        Args:
            cluster: Where to.
            delivery: Linger and bound.
            allowed: Asked before bytes leave: the lease.
            fatal: Called, never to return, when a record is lost that must not be.
        """
        self._bound = delivery.outbox_bytes
        self._fatal = fatal
        self._main, self._side = _Lane(), _Lane()
        self._along = ""
        self._waited_for = False
        self._cluster, self._linger, self._allowed = cluster, delivery.linger, allowed

    def open(self, topics: list[str], side_topics: list[str], along: str = "") -> dict[str, int]:
        """Connect, and fetch the topics' metadata so that no send has to wait for it: their partitions.

        `along` is a topic whose records may be lost and that uses the main lane, if it is there.

        Raises:
            KafkaError: When a topic can't be found.
        """
        self._main.producer = self._make(delivery_timeout_ms=PATIENCE_MS, max_block_ms=60_000)
        self._hurry = Hurry(self._main.producer)
        self._side.producer = self._make(
            delivery_timeout_ms=SIDE_PATIENCE_MS, request_timeout_ms=SIDE_PATIENCE_MS // 2, max_block_ms=50
        )
        Hurry(self._side.producer)  # its sender looks less often
        with ThreadPoolExecutor(8) as pool:  # one after the other, each would take a back-off
            side = pool.map(self.partitions, side_topics)
            found = list(pool.map(self._main.producer.partitions_for, topics))
            list(side)
        if along and self.partitions(along) and self._main.producer.partitions_for(along):
            self._along = along
        return {topic: len(partitions) for topic, partitions in zip(topics, found, strict=True)}

    def _make(self, **settings: Any) -> KafkaProducer:
        common: dict[str, Any] = client_settings(self._cluster)
        common |= settings
        return KafkaProducer(
            **common,
            kafka_client=gated_client(self._allowed),
            key_serializer=_Keys(),
            linger_ms=round(self._linger.total_seconds() * 1000),
            batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + 64 * 1024,
            retry_backoff_ms=20,
        )

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 where it isn't there. Not for the hot path: asks the broker."""
        for _ in range(PARTITION_TRIES):
            try:
                return len(self._side.producer.partitions_for(topic) or ())
            except foreign.KafkaError:
                continue
        return 0

    def send(self, record: Outgoing, acked: Acked | None = None, lost: Lost | None = None) -> None:
        """Hand a record over; returns at once. Without `lost`, its loss ends the process."""
        if lost is None:
            try:
                self._main.send(record, self._guarded(acked), lambda error: self._lost(record, error))
            except (foreign.KafkaError, ValueError) as error:
                self._lost(record, error)
            return
        try:
            lane = self._main if record.topic == self._along else self._side
            lane.send(record, self._guarded(acked), lost)
        except (foreign.KafkaError, ValueError) as error:
            lost(error)

    def hurry(self) -> None:
        """Somebody waits for what was handed over to the main lane: don't gather any longer."""
        self._hurry.hurry()

    def hurry_after_turn(self) -> None:
        """The same once the flow's turn is over, so that all it writes goes along; on the flow's thread."""
        self._waited_for = True

    def after_acks(self, call: Callable[[], object]) -> None:
        """Call once all acknowledgements that came together are dealt with; from a callback of one."""
        self._hurry.after_answer(call)

    def begin_turn(self) -> None:
        """A turn of the flow begins: what it writes leaves together, after it."""
        self._hurry.hold()

    def end_turn(self) -> None:
        """The turn is over; on its thread, as all of this."""
        in_a_hurry, self._waited_for = self._waited_for, False
        self._hurry.release(in_a_hurry)

    def _lost(self, record: Outgoing, error: Exception) -> None:
        self._fatal(f"a record for {record.topic} could not be written: {error!r}")

    def _guarded(self, acked: Acked | None) -> Acked | None:
        """A callback whose failure isn't swallowed: kafka-python only logs it."""
        if acked is None:
            return None

        def guarded(offset: int) -> None:
            try:
                acked(offset)
            except BaseException as error:  # noqa: BLE001  a bug in a callback: log it once, let the worker restart
                _log.exception("a callback of the producer failed")
                self._fatal(f"a callback of the producer failed: {error!r}")

        return guarded

    @property
    def bytes(self) -> int:
        """Bytes handed over and not acknowledged."""
        return self._main.bytes + self._side.bytes

    @property
    def full(self) -> bool:
        """Whether nothing more should be fed or read from providers for now."""
        return self.bytes > self._bound

    def settled(self, timeout_s: float, rest: Callable[[], None] = _rest) -> bool:
        """Wait until every record handed over by now that may not be lost is acknowledged; whether it was.

        `rest` is what the thread does between two looks.
        """
        return self._main.settled(timeout_s, rest)

    def close(self, timeout_s: float) -> None:
        """Write what is left, within the time, and end the producers."""
        self._main.settled(timeout_s)
        self._side.settled(1.0)
        self._main.close()
        self._side.close()
