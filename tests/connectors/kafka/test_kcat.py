"""kcat, a client in another language, sees the same topics and records."""

import json
import subprocess

import pytest

from schemas.topics import METRICS, REQUESTS, TOPICS
from tests.support.kafka import Topics, requires

pytestmark = pytest.mark.broker


def _kcat(topics: Topics, *args: str, stdin: str = "") -> str:
    requires("kcat")
    command = ["kcat", "-b", topics.cluster.bootstrap[0], *args]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_kcat_lists_the_topics_with_their_partitions(topics: Topics):
    listing = json.loads(_kcat(topics, "-L", "-J"))

    found = {entry["topic"]: len(entry["partitions"]) for entry in listing["topics"]}
    assert {topics.name(topic) for topic in TOPICS} <= found.keys()
    assert found[topics.name(REQUESTS)] == topics.cluster.partitions


def test_record_of_kcat_is_read_with_key_and_headers(topics: Topics):
    sent = '{"prompt": "hi"}'
    _kcat(topics, "-P", "-t", topics.name(REQUESTS), "-k", "k1", "-H", "tenant=acme", stdin=sent)

    (record,) = topics.consume(REQUESTS, 1)
    assert (record.key, record.value, list(record.headers)) == (b"k1", sent.encode(), [("tenant", b"acme")])


def test_records_of_ours_are_read_by_kcat_in_order(topics: Topics):
    topics.produce(METRICS, [b"one", b"two"], key=b"k")

    text = _kcat(topics, "-C", "-e", "-q", "-t", topics.name(METRICS), "-f", "%k=%s@%o\n")

    assert text.splitlines() == ["k=one@0", "k=two@1"]
