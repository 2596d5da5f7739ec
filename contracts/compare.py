"""Events, enumerations, codes and outcomes: contract against code, in both directions."""

from collections.abc import Iterable, Iterator, Mapping

from contracts.code import FieldFact, ModelFact, enums, models, provider_errors
from contracts.model import Contract, EventClause, FieldClause, Part
from contracts.report import Mismatch, both, differ
from contracts.semdoc import Member, one_line
from schemas.codes import NOT_REMEMBERED, Code

SPOKEN_OUTCOMES = ("ok", "unknown")
"""Outcomes that no provider error stands for."""
MIN_MEANING_CHARS = 10
"""A meaning that is shorter says nothing."""


def compare_events(contract: Contract, facts: Mapping[str, ModelFact] | None = None) -> Iterator[Mismatch]:
    """Every event and part: its meaning, openness, topic and fields."""
    found = models() if facts is None else facts
    yield from both("events and parts", "schemas", [*contract.events, *contract.parts], found)
    for name, event in contract.events.items():
        if name in found:
            yield from _compare_part(f"events.{name}", event, found[name])
            yield from _compare_topic_of(f"events.{name}.topic", event, found[name])
    for name, part in contract.parts.items():
        if name in found:
            yield from _compare_part(f"parts.{name}", part, found[name])


def compare_enums(contract: Contract, docs: Iterable[Member]) -> Iterator[Mismatch]:
    """Every closed list: its values and what each means."""
    meanings = {(each.owner, each.name): each.doc for each in docs}
    found = {name: each for name, each in enums().items() if each is not Code}
    yield from both("enums", "schemas", contract.enums, found)
    for name, clause in contract.enums.items():
        if name not in found:
            continue
        kind = found[name]
        path = f"{kind.__module__}.{name}"
        yield from differ(f"enums.{name}.meaning", path, one_line(clause.meaning), one_line(kind.__doc__))
        does = {str(each.value): meanings.get((name, each.name)) for each in kind}
        yield from both(f"enums.{name}.values", path, clause.values, does)
        for value, meaning in clause.values.items():
            if value in does:
                yield from differ(f"enums.{name}.values.{value}", f"{path}.{value}", meaning, does[value])


def compare_codes(contract: Contract, docs: Iterable[Member]) -> Iterator[Mismatch]:
    """Every code: its meaning, and whether its failure is remembered."""
    meanings = {each.name: each.doc for each in docs if each.owner == "Code"}
    yield from both("codes", "schemas.codes.Code", contract.codes, [str(each) for each in Code])
    for code in Code:
        clause = contract.codes.get(code)
        if clause is None:
            continue
        where, path, forgotten = f"codes.{code}", f"schemas.codes.Code.{code.name}", code in NOT_REMEMBERED
        yield from differ(f"{where}.meaning", path, clause.meaning, meanings.get(code.name))
        yield from differ(f"{where}.remembered", path, clause.remembered, not forgotten)
        yield from differ(f"{where}.retriable", path, clause.retriable, forgotten)


def compare_outcomes(contract: Contract) -> Iterator[Mismatch]:
    """Every outcome of a try: those of the provider seam by its error classes."""
    errors = provider_errors()
    yield from both("outcomes", "schemas.calls", contract.outcomes, [*SPOKEN_OUTCOMES, *errors])
    for name, error in errors.items():
        clause = contract.outcomes.get(name)
        if clause is not None:
            where, path = f"outcomes.{name}", f"schemas.calls.{error.__name__}"
            yield from differ(f"{where}.meaning", path, clause.meaning, one_line(error.__doc__))
            yield from differ(f"{where}.retriable", path, clause.retriable, error.retriable)
            yield from differ(f"{where}.elsewhere", path, clause.elsewhere, error.elsewhere)


def _compare_part(where: str, part: Part, fact: ModelFact) -> Iterator[Mismatch]:
    yield from differ(f"{where}.meaning", fact.path, one_line(part.meaning), fact.meaning)
    yield from differ(f"{where}.open", fact.path, part.open, fact.open)
    yield from both(f"{where}.fields", fact.path, part.fields, fact.fields)
    for name, says in part.fields.items():
        does = fact.fields.get(name)
        if does is not None:
            yield from _compare_field(f"{where}.fields.{name}", f"{fact.path}.{name}", says, does)


def _compare_field(where: str, path: str, says: FieldClause, does: FieldFact) -> Iterator[Mismatch]:
    yield from differ(f"{where}.type", path, says.type, does.type)
    yield from differ(f"{where}.required", path, says.required, does.required)
    yield from differ(f"{where}.default", path, says.default, does.default)
    yield from differ(f"{where}.meaning", path, one_line(says.meaning), does.meaning)
    if len(does.meaning) < MIN_MEANING_CHARS:
        yield Mismatch(f"{where}.meaning", path, "its docstring says too little")


def _compare_topic_of(where: str, event: EventClause, fact: ModelFact) -> Iterator[Mismatch]:
    if f"`{event.topic}`" not in fact.module_doc:
        yield Mismatch(where, fact.path, f"the module's docstring does not name `{event.topic}`")
