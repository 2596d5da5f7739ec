"""The conversations of a worker, whole: file, thread and log."""

import queue
import threading
from pathlib import Path

import pytest

from connectors.contexts.contexts import Contexts
from schemas.cluster import Delivery
from schemas.contexts import Asking, Conversations, Past
from schemas.records import Outgoing
from schemas.topics import CONTEXTS
from tests.connectors.contexts.making import A, turn
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


def test_turns_are_taken_over_kept_read_and_forgotten(topics: Topics, tmp_path: Path):
    buried: list[Outgoing] = []
    failures: list[str] = []
    bounds = Conversations(folder=str(tmp_path), turn_bytes=77)
    contexts = Contexts(topics.cluster, Delivery(instance_id="one"), bounds, buried.append, failures.append)
    found: queue.SimpleQueue[Past] = queue.SimpleQueue()
    kept = threading.Event()
    assert contexts.gauges() == {"turns_bytes": 0.0}
    contexts.take_over([3])
    assert contexts.wait([3], 20)
    contexts.keeping.keep(turn(1), turn(1).to_bytes(), 3, 0, kept.set)
    assert kept.wait(20)
    contexts.read(Asking(A, "t", 3, 9), found.put)
    assert found.get(timeout=5).turns == (turn(1),)
    assert contexts.gauges() == {"turns_bytes": float(len(turn(1).to_bytes()))}
    contexts.forget(A, 10**15)
    contexts.read(Asking(A, "t", 3, 9), found.put)
    assert found.get(timeout=5) == Past()
    contexts.stop()

    assert (contexts.keeping.turn_bytes, failures) == (77, [])
    assert [(each.topic, each.key) for each in buried] == [(topics.name(CONTEXTS), f"{A}/1".encode())]
