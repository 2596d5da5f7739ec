"""A whole installation for tests: a real worker, a fake provider, and short ways to ask and read."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from kafka import KafkaConsumer, KafkaProducer
from kafka.producer.future import RecordMetadata
from kafka.structs import TopicPartition

from connectors.bench.provider_client import ProviderClient, start_provider
from connectors.bench.provider_faults import Habits
from connectors.kafka.clients import client_settings
from schemas.base import JsonObject
from schemas.topics import REQUESTS, RESPONSES, Topic
from tests.support.kafka import Topics
from tests.support.worker import running_worker

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Got:
    """A JSON record that was read."""

    partition: int
    offset: int
    timestamp_ms: int
    value: dict[str, Any]
    headers: dict[str, bytes]


class Installation:
    """What tests do with it."""

    def __init__(self, topics: Topics, provider: ProviderClient) -> None:
        self.topics, self.provider = topics, provider
        self._producer = KafkaProducer(**client_settings(topics.cluster), linger_ms=0)
        self._consumer = KafkaConsumer(
            **client_settings(topics.cluster), enable_auto_commit=False, auto_offset_reset="earliest"
        )

    def ask(
        self,
        body: dict[str, Any] | bytes,
        *,
        partition: int | None = None,
        key: bytes | None = None,
        headers: dict[str, str] | None = None,
        topic: Topic = REQUESTS,
    ) -> RecordMetadata:
        """Put one record on a topic; returns where it lies."""
        pairs = [(name, value.encode()) for name, value in (headers or {}).items()]
        value = body if isinstance(body, bytes) else orjson.dumps(body)
        name = self.topics.name(topic)
        return self._producer.send(name, value, key=key, partition=partition, headers=pairs).get(timeout=20)

    def read(self, topic: Topic | str) -> list[Got]:
        """All JSON records that lie on a topic now, by timestamp; fences and packed records are left out."""
        name = topic if isinstance(topic, str) else self.topics.name(topic)
        places = [TopicPartition(name, number) for number in self._consumer.partitions_for_topic(name)]
        self._consumer.assign(places)
        ends = self._consumer.end_offsets(places)
        self._consumer.seek_to_beginning(*places)
        found: list[Got] = []
        while any(self._consumer.position(place) < ends[place] for place in places):
            for records in self._consumer.poll(timeout_ms=100).values():
                found += [_got(record) for record in records if (record.value or b"")[:1] == b"{"]
        return sorted(found, key=lambda got: got.timestamp_ms)

    def answers(self, *request_ids: str, count: int = 1) -> list[Got]:
        """Responses to these ids, once there are `count` of them, or the time is over."""
        return self.until(
            lambda: [got for got in self.read(RESPONSES) if got.value["request_id"] in request_ids], count
        )

    def until(self, look: Any, count: int = 1) -> list[Got]:
        """Look again and again until `count` records were found, or the time is over."""
        end_s = time.monotonic() + PATIENCE_S
        while len(found := look()) < count and time.monotonic() < end_s:
            time.sleep(0.1)
        return found

    def calls(self, request_id: str) -> int:
        """How often the provider was called for a request."""
        return sum(call.request_id == request_id for call in self.provider.calls())

    def close(self) -> None:
        """End the clients."""
        self._producer.close()
        self._consumer.close()


def _got(record: Any) -> Got:
    value = orjson.loads(record.value)
    return Got(record.partition, record.offset, record.timestamp, value, dict(record.headers))


@contextmanager
def installed(
    topics: Topics, home: Path, models: Sequence[JsonObject] = (), ours: JsonObject | None = None, **env: str
) -> Generator[Installation]:
    """A worker whose model `bench` is the fake provider; `latency=N` in a prompt sets its milliseconds.

    `models` are further entries of its `model_list`, `ours` what stands under `weir:`.
    """
    with start_provider(Habits(latency_ms=5)) as child:
        provider = ProviderClient(child.said)
        config = home / "weir.yaml"
        params = {"model": "openai/fake", "api_base": provider.api_base}
        entries = [{"model_name": "bench", "litellm_params": params}, *models]
        config.write_text(yaml.safe_dump({"model_list": entries, "weir": ours or {}}))
        with running_worker(topics.cluster, home / "worker.log", WEIR_CONFIG=str(config), **env):
            installation = Installation(topics, provider)
            try:
                yield installation
            finally:
                installation.close()
