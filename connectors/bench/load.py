"""Puts requests on a topic, at once or at a rate, from a thread of its own."""

import contextlib
import threading
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import orjson
from kafka import KafkaProducer
from kafka.errors import KafkaError

from connectors.kafka.clients import client_settings
from schemas.cluster import Cluster
from schemas.topics import MAX_RECORD_BYTES

MODEL = "bench"
"""The model that the bench's configuration has on the fake provider."""
_PROMPT = "How high is the water?"


@dataclass(frozen=True, slots=True)
class Item:
    """One record to produce."""

    key: bytes | None
    """Its key: the request id."""
    value: bytes
    """Its value."""
    partition: int
    """Where to."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """Its headers."""


class Items(Sequence[Item]):
    """Requests `PREFIX-0`, `PREFIX-1`, ..., evenly over the partitions; made when asked for."""

    def __init__(self, prefix: str, count: int, partitions: int) -> None:
        self._prefix, self._count, self._partitions = prefix, count, partitions

    @abstractmethod
    def _body(self, request_id: str) -> bytes:
        """The value of one record."""

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """One of them, or some."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        request_id = f"{self._prefix}-{index}"
        return Item(request_id.encode(), self._body(request_id), index % self._partitions)


class PlainItems(Items):
    """Requests of one size."""

    def __init__(
        self, prefix: str, count: int, partitions: int, *, size_bytes: int = 0, prompt: str = _PROMPT
    ) -> None:
        super().__init__(prefix, count, partitions)
        self._prompt = prompt
        bare = len(self._body("")) + len(f"{prefix}-{count}")
        self._prompt += "." * max(0, size_bytes - bare)

    def _body(self, request_id: str) -> bytes:
        return orjson.dumps({"request_id": request_id, "model": MODEL, "prompt": self._prompt})


class Load:
    """A running load. `join` it, then `appended` says how many records the broker has."""

    def __init__(self, cluster: Cluster, topic: str, items: Sequence[Item], rate: float) -> None:
        """Start it.

        Args:
            cluster: Where to.
            topic: Full name of the topic.
            items: What to send, in this order.
            rate: Records per second; 0 for all at once.
        """
        self._items = items
        self._topic = topic
        self._rate = rate
        self._producer = make_producer(cluster)
        self._lock = threading.Lock()
        self._failed = 0
        self.sent = 0
        """Records handed to the producer so far."""
        self._thread = threading.Thread(target=self._run, name="bench-load", daemon=True)
        self._thread.start()

    @property
    def total(self) -> int:
        """Records there are to send."""
        return len(self._items)

    @property
    def appended(self) -> int:
        """Records that the broker took, once joined."""
        return self.sent - self._failed

    def wait_sent(self, count: int) -> None:
        """Return when that many records were handed to the producer, or the load has ended."""
        while self.sent < count and self._thread.is_alive():
            time.sleep(0.01)

    def join(self) -> None:
        """Wait until everything is acknowledged or has failed."""
        self._thread.join()

    def _run(self) -> None:
        try:
            with contextlib.suppress(KafkaError):  # the sends say what is wrong
                self._producer.partitions_for(self._topic)  # else the first come as a heap
            began = time.monotonic()
            for number, item in enumerate(self._items):
                if self._rate:
                    wait_s = began + number / self._rate - time.monotonic()
                    if wait_s > 0:
                        time.sleep(wait_s)
                self._send(item)
                self.sent = number + 1
            self._producer.flush(180)
        finally:
            self._producer.close(timeout=30)

    def _send(self, item: Item) -> None:
        future = self._producer.send(
            self._topic,
            key=item.key,
            value=item.value,
            partition=item.partition,
            headers=list(item.headers),
        )
        future.add_errback(self._fail)

    def _fail(self, _: KafkaError) -> None:
        with self._lock:
            self._failed += 1


def make_producer(cluster: Cluster) -> KafkaProducer:
    """A producer as the bench and its echo use it; the same settings as the worker's."""
    return KafkaProducer(
        **client_settings(cluster), linger_ms=5, batch_size=262144, max_request_size=MAX_RECORD_BYTES
    )
