"""A stand-in for the flow that answers at reply addresses, with faults to order: to test gateways alone.

A request's `metadata` says how it is answered: `chunks` (3) pieces, one each `every_ms` (0), each of `chars`
(8) characters, with the time in it where `stamped`; `fault` is one of `gap`, `repeat`, `restart`, `no_copy`,
`silent`, `fail`, `refuse`. A request id that was answered before gets no second answer, as with real workers.
"""

import heapq
import signal
import sys
import threading
import time
from collections import Counter
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from connectors.kafka.clients import client_settings
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.codes import Code
from schemas.requests import Request
from schemas.responses import ErrorInfo, LastChunk, Latency, Response
from schemas.topics import CHUNKS, CONTROL, MAX_RECORD_BYTES, REQUESTS, RESPONSES, source_text


def main() -> None:
    """The stand-in as a process: its cluster on the command line; at SIGTERM its counts on stdout."""
    bootstrap, prefix, partitions = sys.argv[1:]
    cluster = Cluster((bootstrap,), prefix=prefix, partitions=int(partitions))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Replying(cluster) as replying:
        stop.wait()
    most = max(replying.calls.values(), default=0)
    counts = {"requests": len(replying.calls), "most_calls": most, "records": replying.records.total()}
    print(orjson.dumps(counts).decode(), flush=True)


def piece(seq: int, chars: int) -> str:
    """The text of a piece: its number, filled up."""
    return f"{seq} ".ljust(chars, ".")


class Replying:
    """Answers every request of a cluster until it is stopped, in one thread."""

    def __init__(self, cluster: Cluster) -> None:
        self.calls: Counter[str] = Counter()
        """How often each request id was answered."""
        self.records: Counter[str] = Counter()
        """How many request records there were of each id."""
        self.cancelled: set[str] = set()
        """Requests that were cancelled."""
        self._cluster = cluster
        self._due: list[tuple[float, int, Any]] = []
        self._count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replying")

    def __enter__(self) -> "Replying":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        settings: dict[str, Any] = client_settings(self._cluster)
        consumer: Any = KafkaConsumer(
            **settings, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        self._producer: Any = KafkaProducer(
            **settings, linger_ms=5, batch_size=256 * 1024, max_request_size=MAX_RECORD_BYTES
        )
        name = self._cluster.topic
        places = [TopicPartition(name(REQUESTS.name), at) for at in range(self._cluster.partitions)]
        places.append(TopicPartition(name(CONTROL.name), 0))
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        try:
            while not self._stop.is_set():
                for records in consumer.poll(timeout_ms=5).values():
                    for record in records:
                        self._take(record)
                while self._due and self._due[0][0] <= time.monotonic():
                    heapq.heappop(self._due)[2]()
        finally:
            consumer.close()
            self._producer.close()

    def _take(self, record: Any) -> None:
        body = orjson.loads(record.value)
        if record.topic == self._cluster.topic(CONTROL.name):
            self.cancelled.add(body["request_id"])
            return
        request = Request.model_validate(body)
        request_id = str(request.request_id)
        self.records[request_id] += 1
        if not self.calls[request_id]:
            self.calls[request_id] += 1
            _Job(self, request, record).begin()

    def at(self, when_s: float, work: Any) -> None:
        """Do something later."""
        self._count += 1
        heapq.heappush(self._due, (when_s, self._count, work))

    def send(self, request: Request, event: Chunk | Response, *, copy: bool = True) -> None:
        """Write a chunk, or the copy of a response, to the reply address."""
        kind = b"chunk" if isinstance(event, Chunk) else b"response"
        headers = [("kind", kind), ("correlation_id", str(request.correlation_id).encode())]
        topic = request.reply_topic or self._cluster.topic(CHUNKS.name)
        key = str(request.request_id).encode()
        if copy:
            self._producer.send(
                topic, value=event.to_bytes(), key=key, partition=request.reply_partition, headers=headers
            )

    def respond(self, request: Request, response: Response, record: Any) -> None:
        """Write a response where it is the commit point."""
        source = source_text(REQUESTS.name, record.partition, record.offset)
        headers = [("kind", b"response"), ("source", source.encode())]
        topic = self._cluster.topic(RESPONSES.name)
        key = str(request.request_id).encode()
        self._producer.send(
            topic, value=response.to_bytes(), key=key, partition=record.partition, headers=headers
        )


class _Job:
    """One answer."""

    def __init__(self, replying: Replying, request: Request, record: Any) -> None:
        self._replying, self._request, self._record = replying, request, record
        wish: dict[str, Any] = request.metadata or {}
        self._chunks, self._every_s = int(wish.get("chunks", 3)), wish.get("every_ms", 0) / 1000
        self._chars, self._fault = int(wish.get("chars", 8)), wish.get("fault", "")
        self._stamped = bool(wish.get("stamped"))
        self._attempt, self._seq = 1, 0

    def begin(self) -> None:
        """The first piece, or the answer; a silent one does neither."""
        if self._fault == "silent":
            return
        if self._request.stream and self._fault not in ("fail", "refuse"):
            self._replying.at(time.monotonic() + self._every_s, self._next)
        else:
            self._end(None)

    def _next(self) -> None:
        if str(self._request.request_id) in self._replying.cancelled:
            return
        if self._fault == "restart" and self._attempt == 1 and self._seq == self._chunks - 1:
            self._attempt, self._seq = 2, 0
        last = self._seq == self._chunks - 1
        if not (self._fault == "gap" and self._seq == 1):
            self._send(self._seq, last)
        if self._fault == "repeat":
            self._send(max(0, self._seq - 1), False)
        self._seq += 1
        if last:
            self._end(LastChunk(attempt=self._attempt, seq=self._seq - 1))
        else:
            self._replying.at(time.monotonic() + self._every_s, self._next)

    def _send(self, seq: int, last: bool) -> None:
        text = (
            f"{seq} {time.time():.4f} ".ljust(self._chars, ".") if self._stamped else piece(seq, self._chars)
        )
        chunk = Chunk(
            request_id=str(self._request.request_id), attempt=self._attempt, seq=seq, delta=text, last=last
        )
        self._replying.send(self._request, chunk)

    def _end(self, last: LastChunk | None) -> None:
        codes = {"fail": Code.MODEL_UNAVAILABLE, "refuse": Code.REFUSED}
        code = codes.get(self._fault)
        request = self._request
        response = Response(
            request_id=str(request.request_id),
            tenant=request.tenant,
            response=None if code else "".join(piece(seq, self._chars) for seq in range(self._chunks)),
            error=ErrorInfo(code=code, message="as asked") if code else None,
            latency=Latency(queue_ms=0, routing_ms=0, provider_ms=0, total_ms=0),
            last_chunk=last,
            correlation_id=request.correlation_id,
        )
        self._replying.respond(request, response, self._record)
        self._replying.send(request, response, copy=self._fault != "no_copy")


if __name__ == "__main__":
    main()
