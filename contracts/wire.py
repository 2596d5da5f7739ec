"""Topics, headers, packed layouts and fences: contract against code, in both directions."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from contracts.model import Contract, PackedClause, TopicClause
from contracts.report import Mismatch, both, differ
from contracts.semdoc import Member
from schemas import packed
from schemas.topics import HEADERS, TOPICS, Topic

_STRUCT = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "bool8": "?"}
_SPANS_MS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000}


class Layout(NamedTuple):
    """A packed entry of the code: its fields and two probes as the code writes them."""

    owner: str
    """Class in `schemas.packed`."""
    fields: tuple[str, ...]
    """Its fields, in order."""
    probe: tuple[int, ...]
    """Values that differ in every byte."""
    written: bytes
    """The probe as the code packs it, version byte included."""


def layouts() -> dict[str, Layout]:
    """What the code packs, by the contract's name."""
    one, two, three, four = (int.from_bytes(bytes(range(at, at + 8))) for at in (8, 16, 24, 32))
    started = packed.Started(1, 0x0203, 0x04050607, one, two, three)
    settled = packed.Settled(1, 2, one, two, three, four)
    seal = packed.Seal(one, two, True)
    return {
        "started": Layout("Started", started._fields, started, packed.pack_started([started])),
        "settled": Layout("Settled", settled._fields, settled, packed.pack_settled([settled])),
        "seal": Layout("Seal", seal._fields, seal, packed.pack_seal(seal)),
    }


def kept_ms(text: str) -> int | None:
    """A retention such as `7 d`, `1 h`, `10 min` in milliseconds; `None` for `for ever`.

    Raises:
        ValueError: If it isn't of that form.
    """
    if text == "for ever":
        return None
    number, _, unit = text.partition(" ")
    if unit not in _SPANS_MS or not number.isdigit():
        raise ValueError(f"{text!r} is not a number and d, h, min or s, nor `for ever`")
    return int(number) * _SPANS_MS[unit]


def compare_topics(contract: Contract) -> Iterator[Mismatch]:
    """Every topic: key, partitions, retention, timestamps, writer and reader."""
    found = {topic.name: topic for topic in TOPICS}
    yield from both("topics", "schemas.topics.TOPICS", contract.topics, found)
    for name, says in contract.topics.items():
        if name in found:
            yield from _compare_topic(f"topics.{name}", says, found[name])


def compare_headers(contract: Contract) -> Iterator[Mismatch]:
    """Every header: what it says and where it stands."""
    found = {header.name: header for header in HEADERS}
    yield from both("headers", "schemas.topics.HEADERS", contract.headers, found)
    for name, says in contract.headers.items():
        if name in found:
            where, path = f"headers.{name}", f"schemas.topics.HEADERS.{name}"
            yield from differ(f"{where}.meaning", path, says.meaning, found[name].meaning)
            yield from differ(f"{where}.topics", path, says.topics, found[name].on)


def compare_packed(contract: Contract, docs: tuple[Member, ...]) -> Iterator[Mismatch]:
    """Every packed layout: field by field, and a probe packed by the contract against the code's bytes."""
    found = layouts()
    yield from both("packed", "schemas.packed", contract.packed, found)
    for name, clause in contract.packed.items():
        if name in found:
            yield from _compare_layout(f"packed.{name}", clause, found[name], docs)
        for constant, value in {**clause.flags, **clause.sentinels}.items():
            does = getattr(packed, constant, None)
            yield from differ(f"packed.{name}.{constant}", f"schemas.packed.{constant}", value, does)


def written_by_contract(clause: PackedClause, values: tuple[int, ...]) -> bytes:
    """The bytes of one entry, version byte included, as the contract lays it out."""
    layout = ">B" + "".join(_STRUCT[field.type] for field in clause.fields)
    return struct.pack(layout, clause.version, *values)


def _compare_topic(where: str, says: TopicClause, topic: Topic) -> Iterator[Mismatch]:
    path = f"schemas.topics.TOPICS.{topic.name}"
    yield from differ(f"{where}.key", path, says.key, topic.key)
    yield from differ(f"{where}.partitions", path, says.partitions, "P" if topic.partitioned else 1)
    yield from differ(f"{where}.kept", path, kept_ms(says.kept), topic.retention_ms)
    yield from differ(f"{where}.compacted", path, says.compacted, topic.compacted)
    stamped = "append" if topic.log_append_time else "create"
    yield from differ(f"{where}.timestamps", path, says.timestamps, stamped)
    yield from differ(f"{where}.written_by", path, says.written_by, topic.written_by)
    yield from differ(f"{where}.read_by", path, says.read_by, topic.read_by)


def _compare_layout(
    where: str, clause: PackedClause, layout: Layout, docs: tuple[Member, ...]
) -> Iterator[Mismatch]:
    path = f"schemas.packed.{layout.owner}"
    names = tuple(field.name for field in clause.fields)
    yield from differ(f"{where}.fields", path, names, layout.fields)
    yield from differ(f"{where}.version", "schemas.packed.VERSION", clause.version, packed.VERSION)
    yield from differ(f"{where}.entry_bytes", path, clause.entry_bytes, len(layout.written) - 1)
    if names == layout.fields:
        says = written_by_contract(clause, layout.probe).hex()
        yield from differ(f"{where}.fields", path, says, layout.written.hex())
    meanings = {each.path: each.doc for each in docs}
    for field in clause.fields:
        member = f"{path}.{field.name}"
        yield from differ(f"{where}.{field.name}.meaning", member, field.meaning, meanings.get(member))
