"""The shared consumer: one thread reads the reply topic and the claims for all streams.

Foreign records are dropped by their header, before any JSON is read. What remains goes to the asyncio loop
once per poll. `position` is written before a poll's records are looked at: a stream that was put into
`wanted` before `position` was read gets every record from there on.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from kafka import KafkaConsumer
from kafka import errors as foreign
from kafka.structs import TopicPartition

from connectors.gateway.exchange.rules.window import Raw
from connectors.kafka.clients import address, client_settings, probe
from connectors.kafka.errors import TopicMismatch, translate
from connectors.kafka.membership import QuickClient
from connectors.kafka.polls import shorten_polls
from schemas.cluster import Cluster
from schemas.topics import GATEWAY_IDEMPOTENCY, GATEWAY_REPLIES

_log = logging.getLogger(__name__)

CORRELATION = "correlation_id"
RPC_MS = 10_000
"""Longest wait for an answer about offsets."""
SMALL_POLL = 200
"""Records up to which a poll is small: the thread rests after it, so that the next brings more."""
BROKEN = 70
"""Exit code of a gateway that is deaf."""

W = TypeVar("W")
"""Who waits for records: a stream."""


class Note(NamedTuple):
    """A record of the claims' topic."""

    offset: int
    """Its offset."""
    key: str
    """Its key."""
    value: bytes
    """Its value."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[W]):
    """What one poll brought."""

    raws: list[tuple[tuple[W, ...], Raw]]
    """Records of streams, in order, with who waits for them."""
    notes: list[Note]
    """Records of the claims' topic, in order."""
    noted: int | None
    """Offset after the last of them; `None` where there was none."""


class Inbox(Generic[W]):
    """Reads until it is stopped. `open` and `stop` block; `wanted` is changed on the loop only."""

    def __init__(self, cluster: Cluster, rest_s: float = 0.003) -> None:
        self._cluster = cluster
        self._rest_s = rest_s
        self._replies = cluster.topic(GATEWAY_REPLIES.name)
        self._claims = TopicPartition(cluster.topic(GATEWAY_IDEMPOTENCY.name), 0)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._consumer: Any = None
        self.wanted: dict[bytes, tuple[W, ...]] = {}
        """Who waits for the records of a request, by its id."""
        self.position: dict[int, int] = {}
        """Partitions of the reply topic that are read, and the offset up to which they have been."""
        self.foreign = 0
        """Records that nobody here waited for."""
        self.claims_end = 0
        """Where the claims ended at the start."""

    def open(self, mine: Callable[[int], bool]) -> int:
        """Connect and find the ends of the partitions that are `mine`; how many there are in all.

        Raises:
            KafkaProblem: When Kafka can't be reached, or has no such topic.
        """
        probe(self._cluster)
        settings: dict[str, Any] = client_settings(self._cluster) | {
            "kafka_client": QuickClient,
            "retry_backoff_ms": 20,
            "group_id": None,
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 10 * 1024 * 1024,
            "fetch_max_wait_ms": 500,
        }
        self._consumer = KafkaConsumer(**settings)
        shorten_polls(self._consumer)
        try:
            return self._find_ends(mine)
        except TopicMismatch:
            self.stop()
            raise
        except foreign.KafkaError as error:
            self.stop()
            raise translate(error, address(self._cluster)) from error

    def _find_ends(self, mine: Callable[[int], bool]) -> int:
        known = {
            topic: self._consumer.partitions_for_topic(topic) for topic in (self._replies, self._claims.topic)
        }
        for topic, partitions in known.items():
            if not partitions:
                raise TopicMismatch(f"there is no topic {topic}", hint="`weir up` creates the topics")
        numbers = sorted(known[self._replies])
        places = [TopicPartition(self._replies, number) for number in numbers if mine(number)]
        self._consumer.assign([*places, self._claims])
        ends = self._consumer.end_offsets([*places, self._claims], timeout_ms=RPC_MS)
        for place in places:
            self.position[place.partition] = ends[place]
            self._consumer.seek(place, ends[place])
        self.claims_end = ends[self._claims]
        self._consumer.seek_to_beginning(self._claims)
        return len(numbers)

    def start(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Batch[W]], None]) -> None:
        """Read, on a thread of its own, and call `deliver` on the loop."""

        def hop(batch: Batch[W]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(deliver, batch)

        def run() -> None:
            try:
                self._read(hop)
            except BaseException:  # noqa: BLE001 - deaf to answers is no gateway: log it once, let it restart
                _log.exception("reading answers failed")
                os._exit(BROKEN)

        self._thread = threading.Thread(target=run, name="weir-inbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the connection."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(5)
        elif self._consumer is not None:
            self._consumer.close(autocommit=False)

    def _read(self, hop: Callable[[Batch[W]], None]) -> None:
        while not self._ended.is_set():
            polled = self._consumer.poll(timeout_ms=500, max_records=5000)
            if not polled:
                continue
            batch = self._sorted(polled)
            if batch.raws or batch.noted is not None:
                hop(batch)
            if sum(map(len, polled.values())) < SMALL_POLL:
                time.sleep(self._rest_s)
        self._consumer.close(autocommit=False)

    def _sorted(self, polled: Mapping[TopicPartition, list[Any]]) -> Batch[W]:
        raws: list[tuple[tuple[W, ...], Raw]] = []
        notes: list[Note] = []
        noted: int | None = None
        for place, records in polled.items():
            if place == self._claims:
                notes += [
                    Note(r.offset, (r.key or b"").decode(errors="replace"), r.value or b"") for r in records
                ]
                noted = records[-1].offset + 1
                continue
            self.position[place.partition] = records[-1].offset + 1
            for record in records:
                waiting = self.wanted.get(_correlation(record.headers))
                if waiting is None or record.value is None:
                    self.foreign += 1
                else:
                    raws.append((waiting, raw_of(record)))
        return Batch(raws, notes, noted)


def raw_of(record: Any) -> Raw:
    """A record of kafka-python, which is not typed, as a stream takes it."""
    return Raw(record.offset, ("kind", b"response") in record.headers, record.value)


def _correlation(headers: list[tuple[str, bytes]]) -> bytes:
    for name, value in headers:
        if name == CORRELATION:
            return value
    return b""
