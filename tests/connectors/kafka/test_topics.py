"""Topics: what is missing is made, what differs is reported, nothing is changed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.clients import admin
from connectors.kafka.errors import BadAnswer, BrokerDown, TopicMismatch
from connectors.kafka.ports import free_port
from connectors.kafka.topics import Difference, TopicReport, compare, ensure_topics
from schemas.cluster import Cluster
from schemas.topics import CACHE, CONFIG, CONTEXTS, METRICS, REQUESTS, TOPICS
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


def test_missing_topics_are_created_and_a_second_run_finds_them_as_they_should_be(broker: EmbeddedBroker):
    cluster = Cluster((broker.bootstrap,), prefix="made.", partitions=2)

    first, second = ensure_topics(cluster), ensure_topics(cluster)

    names = tuple(cluster.topic(topic.name) for topic in TOPICS)
    assert first == TopicReport(names, (), ())
    assert second == TopicReport((), names, ())


def test_topics_have_the_partitions_and_settings_of_the_table(topics: Topics):
    with admin(topics.cluster) as client:
        found = {entry["name"]: entry for entry in client.describe_topics([topics.name(t) for t in TOPICS])}

    assert {name: len(entry["partitions"]) for name, entry in found.items()} == {
        topics.name(topic): topics.cluster.partitions if topic.partitioned else 1 for topic in TOPICS
    }


def test_other_partitions_and_settings_are_reported_and_left_alone(broker: EmbeddedBroker):
    cluster = Cluster((broker.bootstrap,), prefix="odd.", partitions=2)
    with admin(cluster) as client:
        odd = {"num_partitions": 3, "replication_factor": 1, "configs": {"retention.ms": "1000"}}
        client.create_topics({cluster.topic(REQUESTS.name): odd}, wait_for_metadata=True)

    reports = [ensure_topics(cluster, [REQUESTS]) for _ in range(2)]

    assert reports[0] == reports[1]
    assert {(d.setting, d.wanted, d.found) for d in reports[0].differences} == {
        ("partitions", "2", "3"),
        ("message.timestamp.type", "LogAppendTime", "CreateTime"),
        ("retention.ms", str(REQUESTS.retention_ms), "1000"),
    }
    with pytest.raises(TopicMismatch, match=r"odd\.llm\.requests: partitions is 3, Weir expects 2"):
        reports[0].require_partitions()


def test_two_processes_may_make_the_topics_at_the_same_time(broker: EmbeddedBroker):
    cluster = Cluster((broker.bootstrap,), prefix="race.", partitions=1)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: ensure_topics(cluster), range(2)))

    assert sorted(name for report in reports for name in report.created) == sorted(
        cluster.topic(topic.name) for topic in TOPICS
    )
    assert [report.differences for report in reports] == [(), ()]


def test_kafka_that_refuses_to_create_a_topic_is_a_bad_answer(broker: EmbeddedBroker):
    cluster = Cluster((broker.bootstrap,), prefix="far.", replication=3)

    with pytest.raises(BadAnswer, match=r"answered: .*eplication"):
        ensure_topics(cluster, [METRICS])


def test_topics_of_a_broker_that_is_down_say_so():
    with pytest.raises(BrokerDown):
        ensure_topics(Cluster((f"127.0.0.1:{free_port()}",)))


def test_order_of_a_list_setting_makes_no_difference():
    wanted = CACHE.configs()
    seen = wanted | {"cleanup.policy": "delete,compact"}

    assert wanted["cleanup.policy"] == "compact,delete"
    assert compare(Cluster(), CACHE, None, seen) == []


def test_setting_that_is_not_there_is_a_difference():
    differences = compare(Cluster(), CONFIG, None, CONFIG.configs() | {"retention.ms": ""})

    assert differences == [Difference("llm.config", "retention.ms", "-1", "")]
    assert "retention.ms is not set, Weir expects -1" in str(differences[0])


def test_differences_other_than_partitions_let_work_go_on():
    report = TopicReport((), ("a",), (Difference("a", "retention.ms", "1", "2"),))

    report.require_partitions()
    assert replace(report, differences=()).differences == ()


def test_compacted_topics_keep_the_newest_for_ever():
    assert CONTEXTS.configs()["cleanup.policy"] == "compact"
