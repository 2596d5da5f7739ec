"""Fixtures for tests on the real broker: one broker per session, topics of its own for each test.

Mark such a test with `broker`, or just take one of the fixtures.
"""

import os
import shutil
import uuid
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.producer.future import RecordMetadata
from kafka.structs import TopicPartition

from connectors.kafka.broker import BrokerOptions, EmbeddedBroker
from connectors.kafka.clients import client_settings
from connectors.kafka.errors import NotInstalled
from connectors.kafka.topics import ensure_topics
from schemas.cluster import Cluster
from schemas.topics import TOPICS, Topic

PARTITIONS = 4
"""P in tests: small, so that a test's topics are made in a moment."""


def requires(*programs: str) -> None:
    """Skip the test visibly where a program is missing; fail where `CI=true`."""
    for program in programs:
        if shutil.which(program) is None:
            missing(f"{program} is not installed")


def missing(reason: str) -> None:
    """Skip the test for a part that the machine lacks; fail where `CI=true`."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true allows no skips", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedBroker]:
    """The session's broker, started by the first test that asks. Don't stop it: other tests use it."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@contextmanager
def running_broker(data_dir: Path, options: BrokerOptions | None = None) -> Generator[EmbeddedBroker]:
    """A broker of one's own; skips where Java or Maven is missing."""
    embedded = EmbeddedBroker(data_dir, 0, options=options)
    try:
        embedded.start()
    except NotInstalled as error:
        missing(str(error))
    try:
        yield embedded
    finally:
        embedded.stop()


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one test, and short ways to write and read them."""

    cluster: Cluster
    """With a prefix that no other test has."""

    def name(self, topic: Topic) -> str:
        """The topic's name on the broker."""
        return self.cluster.topic(topic.name)

    def produce(
        self, topic: Topic, values: Iterable[bytes], *, key: bytes | None = None, partition: int | None = None
    ) -> list[RecordMetadata]:
        """Write records, in order; returns where they lie when all are acknowledged."""
        producer = KafkaProducer(**client_settings(self.cluster), linger_ms=5)
        try:
            futures = [
                producer.send(self.name(topic), value=value, key=key, partition=partition) for value in values
            ]
            return [future.get(timeout=20) for future in futures]
        finally:
            producer.close()

    def consume(
        self, topic: Topic, count: int, timeout: timedelta = timedelta(seconds=20)
    ) -> list[ConsumerRecord]:
        """The first `count` records of a topic over all its partitions, or what came within the time."""
        consumer = KafkaConsumer(
            **client_settings(self.cluster), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        size = self.cluster.partitions if topic.partitioned else 1
        places = [TopicPartition(self.name(topic), number) for number in range(size)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        records: list[ConsumerRecord] = []
        end_s = monotonic() + timeout.total_seconds()
        try:
            while len(records) < count and monotonic() < end_s:
                for batch in consumer.poll(timeout_ms=100).values():
                    records += batch
            return records[:count]
        finally:
            consumer.close()


def fresh_topics(embedded: EmbeddedBroker, topics: Iterable[Topic] = TOPICS) -> Topics:
    """New topics under a prefix of their own."""
    cluster = Cluster((embedded.bootstrap,), prefix=f"t{uuid.uuid4().hex[:10]}.", partitions=PARTITIONS)
    ensure_topics(cluster, topics)
    return Topics(cluster)


@pytest.fixture
def topics(broker: EmbeddedBroker) -> Topics:
    """All topics of Weir under a prefix that only this test has; P is 4."""
    return fresh_topics(broker)
