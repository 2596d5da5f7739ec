"""The topic of memories, for commands: what it holds now, and tombstones."""

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from pydantic import ValidationError

from connectors.kafka.clients import address, client_settings
from connectors.kafka.errors import translate
from connectors.kafka.reading import Place, reading
from schemas.cluster import Cluster
from schemas.memories import Remembered
from schemas.topics import MEMORIES

PATIENCE_S = 10.0
"""Longest wait for an acknowledgement."""


def remembered(cluster: Cluster) -> dict[str, Remembered]:
    """What the topic holds, by key; the newest record of each, without what was forgotten.

    A record that was written again after it was forgotten doesn't come back.

    Raises:
        KafkaProblem: When it can't be read.
    """
    place = Place(cluster.topic(MEMORIES.name), 0)
    found: dict[str, Remembered] = {}
    forgotten: set[str] = set()
    with reading(cluster) as reader:
        reader.places(place.topic)
        for record in reader.scan(reader.beginnings([place]), reader.ends([place])):
            key = (record.key or b"").decode("utf-8", "replace")
            if record.value is None:
                forgotten.add(key)
                found.pop(key, None)
            elif key not in forgotten:
                try:
                    found[key] = Remembered.model_validate_json(record.value)
                except ValidationError:
                    continue  # a follower says so in the log
    return found


def forget(cluster: Cluster, keys: Iterable[str]) -> int:
    """Write a tombstone for each key; how many were acknowledged, which is all of them.

    Raises:
        KafkaProblem: When one was not.
    """
    settings: dict[str, Any] = client_settings(cluster) | {
        "acks": "all",
        "max_block_ms": int(PATIENCE_S * 1000),
        "delivery_timeout_ms": int(PATIENCE_S * 1000),
        "request_timeout_ms": int(PATIENCE_S * 500),
    }
    topic = cluster.topic(MEMORIES.name)
    try:
        with closing(KafkaProducer(**settings)) as producer:
            sent = [producer.send(topic, key=key.encode(), value=None, partition=0) for key in keys]
            for one in sent:
                one.get(timeout=PATIENCE_S)
    except KafkaError as error:
        raise translate(error, address(cluster)) from error
    return len(sent)
