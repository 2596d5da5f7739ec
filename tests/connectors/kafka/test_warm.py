"""What is compiled ahead is what a worker speaks with the real broker."""

import subprocess
import sys
from typing import Any

import pytest

from connectors.kafka.warm import WIRE, compile_wire
from schemas.topics import REQUESTS
from tests.support.kafka import Topics

SCRIPT = """
import sys
from kafka import KafkaConsumer, KafkaProducer
from kafka.protocol.schemas.fields.struct import StructField
from kafka.structs import TopicPartition
from connectors.kafka.clients import client_settings
from connectors.kafka.warm import compile_wire
from schemas.cluster import Cluster

compile_wire()
late = []
def watched(method):
    def call(self, version, *args, **kwargs):
        before = len(self._compiled_encoders)
        found = method(self, version, *args, **kwargs)
        if len(self._compiled_encoders) > before and not self.name.startswith("api_versions"):
            late.append(f"{self.name} {version}")
        return found
    return call
StructField.compiled_encode_into = watched(StructField.compiled_encode_into)
StructField.compiled_decode_from = watched(StructField.compiled_decode_from)

cluster, topic = Cluster((sys.argv[1],)), sys.argv[2]
producer = KafkaProducer(**client_settings(cluster))
producer.send(topic, b"x", partition=0).get(timeout=20)
producer.close()
consumer = KafkaConsumer(
    topic, **client_settings(cluster), group_id=topic, group_instance_id="one", auto_offset_reset="earliest",
    enable_auto_commit=False, heartbeat_interval_ms=100, session_timeout_ms=6000,
)
found = {}
while not found:
    found = consumer.poll(timeout_ms=200)
consumer.commit()
consumer.committed(TopicPartition(topic, 0))
consumer.end_offsets([TopicPartition(topic, 0)])
consumer.poll(timeout_ms=500)
consumer.close()
print(late)
"""


@pytest.mark.broker
def test_worker_compiles_nothing_more_when_it_speaks_to_the_broker(topics: Topics):
    command = [sys.executable, "-c", SCRIPT, topics.cluster.bootstrap[0], topics.name(REQUESTS)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "[]\n", done.stderr


def test_each_message_is_spoken_by_the_pinned_client():
    for request, response, version in WIRE:
        assert request.min_version <= version <= request.max_version
        assert response.min_version <= version <= response.max_version


def test_all_of_them_are_compiled_and_a_second_time_is_free():
    compile_wire()
    compiled = {name: set(_compiled(pair)) for name, *pair in _named()}
    compile_wire()

    assert all(compiled.values())
    assert {name: set(_compiled(pair)) for name, *pair in _named()} == compiled


def _named() -> list[tuple[str, Any, Any]]:
    named: list[tuple[str, Any, Any]] = []
    for request, response, _ in WIRE:
        named += [(request.__name__, request, "encode"), (response.__name__, response, "decode")]
    return named


def _compiled(pair: list[Any]) -> list[Any]:
    """Keys of what is compiled of a message: encoders begin with a version, decoders with `decode`."""
    message, way = pair
    return [key for key in message._struct._compiled_encoders if (key[0] == "decode") == (way == "decode")]
