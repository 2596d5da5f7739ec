"""The contract against itself: every name that one part of it uses, another part of it explains."""

from collections.abc import Container, Iterable, Iterator

from contracts.model import Contract, FieldClause, Flow
from contracts.report import Mismatch, both, differ

_HERE = "llm-orchestration.yaml"


def check_operations(contract: Contract) -> Iterator[Mismatch]:
    """All that operations name exists, and no event and no code is left without an operation."""
    used_codes: set[str] = set()
    used_events: set[str] = set()
    for name, operation in contract.operations.items():
        where = f"operations.{name}"
        yield from _known(
            where, (operation.asked_by, operation.done_by), contract.participants, "participant"
        )
        yield from _known(where, operation.errors, contract.codes, "code")
        used_codes.update(operation.errors)
        for side, flow in (("input", operation.input), ("output", operation.output)):
            if flow is not None:
                used_events.add(flow.event)
                yield from _check_flow(f"{where}.{side}", contract, flow)
    yield from both("operations.errors", f"{_HERE}: codes", sorted(used_codes), sorted(contract.codes))
    yield from both("operations.events", f"{_HERE}: events", sorted(used_events), sorted(contract.events))


def check_carriers(contract: Contract) -> Iterator[Mismatch]:
    """Each event and layout lies on its topic, and each topic and header is used where it says."""
    places = {name: clause.topic for name, clause in [*contract.events.items(), *contract.packed.items()]}
    for name, topic in places.items():
        if topic not in contract.topics or name not in contract.topics[topic].carries:
            yield Mismatch(f"{name}.topic", f"{_HERE}: topics.{topic}.carries", f"does not carry {name}")
    for topic, clause in contract.topics.items():
        yield from _known(f"topics.{topic}.carries", clause.carries, places, "event or packed entry")
    yield from _known("fences.topics", contract.fences.topics, contract.topics, "topic")
    for header, clause in contract.headers.items():
        yield from _known(f"headers.{header}.topics", clause.topics, contract.topics, "topic")
        for topic in clause.topics:
            if header not in _headers_on(contract, topic):
                yield Mismatch(f"headers.{header}", f"{_HERE}: events on {topic}", "is not on any of them")
    for name, event in contract.events.items():
        yield from _known(f"events.{name}.headers", event.headers, contract.headers, "header")
    yield from _known("fences.headers", contract.fences.headers, contract.headers, "header")


def check_units(contract: Contract) -> Iterator[Mismatch]:
    """Every number says what it counts, and its name's last word doesn't say otherwise."""
    for name, part in [*contract.events.items(), *contract.parts.items()]:
        for field, clause in part.fields.items():
            yield from _check_unit(contract, f"{name}.fields.{field}", field, clause)
    for name, layout in contract.packed.items():
        units = [field.unit for field in layout.fields]
        yield from _known(f"packed.{name}", units, contract.units, "unit")


def numeric(clause: FieldClause) -> bool:
    """Whether a field is a number, or holds numbers."""
    return any(word in ("integer", "number") for word in clause.type.split())


def _check_unit(contract: Contract, where: str, field: str, clause: FieldClause) -> Iterator[Mismatch]:
    last = field.rsplit("_", 1)[-1]
    if numeric(clause):
        yield from _known(where, [clause.unit or "nothing"], contract.units, "unit")
        if last in contract.units and contract.units[last].suffix:
            yield from differ(f"{where}.unit", f"{_HERE}: the field's name", clause.unit, last)
    elif clause.unit is not None:
        yield Mismatch(f"{where}.unit", f"{_HERE}: {where}.type", "only numbers have a unit")


def _check_flow(where: str, contract: Contract, flow: Flow) -> Iterator[Mismatch]:
    yield from _known(where, [flow.event], contract.events, "event")
    yield from _known(where, [flow.topic], contract.topics, "topic")
    event = contract.events.get(flow.event)
    if event is None:
        return
    yield from differ(f"{where}.topic", f"{_HERE}: events.{flow.event}.topic", flow.topic, event.topic)
    yield from _known(f"{where}.fields", flow.fields, event.fields, f"field of {flow.event}")
    for name, kind in flow.fields.items():
        if name in event.fields:
            does = event.fields[name].type.split(" ")[0]
            yield from differ(
                f"{where}.fields.{name}", f"{_HERE}: events.{flow.event}.fields.{name}", kind, does
            )


def _headers_on(contract: Contract, topic: str) -> set[str]:
    """Headers of the events that a topic carries, and of fences where they are written."""
    carries = contract.topics[topic].carries if topic in contract.topics else ()
    found = {name for each in carries if each in contract.events for name in contract.events[each].headers}
    if topic in contract.fences.topics:
        found.update(contract.fences.headers)
    return found


def _known(where: str, names: Iterable[str], known: Container[str], what: str) -> Iterator[Mismatch]:
    for name in names:
        if name not in known:
            yield Mismatch(f"{where}: {name}", f"{_HERE}", f"no {what} of that name is explained")
