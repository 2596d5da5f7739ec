"""Records that are written with fewer calls are kafka-python's, byte for byte."""

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.structs import TopicPartition

from connectors.kafka.records import append, send_sure
from schemas.records import Outgoing


def _pristine() -> Any:
    """kafka-python's own writer, whatever this process has done to its classes."""
    spec: Any = importlib.util.find_spec(DefaultRecordBatchBuilder.__module__)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DefaultRecordBatchBuilder.append


_ORIGINAL = _pristine()
TEXTS = some.none() | some.binary(max_size=40) | some.sampled_from([bytes(63), bytes(64), bytes(5000)])
NAMES = some.text(max_size=12) | some.just("é" * 70)
RECORDS = some.lists(
    some.tuples(
        some.integers(-(2**40), 2**40),
        TEXTS,
        TEXTS,
        some.lists(some.tuples(NAMES, TEXTS), max_size=3),
    ),
    min_size=1,
    max_size=6,
)


def built(write: Any, records: list[Any], batch_size: int) -> tuple[bytes, list[Any]]:
    """The batch, and what was said of each record."""
    builder: Any = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, batch_size)
    said: list[Any] = []
    for timestamp, key, value, headers in records:
        offset = sum(each is not None for each in said)
        made = write(builder, offset, timestamp, key, value, headers)
        said.append(made and (made.offset, made.size, made.timestamp))
    return bytes(builder.build()), said


@given(RECORDS, some.sampled_from([100, 6000, 10**6]))
def test_the_bytes_are_kafka_pythons(records: list[Any], batch_size: int) -> None:
    assert built(append, records, batch_size) == built(_ORIGINAL, records, batch_size)


def test_a_record_without_a_moment_gets_one() -> None:
    builder: Any = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1000)
    made: Any = append(builder, 0, None, b"k", b"v", [])
    assert made.timestamp > 1_700_000_000_000


def _producer(woken: list[int]) -> Any:
    return SimpleNamespace(
        _metadata=SimpleNamespace(_partitions={"t": {0: None, 1: None}}),
        _accumulator=RecordAccumulator(batch_size=200),
        _sender=SimpleNamespace(wakeup=lambda: woken.append(1)),
    )


@pytest.mark.parametrize(
    ("record", "sure"),
    [
        (Outgoing("t", b"v", 1, b"k"), True),
        (Outgoing("t", None, 1), True),
        (Outgoing("t", b"v"), False),
        (Outgoing("t", b"v", 7), False),
        (Outgoing("u", b"v", 1), False),
        (Outgoing("t", bytes(70_000), 1), False),
        (Outgoing("t", b"v", 1, None, (("h", bytes(70_000)),)), False),
    ],
)
def test_only_what_is_sure_goes_the_short_way(record: Outgoing, sure: bool) -> None:
    woken: list[int] = []
    producer = _producer(woken)
    assert (send_sure(producer, record) is not None) is sure
    assert len(woken) == sure
    batches = producer._accumulator._batches
    assert [place for place, waiting in batches.items() if waiting] == [TopicPartition("t", 1)] * sure


def test_the_batches_are_those_that_kafka_python_would_make() -> None:
    ours, theirs, place = _producer([]), _producer([]), TopicPartition("t", 1)
    for number in range(7):
        key, value = b"k%d" % number, bytes(30 * number)
        future = send_sure(ours, Outgoing("t", value, 1, key, (("h", b"x"),)))
        theirs._accumulator.append(place, future.args[1], key, value, [("h", b"x")])
    closed: list[list[bytes]] = []
    for producer in (ours, theirs):
        batches = producer._accumulator._batches[place]
        assert producer._accumulator._incomplete._incomplete == set(batches)
        for batch in batches:
            batch.records.close()
        closed.append([bytes(batch.records.buffer()) for batch in batches])
    assert closed[0] == closed[1]
    assert len(closed[0]) > 2


def test_a_closed_producer_is_left_to_say_so_itself() -> None:
    producer = _producer([])
    producer._accumulator.close()
    assert send_sure(producer, Outgoing("t", b"v", 1)) is None
