"""A small client that puts requests on `llm.requests` and follows their answers, for commands and the demo.

A producer finds its own answers by two rules and needs no group: a response lies on the partition number of
the request record, and a chunk on the partition that its request id hashes to. So it looks up where those
partitions end *before* it writes the request, and reads on from there.

    with Client(cluster) as client:
        client.follow([request])
        client.put(request)
        for event in client.events(until_s): ...

Written with acks=all; a record that can't be written raises a `KafkaProblem` at the next call.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

from kafka import KafkaProducer
from kafka.errors import KafkaError
from pydantic import ValidationError

from connectors.kafka.clients import address, client_settings
from connectors.kafka.errors import translate
from connectors.kafka.reading import Place, Reader, Seen, partition_of
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.control import Cancel, Forget
from schemas.records import Headers
from schemas.requests import Request
from schemas.responses import Response
from schemas.topics import CHUNKS, CONTROL, MAX_RECORD_BYTES, REQUESTS, RESPONSES

WRITE_TIMEOUT_S = 10.0
"""Longest wait for the broker to acknowledge a record that a person waits for."""


def named(request: Request) -> Request:
    """The request with an id: its own, or a new uuid."""
    if request.request_id is not None:
        return request
    return request.model_copy(update={"request_id": str(uuid4())})


def record_key(request: Request) -> bytes:
    """Key of a request record: the conversation where there is one, else the request."""
    return str(request.context_id or request.request_id).encode()


class Client:
    """Puts requests, follows their answers. One thread at a time."""

    def __init__(self, cluster: Cluster) -> None:
        """Connect to the cluster.

        Raises:
            KafkaProblem: When it can't be reached, or doesn't let us in.
        """
        self._cluster = cluster
        self.reader = Reader(cluster)
        settings: dict[str, Any] = client_settings(cluster) | {
            "allow_auto_create_topics": False,
            "linger_ms": 5,
            "batch_size": 256 * 1024,
            "max_request_size": MAX_RECORD_BYTES,
            "max_block_ms": int(WRITE_TIMEOUT_S * 1000),
            "delivery_timeout_ms": 60_000,
        }
        self._producer: Any = KafkaProducer(**settings)
        self._partitions: dict[str, int] = {}
        self._failure: KafkaError | None = None
        self._lock = Lock()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections; what was put and not acknowledged by then is given up after 3 seconds."""
        self.reader.close()
        try:
            self._producer.close(timeout=3)
        except KafkaError:
            # kafka-python raises when it can't flush and doesn't close; its thread is a daemon.
            return

    def places(self, topic: str) -> list[Place]:
        """All partitions of one of Weir's topics, by the topic's own name."""
        return self.reader.places(self._cluster.topic(topic))

    def home(self, topic: str, key: bytes) -> Place:
        """The partition of a topic that a key belongs to."""
        if topic not in self._partitions:
            self._partitions[topic] = len(self.places(topic))
        return Place(self._cluster.topic(topic), partition_of(key, self._partitions[topic]))

    def follow(self, requests: Iterable[Request]) -> None:
        """Read, from now on, the partitions where the answers to these requests will lie."""
        wanted: set[Place] = set()
        for request in requests:
            wanted.add(self.home(RESPONSES.name, record_key(request)))
            if request.stream:
                wanted.add(self.home(CHUNKS.name, str(request.request_id).encode()))
        self.reader.assign(self.reader.ends(sorted(wanted)))

    def follow_from(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on."""
        self.reader.assign(starts)

    def put(self, request: Request, *, wait: bool = True) -> Place:
        """Write a request, which must have an id, to its partition; return the partition.

        With `wait` until the broker acknowledged it, else a failure shows at a later call.

        Raises:
            KafkaProblem: When it can't be written.
        """
        place = self.home(REQUESTS.name, record_key(request))
        headers: Headers = (("request_id", str(request.request_id).encode()),)
        self.write(place, record_key(request), request.to_bytes(), headers, wait=wait)
        return place

    def cancel(self, request_id: str, tenant: str = "default") -> None:
        """Ask all workers to stop working on a request."""
        place = self.home(CONTROL.name, request_id.encode())
        event = Cancel(request_id=request_id, tenant=tenant)
        self.write(place, request_id.encode(), event.to_bytes(), ())

    def forget(self, context_id: UUID) -> None:
        """Tell all workers to forget a conversation."""
        key = str(context_id).encode()
        event = Forget(context_id=context_id)
        self.write(self.home(CONTROL.name, key), key, event.to_bytes(), ())

    def write(
        self, place: Place, key: bytes | None, value: bytes | None, headers: Headers, *, wait: bool = True
    ) -> None:
        """Write a record to a partition.

        Raises:
            KafkaProblem: When it, or one before it, can't be written.
        """
        self.check()
        try:
            future = self._producer.send(
                place.topic, value=value, key=key, headers=list(headers), partition=place.partition
            )
            if wait:
                future.get(timeout=WRITE_TIMEOUT_S)
            else:
                future.add_errback(self._note_failure)
        except KafkaError as error:
            raise translate(error, address(self._cluster)) from error

    def flush(self) -> None:
        """Wait until all that was put is acknowledged.

        Raises:
            KafkaProblem: When something can't be written.
        """
        try:
            self._producer.flush(timeout=WRITE_TIMEOUT_S)
        except KafkaError as error:
            raise translate(error, address(self._cluster)) from error
        self.check()

    def events(self, timeout_s: float) -> list[Chunk | Response]:
        """Chunks and responses that came within the time, of whatever request."""
        self.check()
        return [event for seen in self.reader.poll(timeout_s) if (event := self.event(seen)) is not None]

    def event(self, seen: Seen) -> Chunk | Response | None:
        """What a record of the answer topics says; `None` for a fence or what can't be read."""
        if seen.value is None:
            return None
        model = Chunk if seen.place.topic == self._cluster.topic(CHUNKS.name) else Response
        try:
            return model.model_validate_json(seen.value)
        except ValidationError:
            return None

    def check(self) -> None:
        """Return when all that was put so far was written or is on its way.

        Raises:
            KafkaProblem: When something can't be written.
        """
        with self._lock:
            if self._failure is not None:
                raise translate(self._failure, address(self._cluster)) from self._failure

    def _note_failure(self, error: KafkaError) -> None:
        with self._lock:
            self._failure = self._failure or error
