"""Lag and group state, as Kafka has them."""

import time

import pytest
from kafka import KafkaConsumer
from kafka.structs import OffsetAndMetadata, TopicPartition

from connectors.kafka import offsets
from connectors.kafka.clients import client_settings, group_name
from connectors.kafka.offsets import PartitionLag, group_state, lag
from schemas.topics import METRICS, REQUESTS
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


def test_lag_runs_from_the_watermark_to_the_end(topics: Topics):
    topics.produce(REQUESTS, [b"a", b"b", b"c"], partition=0)
    topics.produce(REQUESTS, [b"d", b"e"], partition=1)
    consumer = KafkaConsumer(
        **client_settings(topics.cluster), group_id=group_name(topics.cluster), enable_auto_commit=False
    )
    place = TopicPartition(topics.name(REQUESTS), 0)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(2, "note", -1)})
    consumer.close()

    name = topics.name(REQUESTS)
    assert lag(topics.cluster) == [
        PartitionLag(name, 0, 2, 3, 1),
        PartitionLag(name, 1, None, 2, 2),
        PartitionLag(name, 2, None, 0, 0),
        PartitionLag(name, 3, None, 0, 0),
    ]
    assert group_state(topics.cluster).state == "Empty"


def test_lag_of_topics_that_do_not_exist_is_empty(broker, topics: Topics):
    cluster = type(topics.cluster)((broker.bootstrap,), prefix="nobody.")

    assert lag(cluster, (REQUESTS, METRICS)) == []


def test_group_without_members_is_dead_and_one_with_a_member_names_it(topics: Topics):
    assert group_state(topics.cluster).state == "Dead"

    consumer = KafkaConsumer(
        topics.name(METRICS),
        **client_settings(topics.cluster),
        group_id=group_name(topics.cluster),
        group_instance_id="worker-0",
        session_timeout_ms=2000,
        heartbeat_interval_ms=500,
    )
    end_s = time.monotonic() + 15
    while not consumer.assignment() and time.monotonic() < end_s:
        consumer.poll(timeout_ms=100)
    found = group_state(topics.cluster)
    consumer.close()

    assert (found.state, found.members) == ("Stable", ("worker-0",))


def test_waiting_for_a_coordinator_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(offsets, "COORDINATOR_TIMEOUT_S", 0.2)
    tries: list[int] = []

    def ask() -> None:
        tries.append(1)
        raise offsets._COMING_UP[0]

    with pytest.raises(offsets._COMING_UP[0]):
        offsets._patiently(ask)
    assert len(tries) > 1
