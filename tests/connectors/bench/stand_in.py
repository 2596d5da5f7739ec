"""A worker that answers but keeps none of the rules of delivery: it shows that the bench sees its faults.

It reads requests, writes `started`, calls the provider, answers, settles; it commits nothing. `STAND_IN`
names further faults, comma-separated: `unstarted` (no ledger before the call), `silent` (every 10th request
gets no answer), `twice` (every 10th gets two). With `--standby` it waits for its name first, as a
worker does.
"""

import http.client
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml
from kafka import KafkaConsumer, KafkaProducer

from connectors.kafka.membership import remember_join
from connectors.process.standby import read_role
from schemas.packed import NO_OFFSET, Settled, Started, pack_settled, pack_started

PREFIX = os.environ["WEIR_TOPIC_PREFIX"]
BROKERS = os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(",")
FAULTS = set(os.environ.get("STAND_IN", "").split(","))
CONFIG: dict[str, Any] = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
API = urlsplit(CONFIG["model_list"][0]["litellm_params"]["api_base"])


def call(record: Any) -> bool:
    """Ask the provider; whether it answered."""
    body = orjson.loads(record.value)
    asked = orjson.dumps({"model": "bench", "messages": [{"role": "user", "content": body["prompt"]}]})
    connection = http.client.HTTPConnection(API.netloc, timeout=30)
    try:
        connection.request(
            "POST", f"{API.path}/chat/completions", asked, {"x-request-id": body["request_id"]}
        )
        return connection.getresponse().status == 200
    finally:
        connection.close()


def response(record: Any, *, ok: bool) -> bytes:
    """A response event, as far as the bench reads it."""
    attempts = [{"attempt": 1, "outcome": "ok" if ok else "unavailable"}]
    error = None if ok else {"code": "model_unavailable"}
    return orjson.dumps(
        {"request_id": (record.key or b"").decode(), "attempts": attempts, "error": error, "response": "x"}
    )


class StandIn:
    """Consumes, calls, answers."""

    def __init__(self) -> None:
        self.consumer = KafkaConsumer(
            f"{PREFIX}llm.requests",
            bootstrap_servers=BROKERS,
            group_id=f"{PREFIX}weir",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(os.environ["WEIR_SESSION_MS"]),
            heartbeat_interval_ms=500,
            group_instance_id=os.environ.get("WEIR_INSTANCE_ID"),
        )
        remember_join(self.consumer)
        self.producer = KafkaProducer(bootstrap_servers=BROKERS, linger_ms=5)
        self.pool = ThreadPoolExecutor(64)
        self.seen = 0

    def batch(self, partition: int, records: list[Any]) -> None:
        """One partition's records: ledger, calls, answers."""
        begun = [Started(0, 1, 0, record.offset, 1, 1) for record in records]
        if "unstarted" not in FAULTS:
            self.ledger("started", partition, pack_started(begun))
            self.producer.flush()
        for record, ok in zip(records, self.pool.map(call, records), strict=True):
            self.seen += 1
            copies = {"silent": 0, "twice": 2}
            copies = next((n for fault, n in copies.items() if fault in FAULTS and not self.seen % 10), 1)
            for _ in range(copies):
                self.answer(record, ok=ok)
        done = [Settled(0, 1, record.offset, 1, 1, NO_OFFSET) for record in records]
        self.ledger("settled", partition, pack_settled(done))
        self.producer.flush()

    def answer(self, record: Any, *, ok: bool) -> None:
        """Write one response."""
        source = f"llm.requests/{record.partition}/{record.offset}"
        self.producer.send(
            f"{PREFIX}llm.responses",
            key=record.key,
            value=response(record, ok=ok),
            partition=record.partition,
            headers=[("source", source.encode())],
        )

    def ledger(self, kind: str, partition: int, value: bytes) -> None:
        """Write one packed record."""
        self.producer.send(
            f"{PREFIX}llm.usage", value=value, partition=partition, headers=[("kind", kind.encode())]
        )


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if "--standby" in sys.argv:
        role = read_role(sys.stdin.buffer.readline())
        if role is None:
            return
        os.environ["WEIR_INSTANCE_ID"] = role.instance_id
        role.assume_output()
        print("took its role", flush=True)
    stand_in = StandIn()
    while True:
        for place, records in stand_in.consumer.poll(timeout_ms=100).items():
            stand_in.batch(place.partition, records)


if __name__ == "__main__":
    main()
