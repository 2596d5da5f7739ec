"""The one producer of a worker: asynchronous, gated by the lease, bounded in bytes.

Records of one partition are acknowledged in the order they were sent (idempotent producer). A record that
can't be written after `PATIENCE` ends the process: what it held was not acknowledged, so the successor finds
the truth in the logs.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from kafka import KafkaProducer
from kafka import errors as foreign
from kafka.serializer import Serializer

from connectors.kafka.clients import client_settings
from connectors.kafka.membership import gated_client
from schemas.cluster import Cluster, Delivery
from schemas.records import Outgoing
from schemas.topics import MAX_RECORD_BYTES

PATIENCE_MS = 3_600_000
"""How long a record may wait for a broker; the outbox is bounded, so waiting costs nothing but time."""
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


class Outbox:
    """Hands records to Kafka without waiting for it."""

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
        self._lock = threading.Lock()
        self._sent = 0
        self._acked = 0
        self._bytes = 0
        self._cluster, self._linger, self._allowed = cluster, delivery.linger, allowed

    def open(self, topics: list[str]) -> None:
        """Connect, and fetch the topics' metadata so that no send has to wait for it.

        Raises:
            KafkaError: When a topic can't be found.
        """
        self._producer = KafkaProducer(
            **client_settings(self._cluster),
            kafka_client=gated_client(self._allowed),
            key_serializer=_Keys(),
            linger_ms=round(self._linger.total_seconds() * 1000),
            batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + 64 * 1024,
            delivery_timeout_ms=PATIENCE_MS,
            max_block_ms=60_000,
            retry_backoff_ms=20,
        )
        with ThreadPoolExecutor(len(topics)) as pool:  # one after the other, each would take a back-off
            list(pool.map(self._producer.partitions_for, topics))

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 where it isn't there. Waits for the broker."""
        try:
            return len(self._producer.partitions_for(topic) or ())
        except foreign.KafkaError:
            return 0

    def send(self, record: Outgoing, acked: Acked | None = None, lost: Lost | None = None) -> None:
        """Hand a record over; returns at once. Without `lost`, its loss ends the process."""
        topic, value, partition, key, headers = record
        size = OVERHEAD_BYTES + (len(value) if value else 0)
        with self._lock:
            self._sent += 1
            self._bytes += size
        if value is None and key is None:
            key = cast(bytes, _NO_KEY)
        future = self._producer.send(topic, value=value, key=key, headers=list(headers), partition=partition)

        def arrived(metadata: Any) -> None:
            self._done(size)
            if acked is not None:
                acked(metadata.offset)

        def failed(error: Exception) -> None:
            self._done(size)
            if lost is None:
                self._fatal(f"a record for {topic} could not be written: {error!r}")
            else:
                lost(error)

        future.add_callback(arrived)
        future.add_errback(failed)

    def _done(self, size: int) -> None:
        with self._lock:
            self._acked += 1
            self._bytes -= size

    @property
    def bytes(self) -> int:
        """Bytes handed over and not acknowledged."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether nothing more should be fed or read from providers for now."""
        return self._bytes > self._bound

    @property
    def busy(self) -> bool:
        """Whether something is handed over and not acknowledged."""
        return self._acked < self._sent

    def settled(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is acknowledged; whether it was within the time."""
        end, sent = time.monotonic() + timeout_s, self._sent
        while self._acked < sent:
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def close(self, timeout_s: float) -> None:
        """Write what is left, within the time, and end the producer."""
        self.settled(timeout_s)
        try:
            self._producer.close(timeout=1)
        except foreign.KafkaError:
            return  # its thread is a daemon; what it holds was not acknowledged
