"""Packed entries of `llm.usage`, and the seal of a response: what recovery reads, in a few bytes each.

A `started` or `settled` record has no key, a header `kind`, and a value of one version byte followed by
entries of fixed length, big-endian. Version 1:

    started  (31 bytes)  source u8, attempt u16, route u32, offset u64, request hash u64, body hash u64
    settled  (34 bytes)  source u8, flags u8, offset u64, request hash u64, body hash u64, response offset u64

`source` is the place of the topic in `schemas.topics.SOURCES`; the record's own partition number is that of
the requests. Flags: bit 0 remembered, bit 1 moved (forwarded or parked; no response), bit 2 repeat.
"""

import struct
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

VERSION = 1
_HEAD = bytes([VERSION])
_STARTED = struct.Struct(">BHIQQQ")
_SETTLED = struct.Struct(">BBQQQQ")
_SEAL = struct.Struct(">BQQB")

NO_OFFSET = (1 << 64) - 1
"""Stands for "there is no response" in a settled entry."""
REMEMBERED = 1
"""Flag: the same request, sent again, is a repeat."""
MOVED = 2
"""Flag: the request went to another topic or partition; it is answered there."""
REPEAT = 4
"""Flag: the request was a repeat of an earlier one and got no answer of its own."""


class Started(NamedTuple):
    """A call that may have left for a provider. Written and acknowledged before its first byte."""

    source: int
    """Number of the source topic."""
    attempt: int
    """Try of the call, from 1."""
    route: int
    """crc32 of the route's name."""
    offset: int
    """Offset of the request record."""
    request_hash: int
    """Hash of tenant and request id."""
    body_hash: int
    """Hash of what is asked."""


class Settled(NamedTuple):
    """A request record that is done with."""

    source: int
    """Number of the source topic."""
    flags: int
    """Bits `REMEMBERED`, `MOVED`, `REPEAT`."""
    offset: int
    """Offset of the request record."""
    request_hash: int
    """Hash of tenant and request id."""
    body_hash: int
    """Hash of what is asked."""
    response_offset: int
    """Offset of the response, or `NO_OFFSET`."""


class Seal(NamedTuple):
    """What the response's `seal` header carries, so that the ledger can be written again from it."""

    request_hash: int
    """Hash of tenant and request id."""
    body_hash: int
    """Hash of what is asked."""
    remembered: bool
    """Whether the same request, sent again, is a repeat."""


class PackedError(ValueError):
    """A packed record that this version can't read."""


def hash_request(tenant: str, request_id: str) -> int:
    """64-bit hash of a tenant's request id."""
    data = f"{tenant}\0{request_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest())


def hash_body(body: bytes) -> int:
    """64-bit hash of the canonical body."""
    return int.from_bytes(blake2b(body, digest_size=8).digest())


def pack_started(entries: Iterable[Started]) -> bytes:
    """The value of a `started` record."""
    return _HEAD + b"".join(_STARTED.pack(*entry) for entry in entries)


def pack_settled(entries: Iterable[Settled]) -> bytes:
    """The value of a `settled` record."""
    return _HEAD + b"".join(_SETTLED.pack(*entry) for entry in entries)


def unpack_started(value: bytes) -> list[Started]:
    """Read a `started` record.

    Raises:
        PackedError: On another version or a broken length.
    """
    return [Started(*fields) for fields in _iter(value, _STARTED)]


def unpack_settled(value: bytes) -> list[Settled]:
    """Read a `settled` record.

    Raises:
        PackedError: On another version or a broken length.
    """
    return [Settled(*fields) for fields in _iter(value, _SETTLED)]


def pack_seal(seal: Seal) -> bytes:
    """The value of a response's `seal` header."""
    return _SEAL.pack(VERSION, seal.request_hash, seal.body_hash, seal.remembered)


def unpack_seal(value: bytes) -> Seal:
    """Read a `seal` header.

    Raises:
        PackedError: On another version or a broken length.
    """
    if len(value) != _SEAL.size or value[0] != VERSION:
        raise PackedError(f"seal of {len(value)} bytes is not of version {VERSION}")
    _, request_hash, body_hash, remembered = _SEAL.unpack(value)
    return Seal(request_hash, body_hash, bool(remembered))


def _iter(value: bytes, entry: struct.Struct) -> Iterable[tuple[int, ...]]:
    if not value or value[0] != VERSION or (len(value) - 1) % entry.size:
        raise PackedError(f"packed record of {len(value)} bytes is not of version {VERSION}")
    return entry.iter_unpack(memoryview(value)[1:])
