"""Feeds a memory that all workers share: one consumer group reads the topic, off the way of requests."""

import logging
import time
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from connectors.kafka.clients import address, client_settings, group_name, probe
from connectors.kafka.errors import translate
from connectors.kafka.reading import Place, Seen
from connectors.memory.follower import apply
from connectors.memory.ports import Memory
from schemas.cluster import Cluster
from schemas.memories import MemoryProblem
from schemas.topics import MEMORIES

_log = logging.getLogger(__name__)

AGAIN_S = 5.0
"""Between two tries of a record that the memory did not take."""


def feed(cluster: Cluster, memory: Memory, wanted: Callable[[], bool]) -> int:
    """Hand every record of the topic to the memory, in order and at least once; how many there were.

    Raises:
        KafkaProblem: When Kafka can't be read.
    """
    probe(cluster)
    number = 0
    settings: dict[str, Any] = client_settings(cluster) | {
        "group_id": f"{group_name(cluster)}-memory",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "max_poll_records": 20,
    }
    consumer: Any = KafkaConsumer(cluster.topic(MEMORIES.name), **settings)
    try:
        while wanted():
            batches = consumer.poll(timeout_ms=500)
            for record in (one for records in batches.values() for one in records):
                place = Place(record.topic, record.partition)
                seen = Seen(place, record.offset, record.timestamp, record.key, record.value, ())
                if not _taken(seen, memory, wanted):
                    return number
                number += 1
            if batches:
                consumer.commit()
    except KafkaError as error:
        raise translate(error, address(cluster)) from error
    finally:
        consumer.close(autocommit=False)
    return number


def _taken(record: Seen, memory: Memory, wanted: Callable[[], bool]) -> bool:
    """Try until the memory takes it; whether it did."""
    while wanted():
        try:
            apply(record, memory)
        except MemoryProblem as problem:
            _log.warning("offset %d is not taken: %s; trying again", record.offset, problem)
            time.sleep(AGAIN_S)
        else:
            return True
    return False
