"""How commands show the records of topics: one line, or JSON. Pure: bytes in, text out."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from connectors.kafka.reading import Seen
from schemas.base import JsonObject
from schemas.packed import (
    MOVED,
    NO_OFFSET,
    REMEMBERED,
    REPEAT,
    PackedError,
    Settled,
    Started,
    unpack_settled,
    unpack_started,
)
from schemas.topics import SOURCES, TOPICS

LINE_CHARS = 200
"""Longest shown text of a value on one line."""


def topic_name(text: str) -> str | None:
    """The topic that a name means, short or full: `responses`, `llm.responses`, `dlq`; `None` for none."""
    short = {"dlq": "llm.dead-letters"}
    names = {topic.name for topic in TOPICS}
    for name in (short.get(text, text), f"llm.{text}", f"ops.{text}"):
        if name in names:
            return name
    return None


def kind_of(seen: Seen) -> str:
    """What a record is: its `kind` header, `fence` for one without a value, else `record`."""
    if seen.value is None:
        return "fence"
    return seen.header("kind") or "record"


def place_text(seen: Seen) -> str:
    """`topic/partition/offset`."""
    return f"{seen.place.topic}/{seen.place.partition}/{seen.offset}"


def clock_text(timestamp_ms: int) -> str:
    """UTC time of day with milliseconds, after the date."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def started_fields(entry: Started) -> JsonObject:
    """A started entry as JSON; hashes in hexadecimal."""
    return {
        "source": SOURCES[entry.source].name if entry.source < len(SOURCES) else str(entry.source),
        "offset": entry.offset,
        "attempt": entry.attempt,
        "route": f"{entry.route:08x}",
        "request_hash": f"{entry.request_hash:016x}",
        "body_hash": f"{entry.body_hash:016x}",
    }


def settled_fields(entry: Settled) -> JsonObject:
    """A settled entry as JSON; flags by name, hashes in hexadecimal."""
    names = {REMEMBERED: "remembered", MOVED: "moved", REPEAT: "repeat"}
    return {
        "source": SOURCES[entry.source].name if entry.source < len(SOURCES) else str(entry.source),
        "offset": entry.offset,
        "flags": [name for bit, name in names.items() if entry.flags & bit],
        "request_hash": f"{entry.request_hash:016x}",
        "body_hash": f"{entry.body_hash:016x}",
        "response_offset": None if entry.response_offset == NO_OFFSET else entry.response_offset,
    }


def value_of(seen: Seen) -> object:
    """A record's value to show: JSON as it is, packed entries unpacked, else text or base64."""
    if seen.value is None:
        return None
    try:
        match kind_of(seen):
            case "started":
                return [started_fields(entry) for entry in unpack_started(seen.value)]
            case "settled":
                return [settled_fields(entry) for entry in unpack_settled(seen.value)]
            case _:
                return orjson.loads(seen.value)
    except (PackedError, orjson.JSONDecodeError):
        return _text(seen.value)


def _text(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def as_json(seen: Seen) -> JsonObject:
    """A record as one JSON object."""
    return {
        "topic": seen.place.topic,
        "partition": seen.place.partition,
        "offset": seen.offset,
        "timestamp_ms": seen.timestamp_ms,
        "kind": kind_of(seen),
        "key": None if seen.key is None else seen.key.decode("utf-8", "replace"),
        "headers": {name: _header_text(name, value) for name, value in seen.headers},
        "value": value_of(seen),
    }


def _header_text(name: str, value: bytes) -> str:
    return value.hex() if name == "seal" else value.decode("utf-8", "replace")


def one_line(seen: Seen) -> str:
    """A record on one line: time, place, kind, key, value."""
    key = "-" if seen.key is None else seen.key.decode("utf-8", "replace")
    if seen.value is None:
        value = f"written by {seen.header('owner') or 'somebody'}"
    else:
        value = dumps(value_of(seen))
    if len(value) > LINE_CHARS:
        value = f"{value[:LINE_CHARS]}… ({len(seen.value or b'')} bytes)"
    place = f"{seen.place.partition}/{seen.offset}"
    return "  ".join((clock_text(seen.timestamp_ms), place, kind_of(seen), key, value))


def dumps(value: object) -> str:
    """JSON text on one line, numbers of any size."""
    return orjson.dumps(value).decode()


def matches(seen: Seen, filters: Mapping[str, str]) -> bool:
    """Whether a record has all these values; a name is a header, `kind`, `key` or a path into the value."""
    return all(wanted in _found(seen, path) for path, wanted in filters.items())


def _found(seen: Seen, path: str) -> set[str]:
    found = {text for text in (seen.header(path),) if text is not None}
    if path == "kind":
        found.add(kind_of(seen))
    if path == "key" and seen.key is not None:
        found.add(seen.key.decode("utf-8", "replace"))
    value = value_of(seen)
    for entry in value if isinstance(value, list) else [value]:
        at: object = entry
        for part in path.split("."):
            at = at.get(part) if isinstance(at, dict) else None
        if at is not None:
            found.add(at if isinstance(at, str) else dumps(at))
    return found
