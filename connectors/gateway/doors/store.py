"""The book of the doors on Kafka: one thread reads the topics from their start, writes are acks=all.

A write returns when its own record has been read back, so who wrote it sees it, and of two who wrote at once
both see who was first. With Kafka away the book stays as it is: known keys go on working.
"""

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from connectors.gateway.doors.book import MAX_AUDIT, Book
from connectors.gateway.doors.ports import TOPICS
from connectors.gateway.ports import Problem
from connectors.kafka.clients import address, client_settings, probe
from connectors.kafka.errors import BrokerDown, TopicMismatch, translate
from connectors.kafka.membership import QuickClient
from connectors.kafka.polls import shorten_polls
from schemas.cluster import Cluster
from schemas.topics import GATEWAY_AUDIT, Topic

PATIENCE_S = 10.0
"""Longest wait for an acknowledgement, for a record to be read back, for progress of the first read."""
FOLLOW_MS = 200
"""Longest wait for records at once; how long an end takes at most."""
WRITERS = 4
"""Threads that wait for acknowledgements."""
MAX_WAITING = 500
"""Most writes under way at once."""
BUSY = {"retry-after": "1", "retry-after-ms": "1000"}


class KafkaStore:
    """A `Store` on Kafka."""

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is connected before `start`."""
        self.book = Book()
        self._cluster = cluster
        self._names = {cluster.topic(topic.name): topic.name for topic in TOPICS}
        self._read: dict[str, int] = {}
        self._moved = asyncio.Event()
        self._waiting = 0
        self._ended = Event()
        self._ready = False
        self._pool = ThreadPoolExecutor(WRITERS, thread_name_prefix="weir-doors-write")
        self._thread: Thread | None = None
        self._consumer: Any = None
        self._producer: Any = None

    @property
    def ready(self) -> bool:
        """Whether the topics were read to their ends once."""
        return self._ready

    async def start(self) -> None:
        """Read the topics whole, then go on in a thread.

        Raises:
            KafkaProblem: When they can't be read.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pool, self._open)
        except BaseException:
            await self.stop()
            raise
        self._ready = True
        self._thread = Thread(target=self._follow, args=(loop,), name="weir-doors", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and the connections."""
        self._ended.set()
        loop = asyncio.get_running_loop()
        if self._thread is not None:
            await loop.run_in_executor(None, self._thread.join, 5.0)
        await loop.run_in_executor(None, self._close)
        self._pool.shutdown(wait=False)

    async def write(self, topic: Topic, key: str, value: bytes | None) -> None:
        """Write a record; it is durable, and in the book, when this returns.

        Raises:
            Problem: 503 `overloaded` when Kafka is away or too much waits to be written.
        """
        if self._waiting >= MAX_WAITING:
            raise Problem(503, "overloaded", "too many changes at once; try again", headers=BUSY)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            offset = await loop.run_in_executor(self._pool, self._send, topic, key, value)
            async with asyncio.timeout(PATIENCE_S):
                while self._read.get(topic.name, 0) <= offset:
                    self._moved.clear()
                    await self._moved.wait()
        except (KafkaError, TimeoutError) as error:
            text = "Kafka does not take the change for now; try again"
            raise Problem(503, "overloaded", text, headers=BUSY) from error
        finally:
            self._waiting -= 1

    def _send(self, topic: Topic, key: str, value: bytes | None) -> int:
        future = self._producer.send(
            self._cluster.topic(topic.name), key=key.encode(), value=value, partition=0
        )
        return int(future.get(timeout=PATIENCE_S).offset)

    def _open(self) -> None:
        """Connect, and read all that is there."""
        probe(self._cluster)
        try:
            self._consumer = KafkaConsumer(
                **client_settings(self._cluster),
                kafka_client=QuickClient,
                retry_backoff_ms=20,
                group_id=None,
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                fetch_max_wait_ms=500,
            )
            shorten_polls(self._consumer)
            self._read_whole()
            settings: dict[str, Any] = client_settings(self._cluster) | {
                "acks": "all",
                "allow_auto_create_topics": False,
                "max_block_ms": int(PATIENCE_S * 1000),
                "delivery_timeout_ms": int(PATIENCE_S * 1000),
                "request_timeout_ms": int(PATIENCE_S * 500),
            }
            self._producer = KafkaProducer(**settings, kafka_client=QuickClient, retry_backoff_ms=20)
        except KafkaError as error:
            raise translate(error, address(self._cluster)) from error

    def _read_whole(self) -> None:
        places = [TopicPartition(name, 0) for name in self._names]
        for place in places:
            if not self._consumer.partitions_for_topic(place.topic):
                raise TopicMismatch(f"there is no topic {place.topic}", hint="`weir up` creates the topics")
        self._consumer.assign(places)
        begins, ends = self._consumer.beginning_offsets(places), self._consumer.end_offsets(places)
        for place in places:
            recent = ends[place] - MAX_AUDIT if self._names[place.topic] == GATEWAY_AUDIT.name else 0
            self._consumer.seek(place, max(begins[place], recent))
        last_s = time.monotonic()
        while any((self._consumer.position(place) or 0) < ends[place] for place in places):
            if self._take(self._records(200)):
                last_s = time.monotonic()
            elif time.monotonic() - last_s > PATIENCE_S:
                raise BrokerDown("the broker sends nothing", hint="see `weir status`, then try again")

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ended.is_set():
            records = self._records(FOLLOW_MS)
            if records and not loop.is_closed():
                loop.call_soon_threadsafe(self._take, records)

    def _records(self, timeout_ms: int) -> list[Any]:
        polled: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=timeout_ms)
        return [record for records in polled.values() for record in records]

    def _take(self, records: Iterable[Any]) -> int:
        """Put records in the book; on the loop, but for the first read, when nobody else looks."""
        count = 0
        for record in records:
            topic = self._names[record.topic]
            self.book.apply(topic, record.key, record.value)
            self._read[topic] = record.offset + 1
            count += 1
        self._moved.set()
        return count

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
        if self._producer is not None:
            try:
                self._producer.close(timeout=1)
            except KafkaError:
                return  # kafka-python raises when it can't flush; its thread is a daemon
