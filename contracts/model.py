"""The contract as typed values: what `llm-orchestration.yaml` may say, and the reading of it."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from annotated_types import Ge, MinLen
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.guard import violation

PATH = Path(__file__).with_name("llm-orchestration.yaml")
"""The contract that is checked and rendered."""

Text: TypeAlias = Annotated[str, MinLen(10)]
"""A meaning: at least ten characters."""
Name: TypeAlias = Annotated[str, MinLen(1)]
Json: TypeAlias = Any


class ContractError(Exception):
    """The YAML can't be read as a contract; the message names the place."""


class Clause(BaseModel):
    """Anything the contract says: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Participant(Clause):
    """Who takes part."""

    role: Literal["coordinator", "executor", "interface"]
    """Its part in the whole."""
    meaning: Text
    """What it does."""


class Flow(Clause):
    """One side of an operation."""

    event: Name
    """The event that carries it."""
    topic: Name
    """The topic it travels on."""
    fields: Mapping[str, Name] = {}
    """The fields that matter most, each with its plain type."""


class Operation(Clause):
    """Something that one participant asks of another."""

    meaning: Text
    """What is done, and what is promised."""
    asked_by: Name
    """The participant that starts it."""
    done_by: Name
    """The participant that does it."""
    input: Flow | None = None
    """What goes in; absent where it is done unasked."""
    output: Flow | None = None
    """What comes out; absent where nothing does."""
    errors: tuple[Name, ...] = ()
    """Codes it can end with."""


class Unit(Clause):
    """What a number counts."""

    meaning: Text
    """The unit in words."""
    suffix: bool = False
    """Whether names end in it: `_ms`."""
    words: tuple[Name, ...] = ()
    """Words in a field's documentation that say this unit."""


class CodeClause(Clause):
    """A code that a response may carry."""

    meaning: Text
    """When it is used."""
    retriable: bool
    """Whether the same request, sent again, is a new request that is worked on."""
    remembered: bool
    """Whether the same request, sent again within the window, is a repeat and gets no answer of its own."""


class Outcome(Clause):
    """How a try of a call ended, in `Attempt.outcome`."""

    meaning: Text
    """When it is used."""
    retriable: bool = False
    """Whether the same route is tried again."""
    elsewhere: bool = False
    """Whether the next route is tried."""


class EnumClause(Clause):
    """A closed list of values."""

    meaning: Text
    """What the list is of."""
    values: Mapping[str, Text]
    """Each value and its meaning."""


class FieldClause(Clause):
    """One field of an event."""

    type: Name
    """Its type and bounds: `string 1..200`, `integer >= 0`, `list of Attempt`."""
    meaning: Text
    """What it says; equal to the docstring in the code."""
    unit: Name | None = None
    """What the number counts; a key of `units`."""
    required: bool = False
    """Whether it must be there."""
    default: Json = None
    """What holds when it is absent; `null` for nothing."""


class Part(Clause):
    """A JSON object inside an event."""

    meaning: Text
    """What it says; equal to the docstring in the code."""
    open: bool = False
    """Whether fields that are not listed are kept instead of refused."""
    fields: Annotated[Mapping[str, FieldClause], MinLen(1)]
    """Its fields, in order."""


class EventClause(Part):
    """A JSON object that is a record's value."""

    topic: Name
    """The topic it travels on."""
    key: Name
    """What the record key is."""
    headers: tuple[Name, ...] = ()
    """Headers that may stand on its record."""
    example: Mapping[str, Json]
    """A valid one."""


class HeaderClause(Clause):
    """A record header."""

    meaning: Text
    """What its value says and how it is written."""
    topics: Annotated[tuple[Name, ...], MinLen(1)]
    """Topics it stands on."""


