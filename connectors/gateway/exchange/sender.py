"""The one producer of a gateway: records from the asyncio loop, acknowledged by all replicas, bounded.

`send` waits until the record is durable. The bounds are on what is not acknowledged: beyond them a caller is
told to come again, for kafka-python's own buffer has no end.
"""

import asyncio
import contextlib
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka import errors as foreign

from connectors.gateway.ports import Problem
from connectors.kafka.clients import address, client_settings
from connectors.kafka.errors import translate
from connectors.kafka.hurry import Hurry
from connectors.kafka.membership import BriefClient
from schemas.cluster import Cluster
from schemas.records import Outgoing
from schemas.topics import MAX_RECORD_BYTES

PATIENCE_MS = 15_000
"""How long a record may wait for the broker."""
LINGER_MS = 2
"""How long the producer gathers records into a batch."""
OVERHEAD_BYTES = 200
"""What a record weighs besides its value, roughly."""
AGAIN_MS = 1000
"""When a caller that was turned away may come again."""


class Written(NamedTuple):
    """Where a record lies."""

    partition: int
    """Its partition."""
    offset: int
    """Its offset."""


def overloaded(message: str) -> Problem:
    """503: come again in a second."""
    headers = {"retry-after": str(AGAIN_MS // 1000), "retry-after-ms": str(AGAIN_MS)}
    return Problem(503, "overloaded", message, headers=headers)


_Waiter = asyncio.Future[Written]


class Sender:
    """Records out. Made anywhere, opened and used on the loop; `post` from any thread."""

    def __init__(self, cluster: Cluster, most_bytes: int) -> None:
        self._cluster, self._most_bytes = cluster, most_bytes
        self._producer: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._done: deque[tuple[_Waiter, Written | Exception, int]] = deque()
        self.bytes = 0
        """Bytes handed over and not acknowledged."""
        self.waiting = 0
        """Records handed over and not acknowledged."""

    def open(self, loop: asyncio.AbstractEventLoop, topics: list[str]) -> dict[str, int]:
        """Connect and fetch the topics' metadata, so that no send waits for it: their partitions. Blocks.

        Raises:
            KafkaProblem: When a topic can't be had.
        """
        self._loop = loop
        settings: dict[str, Any] = client_settings(self._cluster) | {
            "kafka_client": BriefClient,
            "acks": "all",
            "linger_ms": LINGER_MS,
            "batch_size": 256 * 1024,
            "max_request_size": MAX_RECORD_BYTES + 64 * 1024,
            "max_block_ms": 10_000,
            "delivery_timeout_ms": PATIENCE_MS,
            "request_timeout_ms": PATIENCE_MS // 2,
            "retry_backoff_ms": 20,
            "allow_auto_create_topics": False,
        }
        self._producer = KafkaProducer(**settings)
        Hurry(self._producer)
        try:
            with ThreadPoolExecutor(4) as pool:  # one after the other, each would take a back-off
                found = list(pool.map(self._producer.partitions_for, topics))
        except foreign.KafkaError as error:
            raise translate(error, address(self._cluster)) from error
        self._producer.config["max_block_ms"] = 50  # from here on a send must not hold the loop
        return {topic: len(partitions) for topic, partitions in zip(topics, found, strict=True)}

    async def send(self, record: Outgoing) -> Written:
        """Write a record; returns when it is durable.

        Raises:
            Problem: 503 `overloaded` when too much is on its way, or Kafka doesn't take it in time.
        """
        size = OVERHEAD_BYTES + len(record.value or b"")
        if self.bytes + size > self._most_bytes and self.waiting:
            raise overloaded("too much waits to be written to Kafka; try again in a moment")
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        try:
            sent = self._hand_over(record)
        except (foreign.KafkaError, ValueError) as error:
            raise overloaded("Kafka does not take the request; try again in a moment") from error
        self.bytes += size
        self.waiting += 1

        def acked(found: Any) -> None:
            self._ended(waiter, Written(found.partition, found.offset), size)

        def lost(error: Exception) -> None:
            self._ended(waiter, error, size)

        sent.add_callback(acked)
        sent.add_errback(lost)
        try:
            return await waiter
        except foreign.KafkaError as error:
            raise overloaded("Kafka did not take the request in time; try again in a moment") from error

    def post(self, record: Outgoing) -> None:
        """Write a record that may be lost; from any thread, doesn't wait."""
        with contextlib.suppress(foreign.KafkaError, ValueError):
            self._hand_over(record)

    def _hand_over(self, record: Outgoing) -> Any:
        topic, value, partition, key, headers = record
        return self._producer.send(topic, value=value, key=key, headers=list(headers), partition=partition)

    def _ended(self, waiter: _Waiter, found: Written | Exception, size: int) -> None:
        """On the producer's thread: hop to the loop, once for all that end together."""
        with self._lock:
            first = not self._done
            self._done.append((waiter, found, size))
        if first and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        with self._lock:
            ended = list(self._done)
            self._done.clear()
        for waiter, found, size in ended:
            self.bytes -= size
            self.waiting -= 1
            if waiter.done():
                continue
            if isinstance(found, Exception):
                waiter.set_exception(found)
            else:
                waiter.set_result(found)

    def close(self) -> None:
        """Write what is left, for at most 3 seconds, and end. Blocks."""
        if self._producer is not None:
            with contextlib.suppress(foreign.KafkaError):  # it can't flush; its thread is a daemon
                self._producer.close(timeout=3)
