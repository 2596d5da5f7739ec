"""A stand-in for the flow: answers requests on the real broker in a thread, to test clients alone.

What a prompt asks for: `fail` a failure, `flaky` one at the first time, `wait` no answer, `twice` two
attempts; all else is echoed. A repeated request id gets no second answer unless it failed.
"""

import threading
from collections import Counter
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from connectors.kafka.clients import client_settings
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.codes import Code
from schemas.packed import Settled, Started, hash_request, pack_settled, pack_started
from schemas.requests import Request
from schemas.responses import Attempt, ErrorInfo, Latency, Response, Usage
from schemas.topics import CHUNKS, CONTROL, REQUESTS, RESPONSES, USAGE
from schemas.usage import Finished


class Answering:
    """Answers every request of a cluster until it is stopped."""

    def __init__(self, cluster: Cluster, *, delay_s: float = 0.0) -> None:
        self.calls: Counter[str] = Counter()
        """How often each request id was "called"."""
        self.cancelled: set[str] = set()
        """Requests that were cancelled."""
        self._cluster = cluster
        self._delay_s = delay_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answering")

    def __enter__(self) -> "Answering":
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
        self._producer: Any = KafkaProducer(**settings, linger_ms=0)
        name = self._cluster.topic
        places = [TopicPartition(name(REQUESTS.name), at) for at in range(self._cluster.partitions)]
        places.append(TopicPartition(name(CONTROL.name), 0))
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        try:
            while not self._stop.is_set():
                for records in consumer.poll(timeout_ms=50).values():
                    for record in records:
                        self._take(record)
        finally:
            consumer.close()
            self._producer.close()

    def _take(self, record: Any) -> None:
        body = orjson.loads(record.value)
        if record.topic == self._cluster.topic(CONTROL.name):
            self.cancelled.add(body["request_id"])
            return
        headers = {key: value.decode() for key, value in record.headers}
        request = Request.model_validate(body | {k: v for k, v in headers.items() if k == "request_id"})
        request_id = str(request.request_id)
        mendable = request.prompt in ("fail", "flaky") or "replay" in headers
        if self.calls[request_id] and not mendable:
            return
        self.calls[request_id] += 1
        if request.prompt == "wait" or self._stop.wait(self._delay_s):
            return
        self._answer(request, record)

    def _answer(self, request: Request, record: Any) -> None:
        request_id = str(request.request_id)
        failed = request.prompt == "fail" or (request.prompt == "flaky" and self.calls[request_id] == 1)
        hashed = hash_request(request.tenant, request_id)
        attempts = 2 if request.prompt == "twice" else 1
        for attempt in range(1, attempts + 1):
            started = Started(0, attempt, 1, record.offset, hashed, 0)
            self._send(USAGE.name, record.partition, None, pack_started([started]), "started")
            if request.stream and not failed:
                self._chunks(request_id, attempt, f"echo {request.prompt}")
        usage = Usage(input_tokens=3, output_tokens=2)
        outcome = "unavailable" if failed else "ok"
        tries = Attempt(
            attempt=attempts, route="fake:echo", provider="fake", model="echo", outcome=outcome,
            started_ms=record.timestamp, duration_ms=5, usage=usage, cost_usd=0.001,
        )  # fmt: skip
        response = Response(
            request_id=request_id,
            tenant=request.tenant,
            response=None if failed else f"echo {request.prompt}",
            error=ErrorInfo(code=Code.MODEL_UNAVAILABLE, message="it is away") if failed else None,
            tokens_used=0 if failed else 5,
            usage=None if failed else usage,
            cost_usd=0.001,
            provider=None if failed else "fake",
            model=None if failed else "echo",
            attempts=[tries],
            latency=Latency(queue_ms=1, routing_ms=1, provider_ms=5, total_ms=7),
            correlation_id=request.correlation_id,
        )
        key = request_id.encode()
        self._send(RESPONSES.name, record.partition, key, response.to_bytes(), "response")
        finished = Finished(
            request_id=request_id,
            tenant=request.tenant,
            source=f"{REQUESTS.name}/{record.partition}/{record.offset}",
            response_offset=0,
            attempt=tries,
        )
        self._send(USAGE.name, record.partition, key, finished.to_bytes(), "finished")
        settled = Settled(0, 1, record.offset, hashed, 0, 0)
        self._send(USAGE.name, record.partition, None, pack_settled([settled]), "settled")

    def _chunks(self, request_id: str, attempt: int, text: str) -> None:
        words = text.split(" ")
        for seq, word in enumerate(words):
            delta = word if seq == 0 else f" {word}"
            chunk = Chunk(
                request_id=request_id, attempt=attempt, seq=seq, delta=delta, last=seq == len(words) - 1
            )
            self._send(CHUNKS.name, None, request_id.encode(), chunk.to_bytes(), "chunk")

    def _send(self, topic: str, partition: int | None, key: bytes | None, value: bytes, kind: str) -> None:
        name = self._cluster.topic(topic)
        headers = [("kind", kind.encode())]
        self._producer.send(name, value=value, key=key, partition=partition, headers=headers).get(timeout=10)