class TopicClause(Clause):
    """One topic."""

    meaning: Text
    """What lies there."""
    key: Name
    """What the record key is, in words."""
    partitions: Literal["P", 1]
    """P (co-partitioned with `llm.requests`) or one."""
    kept: Name
    """Retention: `7 d`, `1 h`, `10 min` or `for ever`."""
    compacted: bool = False
    """Whether only the newest record of a key is kept."""
    timestamps: Literal["append", "create"]
    """Who stamps a record: the broker when it appends it, or the producer."""
    written_by: Name
    """Who writes it."""
    read_by: Name
    """Who reads it."""
    carries: tuple[Name, ...]
    """Events and packed entries that lie there; empty where the topic is made now and used later."""


class PackedField(Clause):
    """A field of a packed entry."""

    name: Name
    """Its name in the code."""
    type: Literal["u8", "u16", "u32", "u64", "bool8"]
    """Its size, big-endian; `bool8` is a byte that is 0 or 1."""
    unit: Name
    """What the number counts; a key of `units`."""
    meaning: Text
    """What it says; equal to the docstring in the code."""


class PackedClause(Clause):
    """A layout of bytes."""

    meaning: Text
    """What it says; equal to the docstring in the code."""
    topic: Name
    """The topic it lies on."""
    carried_by: Literal["value", "header"]
    """Where its bytes stand: a record's value (many entries) or a header (one)."""
    version: Annotated[int, Ge(0)]
    """The first byte."""
    entry_bytes: Annotated[int, Ge(1)]
    """Size of one entry, without the version byte."""
    fields: Annotated[tuple[PackedField, ...], MinLen(1)]
    """In order."""
    flags: Mapping[str, int] = {}
    """Bits of the `flags` field."""
    sentinels: Mapping[str, int] = {}
    """Values with a meaning of their own."""


class FenceClause(Clause):
    """The record that marks a takeover."""

    meaning: Text
    """What it is for."""
    topics: Annotated[tuple[Name, ...], MinLen(1)]
    """Topics it is written to."""
    headers: Mapping[str, Text]
    """Its headers and what they hold."""


class Invariant(Clause):
    """A promise that holds whatever happens."""

    name: Name
    """Short name."""
    rule: Text
    """The promise."""


class Contract(Clause):
    """The whole contract."""

    contract: Name
    """Its name."""
    version: Annotated[str, MinLen(5)]
    """Its version, major.minor.patch."""
    meaning: Text
    """What it is about."""
    participants: Mapping[str, Participant]
    """Who takes part."""
    operations: Mapping[str, Operation]
    """What is done."""
    invariants: tuple[Invariant, ...]
    """What always holds."""
    units: Mapping[str, Unit]
    """What numbers count."""
    codes: Mapping[str, CodeClause]
    """Why a request has no answer."""
    outcomes: Mapping[str, Outcome]
    """How a try of a call ended."""
    enums: Mapping[str, EnumClause]
    """Closed lists of values."""
    events: Mapping[str, EventClause]
    """What lies on the topics as JSON."""
    parts: Mapping[str, Part]
    """Objects inside events."""
    headers: Mapping[str, HeaderClause]
    """Record headers."""
    topics: Mapping[str, TopicClause]
    """Every topic."""
    packed: Mapping[str, PackedClause]
    """Layouts of bytes."""
    fences: FenceClause
    """The record that marks a takeover."""


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [str(self.construct_object(key)) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ContractError(f"line {node.start_mark.line + 1}: key {min(twice)} stands twice")
        return super().construct_mapping(node, deep)


def parse(text: str) -> Contract:
    """Read a contract.

    Raises:
        ContractError: If it isn't YAML, has a key twice, or breaks the shape above; the message says where.
    """
    try:
        return Contract.model_validate(yaml.load(text, _Loader))
    except yaml.YAMLError as error:
        raise ContractError(f"not YAML: {error}") from error
    except ValidationError as error:
        raise ContractError(violation(error)[1]) from error


def load(path: Path = PATH) -> Contract:
    """Read the contract at `path`; raises `ContractError` and `OSError`."""
    return parse(path.read_text(encoding="utf-8"))
