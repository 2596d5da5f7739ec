"""The bare echo on the real broker."""

import time
from contextlib import closing
from datetime import timedelta

import psutil
import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from connectors.bench.echo import ECHO_IN, ECHO_OUT, ECHO_TOPICS, Echo
from connectors.bench.echo_client import read_echo, start_echo
from connectors.bench.load import Load, PlainItems
from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.clients import client_settings
from schemas.topics import REQUESTS
from tests.support.kafka import Topics, fresh_topics

pytestmark = pytest.mark.broker


def committed(topics: Topics) -> int:
    group = topics.cluster.topic("bench-echo")
    with closing(KafkaConsumer(**client_settings(topics.cluster), group_id=group)) as consumer:
        places = [TopicPartition(topics.name(ECHO_IN), number) for number in range(4)]
        return sum(consumer.committed(place) or 0 for place in places)


def test_echo_answers_each_record_once_and_commits(broker: EmbeddedBroker):
    topics = fresh_topics(broker, ECHO_TOPICS)
    items = PlainItems("e", 200, topics.cluster.partitions, size_bytes=300)
    with start_echo(topics.cluster, 700) as child:
        assert child.said == "ready"
        Load(topics.cluster, topics.name(ECHO_IN), items, rate=400).join()
        time.sleep(1.5)
        times = read_echo(topics.cluster, "e-")

    assert (len(times.echo_ms), times.missing) == (200, 0)
    assert 0 <= times.percentile(0.5) < 1000
    assert times.first_ms <= times.last_ms
    echoed = topics.consume(ECHO_OUT, 201, timedelta(seconds=3))
    assert len(echoed) == 200
    assert {len(record.value) for record in echoed} == {700}
    assert not psutil.pid_exists(child.pid)
    assert committed(topics) == 200


def test_loop_acknowledges_what_it_answered(broker: EmbeddedBroker):
    topics = fresh_topics(broker, ECHO_TOPICS)
    topics.produce(ECHO_IN, [b"a", b"b", b"c"], key=b"k", partition=2)
    with closing(Echo(topics.cluster, 10)) as echo:
        echo.wait_ready()
        end_s = time.monotonic() + 2.5
        while time.monotonic() < end_s:
            echo.turn()

    assert [record.value for record in topics.consume(ECHO_OUT, 3)] == [b"." * 10] * 3
    assert committed(topics) == 3


def test_load_keeps_to_its_rate_size_and_partitions(broker: EmbeddedBroker):
    topics = fresh_topics(broker, [REQUESTS])
    items = PlainItems("r", 101, topics.cluster.partitions, size_bytes=300)
    began_s = time.monotonic()
    load = Load(topics.cluster, topics.name(REQUESTS), items, rate=100)
    load.wait_sent(50)
    half_s = time.monotonic() - began_s
    load.join()

    assert 0.4 < half_s < 2
    assert (load.total, load.appended) == (101, 101)
    records = topics.consume(REQUESTS, 101)
    assert [sum(r.partition == p for r in records) for p in range(4)] == [26, 25, 25, 25]
    assert {len(record.value) for record in records} <= {298, 299, 300}
