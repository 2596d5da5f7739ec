"""The contract against the code, both ways, with the numbers of what was compared.

Compared are events, parts, fields, enumerations, codes, outcomes, topics, headers and packed layouts; that
every public field in `schemas` is documented and every number has a unit; that the examples are valid; that
a breach of each field is named by the guard at run time; and that generated/ is what the contract renders to.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from contracts.code import ModelFact, models
from contracts.compare import compare_codes, compare_enums, compare_events, compare_outcomes
from contracts.inside import check_carriers, check_operations, check_units
from contracts.model import Contract
from contracts.render import GENERATED, rendered, stale
from contracts.report import Mismatch, Report
from contracts.semdoc import Member, of_schemas
from contracts.wire import compare_headers, compare_packed, compare_topics, layouts
from schemas.guard import misspelt, violation
from schemas.names import PASSED_ON


def check(contract: Contract, folder: Path = GENERATED) -> Report:
    """Compare the contract with the code and with what was rendered into `folder`."""
    docs, facts, files = of_schemas(), models(), rendered(contract)
    found = (
        *compare_events(contract, facts),
        *compare_enums(contract, docs),
        *compare_codes(contract, docs),
        *compare_outcomes(contract),
        *compare_topics(contract),
        *compare_headers(contract),
        *compare_packed(contract, docs),
        *check_operations(contract),
        *check_carriers(contract),
        *check_units(contract),
        *check_documented(contract, docs, facts),
        *check_examples(contract, facts),
        *check_guard(contract, facts),
        *_stale(stale(files, folder)),
    )
    return Report(found, {**_counts(contract, docs), "generated_files": len(files)})


def check_documented(
    contract: Contract, docs: tuple[Member, ...], facts: dict[str, ModelFact]
) -> Iterator[Mismatch]:
    """Every public field of `schemas` has a docstring; a number outside the contract says its unit."""
    suffixes = {name for name, unit in contract.units.items() if unit.suffix}
    listed = {*facts, *(layout.owner for layout in layouts().values())}
    words = {word for unit in contract.units.values() for word in unit.words}
    for each in docs:
        if not each.doc:
            yield Mismatch("(documentation)", each.path, "has no docstring under it")
        if each.numeric and each.owner not in listed:
            said = set((each.doc or "").lower().replace(",", " ").replace(".", " ").split())
            if each.name.rsplit("_", 1)[-1] not in suffixes and not said & words:
                yield Mismatch("units", each.path, "neither its name nor its docstring says what it counts")


def check_examples(contract: Contract, facts: dict[str, ModelFact]) -> Iterator[Mismatch]:
    """Every example is valid by the code."""
    for name, event in contract.events.items():
        if name not in facts:
            continue
        try:
            facts[name].model.model_validate(event.example)
        except ValidationError as error:
            yield Mismatch(f"events.{name}.example", facts[name].path, violation(error)[1])


def check_guard(contract: Contract, facts: dict[str, ModelFact]) -> Iterator[Mismatch]:
    """A breach of any field is named, an unknown name too; a request's misspelt field is spotted."""
    for name, event in contract.events.items():
        if name not in facts:
            continue
        breaches = [*event.fields, *(() if event.open else ("no_such_field",))]
        for field in breaches:
            if _named({**event.example, field: object()}, facts[name]) != field:
                yield Mismatch(f"events.{name}.fields.{field}", "schemas.guard.violation", "does not name it")
    for field in contract.events["Request"].fields if "Request" in contract.events else ():
        if field.upper() not in PASSED_ON and misspelt([field.upper()]) is None:
            yield Mismatch(f"events.Request.fields.{field}", "schemas.guard.misspelt", "does not spot it")


def _named(body: dict[str, object], fact: ModelFact) -> str | None:
    """The field that the guard names for a body, `None` where it is let through."""
    try:
        fact.model.model_validate(body)
    except ValidationError as error:
        return violation(error)[0]
    return None


def _stale(names: Iterable[str]) -> Iterator[Mismatch]:
    for name in names:
        yield Mismatch("(generated)", f"contracts/generated/{name}", "is stale: run `weir contracts render`")


def _counts(contract: Contract, docs: tuple[Member, ...]) -> dict[str, int]:
    shapes = [*contract.events.values(), *contract.parts.values()]
    return {
        "participants": len(contract.participants),
        "operations": len(contract.operations),
        "invariants": len(contract.invariants),
        "events": len(contract.events),
        "parts": len(contract.parts),
        "event_fields": sum(len(shape.fields) for shape in shapes),
        "enum_values": sum(len(each.values) for each in contract.enums.values()),
        "codes": len(contract.codes),
        "outcomes": len(contract.outcomes),
        "topics": len(contract.topics),
        "headers": len(contract.headers),
        "packed_fields": sum(len(each.fields) for each in contract.packed.values()),
        "documented_members": sum(1 for each in docs if each.doc),
    }
