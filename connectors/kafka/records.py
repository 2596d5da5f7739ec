"""How kafka-python 3.0.12 writes a record, with a tenth of the calls.

Each length is a call for its size, another that writes it byte by byte, and each header's name is encoded
three times: some forty calls a record. The bytes are the same.
"""

import time
from _thread import allocate_lock
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from kafka import KafkaProducer
from kafka.cluster import ClusterMetadata
from kafka.future import Future
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import encode_varint
from kafka.structs import TopicPartition

from schemas.records import Outgoing

PARTS: tuple[tuple[type, str], ...] = (
    (DefaultRecordBatchBuilder, "append"),
    (DefaultRecordBatchBuilder, "_first_timestamp"),
    (DefaultRecordBatchBuilder, "_max_timestamp"),
    (DefaultRecordBatchBuilder, "_buffer"),
    (DefaultRecordBatchBuilder, "_batch_size"),
    (DefaultRecordBatchBuilder, "_num_records"),
    (DefaultRecordBatchBuilder, "_last_offset"),
    (RecordAccumulator, "_tp_lock"),
    (RecordAccumulator, "_batches"),
    (RecordAccumulator, "_incomplete"),
    (RecordAccumulator, "_closed"),
    (ClusterMetadata, "_partitions"),
    (ProducerBatch, "try_append"),
    (MemoryRecordsBuilder, "_closed"),
    (MemoryRecordsBuilder, "_next_offset"),
    (MemoryRecordsBuilder, "_builder"),
    (FutureProduceResult, "_latch"),
    (RecordAccumulator, "_tp_locks"),
    (KafkaProducer, "_accumulator"),
    (KafkaProducer, "_metadata"),
    (KafkaProducer, "_sender"),
    (ProducerBatch, "_record_futures"),
)
"""What a later version must have, too."""
Headers = Sequence[tuple[str, bytes | None]]

_NOTHING = b"\x01"
_MANY_NAMES = 1000
_LONG_NAME = 100
_SURE_BYTES = 64 * 1024


class _Lengths(dict[int, bytes]):
    """Numbers as varints: those below 4096 are remembered, others are written each time."""

    def __missing__(self, number: int) -> bytes:
        written = bytearray()
        encode_varint(number, written.append)
        return bytes(written)


class _Names(dict[str, bytes]):
    """Names of headers with their lengths; remembered, up to a bound."""

    def __missing__(self, name: str) -> bytes:
        text = name.encode()
        written = _LENGTHS[len(text)] + text
        if len(self) < _MANY_NAMES and len(text) < _LONG_NAME:
            self[name] = written
        return written


_LENGTHS = _Lengths()
_LENGTHS.update({number: _LENGTHS[number] for number in range(4096)})
_NAMES = _Names()


class Written(NamedTuple):
    """Where a record went in its batch."""

    offset: int
    """Its number in the batch."""
    size: int
    """Bytes."""
    timestamp: int
    """Unix time in milliseconds."""


def append(
    self: Any, offset: int, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Headers
) -> Written | None:
    """Write a record into a batch (message format 2); `None` when it has no room."""
    if timestamp is None:
        timestamp = int(time.time() * 1000)
    first = self._first_timestamp is None
    if first:
        self._first_timestamp = self._max_timestamp = timestamp
    parts = [b"\0", _LENGTHS[timestamp - self._first_timestamp], _LENGTHS[offset]]
    for text in (key, value):
        parts += (_NOTHING,) if text is None else (_LENGTHS[len(text)], text)
    parts.append(_LENGTHS[len(headers)])
    for name, text in headers:
        parts.append(_NAMES[name])
        parts += (_NOTHING,) if text is None else (_LENGTHS[len(text)], text)
    body = b"".join(parts)
    written = _LENGTHS[len(body)] + body
    if not first and len(written) + len(self._buffer) > self._batch_size:
        return None
    self._max_timestamp = max(self._max_timestamp, timestamp)
    self._num_records += 1
    self._last_offset = offset
    self._buffer += written
    return Written(offset, len(written), timestamp)


def try_append(
    self: Any,
    timestamp_ms: int | None,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    now: float | None = None,
) -> FutureRecordMetadata | None:
    """Write a record into a producer's batch; its future, which doesn't know how large headers are."""
    records = self.records
    if records._closed:
        return None
    offset = records._next_offset
    written = records._builder.append(offset, timestamp_ms, key, value, headers)
    if written is None:
        return None
    records._next_offset = offset + 1
    self.max_record_size = max(self.max_record_size, written.size)
    self.last_append = time.monotonic() if now is None else now
    sizes = (-1 if key is None else len(key), -1 if value is None else len(value), -1)
    future = FutureRecordMetadata(self.produce_future, offset, written.timestamp, None, *sizes)
    self._record_futures.append(future)
    return future


class Latch:
    """An event that costs a lock: set once, by one thread."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let all go who wait, and who come later."""
        if self._lock.locked():
            self._lock.release()

    def is_set(self) -> bool:
        """Whether it was set."""
        return not self._lock.locked()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is, for so many seconds at most; whether it was."""
        if self._lock.acquire(timeout=-1 if timeout is None else timeout):
            self._lock.release()
            return True
        return False


def begin(self: Any, place: TopicPartition) -> None:
    """What waits for the acknowledgement of a batch."""
    Future.__init__(self)
    self.topic_partition = place
    self._latch = Latch()


def send_sure(producer: KafkaProducer, record: Outgoing) -> Any:
    """Hand a record over that is sure to be right, as `producer.send` does; its future, else `None`.

    Sure is a partition that is known, and at most 64 KB. A record may have neither key nor value. Batches are
    not compressed: the producer must not be set to.
    """
    topic, value, partition, key, headers = record
    own: Any = producer
    if partition is None or partition not in own._metadata._partitions.get(topic, ()):
        return None
    size = (len(value) if value else 0) + (len(key) if key else 0)
    for name, text in headers:
        size += len(name) + len(text)
    if size > _SURE_BYTES:
        return None
    accumulator, place = own._accumulator, TopicPartition(topic, partition)
    if accumulator._closed:
        return None
    lock = accumulator._tp_locks.get(place) or accumulator._tp_lock(place)
    with lock:
        batches = accumulator._batches[place]
        future = batches[-1].try_append(None, key, value, headers) if batches else None
        if begun := future is None:
            batch = ProducerBatch(place, MemoryRecordsBuilder(2, 0, accumulator.config["batch_size"]))
            future = batch.try_append(None, key, value, headers)
            batches.append(batch)
            accumulator._incomplete.add(batch)
        full = len(batches) > 1 or (not begun and batches[-1].records.is_full())
    if full or begun:
        own._sender.wakeup()
    return future


def use_quick_records() -> None:
    """For all producers of this process from now on."""
    cast(Any, DefaultRecordBatchBuilder).append = append
    cast(Any, ProducerBatch).try_append = try_append
    cast(Any, FutureProduceResult).__init__ = begin
