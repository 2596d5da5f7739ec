"""Records that are read with fewer calls are the records that kafka-python reads."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import errors as foreign
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

from connectors.kafka import unpack

_KIND: Any = cast(Any, Fetcher).PartitionRecords
_THEIRS = unpack._unpack  # pyright: ignore[reportPrivateUsage]  what it was before
PLACE = TopicPartition("t", 3)
TIMESTAMP_TYPE_AT, CONTROL = 22, 0x20

texts = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=80), texts), max_size=4)
rows = st.lists(st.tuples(st.integers(0, 2**41), texts, texts, headers), min_size=1, max_size=12)


def built(made: list[Any], first: int = 100, compression: int = 0, attributes: int = 0) -> bytearray:
    """A batch of message format 2."""
    builder: Any = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 10_000_000)
    for number, (moment_ms, key, value, named) in enumerate(made):
        builder.append(number, moment_ms, key, value, named)
    batch = builder.build()
    batch[:8] = first.to_bytes(8)
    if attributes:
        batch[TIMESTAMP_TYPE_AT] |= attributes
        batch[17:21] = _crc(batch)
    return batch


def _crc(batch: bytearray) -> bytes:
    crc: int = cast(Any, calc_crc32c)(memoryview(batch)[21:])
    return crc.to_bytes(4)


def read(way: Any, data: bytes, offset: int = 100, **options: Any) -> Any:
    """What is read of fetched bytes, and where the next fetch goes on."""
    records = MemoryRecords(data)
    theirs = _KIND._unpack_records
    _KIND._unpack_records = way
    try:
        part = _KIND(offset, PLACE, records, **options)
        found = list(part.record_iterator)
    finally:
        _KIND._unpack_records = theirs
    return found, part.next_fetch_offset, part.records_read, part.bytes_read, part.leader_epoch, bool(part)


def same(data: bytes, offset: int = 100, **options: Any) -> Any:
    """What both ways read of the bytes."""
    ours = read(unpack.unpack, data, offset, **options)
    assert ours == read(_THEIRS, data, offset, **options)
    return ours[0]


@given(rows, st.sampled_from([0, 1]))
def test_it_reads_what_kafka_python_reads(made: list[Any], compression: int):
    found = same(bytes(built(made, compression=compression)))
    assert [(r.timestamp, r.key, r.value, r.headers) for r in found] == [tuple(row) for row in made]


@given(st.lists(rows, min_size=2, max_size=4), st.integers(100, 110))
def test_it_begins_at_its_offset_and_goes_on_from_batch_to_batch(batches: list[Any], offset: int):
    first, data = 100, bytearray()
    for made in batches:
        data += built(made, first)
        first += len(made) + 2  # records between them were compacted away
    assert all(record.offset >= offset for record in same(bytes(data), offset))


ROWS = [(1000, b"k", b"v", [("h", b"x"), ("n", None)]), (1007, None, b"w", [])]


def test_the_brokers_own_moments_are_taken_where_the_topic_says_so():
    found = same(bytes(built(ROWS, attributes=0x08)))
    assert [(record.timestamp, record.timestamp_type) for record in found] == [(1007, 1)] * 2


def test_marks_of_transactions_are_passed_by():
    mark = built([(1000, b"\0\0\0\1", b"\0" * 6, [])], attributes=CONTROL)
    data = bytes(mark) + bytes(built(ROWS, 101))
    assert [record.offset for record in same(data)] == [101, 102]


def test_older_formats_and_other_settings_are_read_as_ever():
    builder = LegacyRecordBatchBuilder(1, 0, 10_000)
    builder.append(100, timestamp=1000, key=b"k", value=b"v")
    data = bytes(built(ROWS, 98)) + bytes(builder.build())
    assert [record.offset for record in same(data, 98)] == [98, 99, 100]
    assert len(same(bytes(built(ROWS)), isolation_level=unpack._ALL + 1)) == 2  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("at", [20, 70, 75, -1])
def test_what_is_damaged_is_said_to_be(at: int):
    data = built(ROWS)
    data[at] ^= 0xFF
    with pytest.raises(foreign.CorruptRecordError):
        read(unpack.unpack, bytes(data))
    data[17:21] = _crc(data)
    for way in (unpack.unpack, _THEIRS):  # the sum is right, and what it is of is not
        try:
            found = read(way, bytes(data))
        except foreign.CorruptRecordError:
            found = None
        assert found is None or at == 20 or found == read(_THEIRS, bytes(data))


def test_a_batch_that_is_cut_is_not_read():
    data = bytes(built(ROWS)) + bytes(built(ROWS, 102))[:-5]
    assert [record.offset for record in same(data)] == [100, 101]
