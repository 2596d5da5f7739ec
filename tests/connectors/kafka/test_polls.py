"""Polls without kafka-python's I/O thread: the same records and waits, and what it was before."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from kafka import KafkaConsumer

from connectors.kafka.clients import client_settings, group_name
from connectors.kafka.polls import rest, shorten_polls
from schemas.topics import REQUESTS
from tests.support.kafka import Topics

ROUNDS = 10
HEARTBEAT_MS = 100


def _count(owner: Any, name: str, calls: Counter[str]) -> None:
    method = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[name] += 1
        return method(*args, **kwargs)

    setattr(owner, name, counted)


def leave_alone(_: KafkaConsumer) -> None:
    """kafka-python as it is."""


@contextmanager
def member(topics: Topics, before_polls: Callable[[KafkaConsumer], None]) -> Iterator[KafkaConsumer]:
    """A consumer of the group that has its partitions and has polled them empty."""
    consumer = KafkaConsumer(
        topics.name(REQUESTS),
        **client_settings(topics.cluster),
        group_id=group_name(topics.cluster),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=HEARTBEAT_MS,
    )
    before_polls(consumer)
    try:
        end_s = time.monotonic() + 20
        while len(consumer.assignment()) < topics.cluster.partitions and time.monotonic() < end_s:
            consumer.poll(timeout_ms=50)
        consumer.poll(timeout_ms=200)
        yield consumer
    finally:
        consumer.close(autocommit=False)


@pytest.mark.parametrize(
    ("before_polls", "short"),
    [(shorten_polls, True), (leave_alone, False)],
    ids=["Weir's consumer", "kafka-python 3.0.12: when this fails, `polls` can go"],
)
def test_a_poll_that_finds_records_asks_no_other_thread(
    topics: Topics, before_polls: Callable[[KafkaConsumer], None], short: bool
):
    with member(topics, before_polls) as consumer:
        calls = Counter[str]()
        _count(cast(Any, consumer)._fetcher._net, "run", calls)
        _count(consumer, "_poll_once", calls)
        values: list[bytes] = []
        for number in range(ROUNDS):
            topics.produce(REQUESTS, [b"%d" % number], partition=number % topics.cluster.partitions)
            for records in consumer.poll(timeout_ms=5000).values():
                values += [record.value for record in records]

    assert values == [b"%d" % number for number in range(ROUNDS)]
    # now and then metadata is asked for, too; and what came meanwhile needs no wait
    assert (calls["run"] < 0.5 * calls["_poll_once"]) is short


def test_a_poll_without_records_ends_at_its_timeout(topics: Topics):
    with member(topics, shorten_polls) as consumer:
        begun_s = time.monotonic()
        records = consumer.poll(timeout_ms=120)

    assert records == {}
    assert time.monotonic() - begun_s >= 0.12


def test_polls_that_may_not_wait_find_records_too(topics: Topics):
    with member(topics, shorten_polls) as consumer:
        topics.produce(REQUESTS, [b"1"])
        end_s, found = time.monotonic() + 20, 0
        while not found and time.monotonic() < end_s:
            found = len(consumer.poll(timeout_ms=0))

    assert found == 1


def _heartbeats(consumer: KafkaConsumer) -> Counter[str]:
    calls = Counter[str]()
    _count(cast(Any, consumer)._coordinator.heartbeat, "received_heartbeat", calls)
    return calls


def test_heartbeats_go_out_while_the_thread_rests(topics: Topics):
    with member(topics, shorten_polls) as consumer:
        calls = _heartbeats(consumer)
        rest(consumer, 10 * HEARTBEAT_MS / 1000)

    assert calls["received_heartbeat"] >= 5


def test_heartbeats_go_out_while_no_poll_has_to_wait(topics: Topics):
    with member(topics, shorten_polls) as consumer:
        topics.produce(REQUESTS, [b"%d" % number for number in range(100)])
        calls = _heartbeats(consumer)
        found = 0
        while found < 100:  # one a poll: nearly all of them are there when it is asked
            found += sum(map(len, consumer.poll(timeout_ms=5000, max_records=1).values()))
            time.sleep(HEARTBEAT_MS / 10 / 1000)

    assert calls["received_heartbeat"] >= 5


def test_a_coordinator_that_went_away_is_looked_up_again(topics: Topics):
    with member(topics, shorten_polls) as consumer:
        cast(Any, consumer)._coordinator.coordinator_dead("a test")
        topics.produce(REQUESTS, [b"after"])
        end_s = time.monotonic() + 20
        values: list[bytes] = []
        while not values and time.monotonic() < end_s:
            for records in consumer.poll(timeout_ms=100).values():
                values += [record.value for record in records]
        known = cast(Any, consumer)._coordinator.coordinator_id

    assert values == [b"after"]
    assert known is not None
