"""Markdown pages of the contract: operations, topics, events, headers, codes, packed layouts."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from contracts.model import Contract, EventClause, FieldClause, Flow, Part
from schemas.topics import SOURCES

_NOTE = "<!-- Made by `weir contracts render` from contracts/llm-orchestration.yaml; do not edit. -->"


def operations(contract: Contract) -> str:
    """Participants, operations and invariants."""
    lines = [*_head(f"{contract.contract} {contract.version}"), contract.meaning, "", "## Who takes part", ""]
    rows = [(f"`{name}`", each.role, each.meaning) for name, each in contract.participants.items()]
    lines += _table(("participant", "role", "what it does"), rows)
    lines += ["", "## What is done", ""]
    for name, each in contract.operations.items():
        lines += [
            f"### {name}",
            "",
            each.meaning,
            "",
            f"- Asked by `{each.asked_by}`, done by `{each.done_by}`.",
        ]
        lines += _side("Input", each.input) + _side("Output", each.output)
        if each.errors:
            lines.append(f"- Errors: {_names(each.errors)}.")
        lines.append("")
    lines += ["## What always holds", ""]
    lines += [f"- **{_capital(each.name)}.** {each.rule}" for each in contract.invariants]
    return _page(lines)


def topics(contract: Contract) -> str:
    """The table of topics."""
    lines = _head("Topics")
    lines += [
        "P is the number of partitions of all co-partitioned topics, 12 unless set; it is never changed in "
        "place. A response lies on the partition number of its request. `append`: the broker stamps records.",
        "",
    ]
    rows = [
        (f"`{name}`", t.key, str(t.partitions), t.kept + (", compacted" if t.compacted else ""), t.timestamps)
        for name, t in contract.topics.items()
    ]
    lines += _table(("topic", "key", "partitions", "kept", "timestamps"), rows)
    for name, each in contract.topics.items():
        lines += ["", f"## {name}", "", each.meaning, ""]
        lines.append(f"Written by: {each.written_by}. Read by: {each.read_by}.")
        if each.carries:
            lines += ["", f"Carries {_names(each.carries)}."]
    return _page(lines)


def events(contract: Contract) -> str:
    """Every event, its fields, its example; then the objects inside events and the closed lists."""
    lines = _head("Events and their fields")
    lines += ["Every event is a JSON object in UTF-8. A field without a value is left out.", ""]
    for name, event in contract.events.items():
        lines += [f"## {name}", "", event.meaning, ""]
        lines += [f"Topic `{event.topic}`, key {event.key}. {_openness(event)}", ""]
        lines += [*_fields(contract, event.fields), "", "Example:", "", *_example(event), ""]
    lines += ["## Objects inside events", ""]
    for name, part in contract.parts.items():
        lines += [f"### {name}", "", f"{part.meaning} {_openness(part)}", ""]
        lines += [*_fields(contract, part.fields), ""]
    lines += ["## Closed lists", ""]
    for name, each in contract.enums.items():
        lines += [f"### {name}", "", each.meaning, ""]
        lines += [*_table(("value", "meaning"), [(f"`{v}`", m) for v, m in each.values.items()]), ""]
    lines += ["## Units", ""]
    return _page(lines + _table(("unit", "meaning"), [(n, u.meaning) for n, u in contract.units.items()]))


def headers(contract: Contract) -> str:
    """Every record header."""
    lines = _head("Record headers")
    lines += ["A header with the name of a request's field beats that field in the body.", ""]
    rows = [(f"`{name}`", _names(each.topics), each.meaning) for name, each in contract.headers.items()]
    return _page(lines + _table(("header", "topics", "meaning"), rows))


def codes(contract: Contract) -> str:
    """Every code of a failure, and every outcome of an attempt."""
    lines = _head("Codes")
    lines += [
        "A response has either an answer or an `error` with one of these codes. A failure that is remembered "
        "is not tried again: the same request, sent again within 10 minutes, is a repeat. After any other "
        "it is a new request.",
        "",
    ]
    rows = [
        (f"`{name}`", each.meaning, _yes(each.retriable), _yes(each.remembered))
        for name, each in contract.codes.items()
    ]
    lines += _table(("code", "meaning", "retriable", "remembered"), rows)
    lines += [
        "",
        "## Outcomes of an attempt",
        "",
        "How one try of a call ended, in `attempts[].outcome`.",
        "",
    ]
    rows = [
        (f"`{name}`", each.meaning, _yes(each.retriable), _yes(each.elsewhere))
        for name, each in contract.outcomes.items()
    ]
    return _page(lines + _table(("outcome", "meaning", "same route again", "next route"), rows))


def packed(contract: Contract) -> str:
    """The layouts that are not JSON, and fences."""
    lines = _head("Packed entries")
    sources = ", ".join(f"{number} `{topic.name}`" for number, topic in enumerate(SOURCES))
    lines += [
        "What recovery reads is packed: one version byte, then entries of fixed length, big-endian. A "
        "`started` or `settled` record has no key, its header `kind` says which it is, and its value holds "
        f"one or more entries. Source topics are numbered: {sources}.",
        "",
    ]
    for name, each in contract.packed.items():
        lines += [f"## {name}", "", each.meaning, ""]
        lines += [
            f"In a {each.carried_by} on `{each.topic}`. Version {each.version}, {each.entry_bytes} bytes.",
            "",
        ]
        rows = [(f"`{f.name}`", f.type, f.unit, f.meaning) for f in each.fields]
        lines += _table(("field", "type", "unit", "meaning"), rows)
        constants = {**each.flags, **each.sentinels}
        if constants:
            lines += ["", "Constants: " + ", ".join(f"`{n}` = {v}" for n, v in constants.items()) + "."]
        lines.append("")
    lines += ["## Fences", "", contract.fences.meaning, "", f"Topics: {_names(contract.fences.topics)}.", ""]
    return _page(
        lines
        + _table(("header", "what it holds"), [(f"`{n}`", m) for n, m in contract.fences.headers.items()])
    )


def _fields(contract: Contract, fields: Mapping[str, FieldClause]) -> list[str]:
    rows = [
        (f"`{name}`", f"`{each.type}`", _absent(each), each.unit or "", each.meaning)
        for name, each in fields.items()
    ]
    return _table(("field", "type", "when absent", "unit", "meaning"), rows)


def _absent(field: FieldClause) -> str:
    if field.required:
        return "required"
    return "" if field.default is None else f"`{orjson.dumps(field.default).decode()}`"


def _example(event: EventClause) -> list[str]:
    return ["```json", orjson.dumps(dict(event.example), option=orjson.OPT_INDENT_2).decode(), "```"]


def _openness(part: Part) -> str:
    return "Unknown fields are kept." if part.open else "Unknown fields are refused."


def _side(title: str, flow: Flow | None) -> list[str]:
    if flow is None:
        return []
    fields = ", ".join(f"`{name}` {kind}" for name, kind in flow.fields.items())
    return [f"- {title}: {flow.event} on `{flow.topic}`, above all {fields}."]


def _head(title: str) -> list[str]:
    return [f"# {title}", "", _NOTE, ""]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
