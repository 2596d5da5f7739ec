"""How kafka-python 3.0.12 reads records, with two calls a record where it took twenty-five.

Each number is a call, each field of a record a property that is asked several times. Whatever isn't plain
(transactions, other formats, deserializers, a batch that looks wrong) is read the old way.
"""

from collections.abc import Iterator
from typing import Any, cast

from kafka import errors as foreign
from kafka.consumer import fetcher
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import decode_varint

PARTS: tuple[tuple[type, str], ...] = (
    (Fetcher, "PartitionRecords"),
    (MemoryRecords, "_next_slice"),
    (DefaultRecordBatch, "_buffer"),
    (DefaultRecordBatch, "_pos"),
    (DefaultRecordBatch, "_num_records"),
    (DefaultRecordBatch, "_maybe_uncompress"),
)
"""What a later version must have, too."""

_kind: Any = cast(Any, Fetcher).PartitionRecords
_unpack = _kind._unpack_records
_ALL = cast(Any, fetcher).IsolationLevel.READ_UNCOMMITTED
_MAGIC_AT = 16
"""Where a batch says its format."""
_Read = list[tuple[int, int, int, bytes | None, bytes | None, Any, int]]


def read(batch: Any) -> _Read | None:
    """The records of a batch (format 2), as size, offset, timestamp, key, value, headers and their size.

    `None` where something is wrong with it.
    """
    batch._maybe_uncompress()
    buffer, at = bytes(batch._buffer), batch._pos
    first_ms, fixed_ms = batch.first_timestamp, batch.max_timestamp if batch.timestamp_type else None
    base, found = batch.base_offset, cast(_Read, [])
    try:
        for _ in range(batch._num_records):
            size, at = decode_varint(buffer, at)
            end = at + size
            later_ms, at = decode_varint(buffer, at + 1)
            step, at = decode_varint(buffer, at)
            key, at = _text(buffer, at)
            value, at = _text(buffer, at)
            count, at = decode_varint(buffer, at)
            headers: list[Any] = []
            header_bytes = 0 if count else -1
            for _ in range(count):
                name, at = _text(buffer, at)
                text, at = _text(buffer, at)
                headers.append((cast(bytes, name).decode(), text))
                header_bytes += len(cast(bytes, name)) + (0 if text is None else len(text))
            if at != end or count < 0:
                return None
            moment_ms = first_ms + later_ms if fixed_ms is None else fixed_ms
            found.append((size, base + step, moment_ms, key, value, headers, header_bytes))
    except (ValueError, IndexError, AttributeError):
        return None
    return found if at == len(buffer) else None


def _text(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes after their length, or nothing, and what follows."""
    size = buffer[at]
    if size < 0x80:
        size, at = (size >> 1) ^ -(size & 1), at + 1
    else:
        size, at = decode_varint(buffer, at)
    if size < 0:
        return None, at
    return buffer[at : at + size], at + size


def unpack(self: Any, place: Any, records: Any, key_from: Any, value_from: Any) -> Iterator[Any]:
    """The records of what was fetched of a partition, in order."""
    if key_from is not None or value_from is not None or self.isolation_level != _ALL:
        yield from _unpack(self, place, records, key_from, value_from)
        return
    topic, partition, last = place.topic, place.partition, None
    while (slice_ := records._next_slice) is not None:
        if len(slice_) <= _MAGIC_AT or slice_[_MAGIC_AT] != 2:
            yield from _unpack(self, place, records, None, None)
            return
        last = batch = records.next_batch()
        if self.check_crcs and not batch.validate_crc():
            where = f"{place} at offset {batch.base_offset}"
            raise foreign.CorruptRecordError(f"Record batch for partition {where} failed crc check")
        self.leader_epoch = epoch = batch.leader_epoch
        kind = batch.timestamp_type
        if batch.is_control_batch:
            self.next_fetch_offset = batch.next_offset
            continue
        found = read(batch)
        if found is None:
            where = f"{place} at offset {batch.base_offset}"
            raise foreign.CorruptRecordError(f"Record batch for partition {where} can't be read")
        for size, offset, moment_ms, key, value, headers, header_bytes in found:
            self.records_read += 1
            self.bytes_read += size
            self.next_fetch_offset = offset + 1
            sizes = (-1 if key is None else len(key), -1 if value is None else len(value), header_bytes)
            yield ConsumerRecord(
                topic, partition, epoch, offset, moment_ms, kind, key, value, headers, None, *sizes
            )
    if last is not None:
        self.next_fetch_offset = last.next_offset
    self.drain()


def use_quick_reads() -> None:
    """For all consumers of this process from now on."""
    _kind._unpack_records = unpack
