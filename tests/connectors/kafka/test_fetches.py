"""Fetch requests made of what has changed ask for what kafka-python's own would, and nothing is missed."""

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from kafka import KafkaConsumer
from kafka.structs import OffsetAndMetadata, TopicPartition

from connectors.kafka.clients import client_settings
from connectors.kafka.fetches import Fetches
from connectors.kafka.polls import shorten_polls
from schemas.topics import REQUESTS
from tests.support.kafka import Topics

PARTS = ("partition", "current_leader_epoch", "fetch_offset", "last_fetched_epoch", "partition_max_bytes")
WHOLE = ("max_wait_ms", "min_bytes", "max_bytes", "isolation_level", "session_id", "session_epoch", "rack_id")


@pytest.fixture
def consumer(topics: Topics) -> Any:
    made = KafkaConsumer(**client_settings(topics.cluster), enable_auto_commit=False, fetch_max_wait_ms=100)
    made.assign(
        [TopicPartition(topics.name(REQUESTS), number) for number in range(topics.cluster.partitions)]
    )
    made.seek_to_beginning()
    yield made
    made.close(autocommit=False)


def read(consumer: Any, count: int) -> list[bytes]:
    """So many values, or what came in 20 s."""
    found: list[bytes] = []
    end_s = time.monotonic() + 20
    while len(found) < count and time.monotonic() < end_s:
        for records in consumer.poll(timeout_ms=100).values():
            found += [record.value for record in records]
    return sorted(found)


def said(requests: dict[int, Any]) -> Any:
    """What requests ask for, by node."""
    return {
        node: (
            [getattr(request, name) for name in WHOLE],
            sorted((topic.topic, *(getattr(part, name) for name in PARTS))
                   for topic in request.topics for part in topic.partitions),
            [(topic.topic, sorted(topic.partitions)) for topic in request.forgotten_topics_data],
            request.encode(version=12),
            offsets,
        )
        for node, (request, offsets) in requests.items()
    }  # fmt: skip


@pytest.mark.parametrize("change", ["nothing", "paused", "moved"])
def test_they_ask_for_the_same(topics: Topics, consumer: Any, change: str):
    fetches = Fetches(consumer)
    shorten_polls(consumer)
    topics.produce(REQUESTS, [b"1", b"2"], partition=1)
    assert read(consumer, 2) == [b"1", b"2"]
    fetcher, place = consumer._fetcher, TopicPartition(topics.name(REQUESTS), 1)
    if change == "paused":
        consumer.pause(place)

    async def both() -> list[Any]:
        """On the thread that fetches, so that nothing changes meanwhile; all partitions, in a new session."""
        fetcher._nodes_with_pending_fetch_requests = set()
        if change == "moved":
            consumer._subscription.assignment[place].position = OffsetAndMetadata(1, "", -1)
        answers: list[Any] = []
        sessions = fetcher._session_handlers
        for create in cast("list[Callable[[], Any]]", [fetches._create, fetches.create]):  # pyright: ignore[reportPrivateUsage]
            fetcher._session_handlers = {}
            answers.append(said(create()))
        fetcher._session_handlers = sessions
        return answers

    theirs, ours = fetcher._net.run(both)
    assert ours == theirs
    assert len(ours) == 1


def test_nothing_is_missed(topics: Topics, consumer: Any):
    shorten_polls(consumer, ahead=64)
    values = [b"%03d" % number for number in range(30)]
    found: list[bytes] = []
    for number, value in enumerate(values):
        topics.produce(REQUESTS, [value], partition=number % topics.cluster.partitions)
        if number % 10 == 0:
            found += read(consumer, number + 1 - len(found))
    place = TopicPartition(topics.name(REQUESTS), 0)
    consumer.pause(place)
    for records in consumer.poll(timeout_ms=100).values():
        found += [record.value for record in records]
    consumer.resume(place)
    assert sorted(found + read(consumer, len(values) - len(found))) == values


def test_a_position_that_is_not_known_is_found_the_old_way(topics: Topics, consumer: Any):
    shorten_polls(consumer)
    topics.produce(REQUESTS, [b"1"])
    assert read(consumer, 1) == [b"1"]
    consumer.seek_to_beginning()
    assert read(consumer, 1) == [b"1"]


def test_few_records_are_not_fetched_ahead(topics: Topics, consumer: Any):
    shorten_polls(consumer, ahead=2)
    consumer.poll(timeout_ms=300)
    under_way = consumer._fetcher._nodes_with_pending_fetch_requests
    topics.produce(REQUESTS, [b"1"])
    assert sum(map(len, consumer.poll(timeout_ms=5000).values())) == 1
    assert not under_way
