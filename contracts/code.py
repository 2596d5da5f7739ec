"""What the code says: events, enumerations and packed entries of `schemas`, by reflection."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, TypeVar

import orjson
from pydantic_core import to_jsonable_python

import schemas
from contracts.semdoc import one_line
from schemas.base import Event
from schemas.calls import ProviderError

JsonSchema: TypeAlias = Mapping[str, Any]
Kind = TypeVar("Kind")

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True, slots=True)
class FieldFact:
    """A field of an event."""

    type: str
    """Its type in the contract's words."""
    meaning: str
    """Its docstring."""
    required: bool
    """Whether it must be there."""
    default: object
    """What holds when it is absent, as JSON."""


@dataclass(frozen=True, slots=True)
class ModelFact:
    """An event, or an object inside one."""

    model: type[Event]
    """The class."""
    path: str
    """Its module and name."""
    meaning: str
    """Its docstring on one line."""
    module_doc: str
    """The docstring of its module."""
    schema: JsonSchema
    """Its JSON Schema, complete in itself."""
    open: bool
    """Whether it keeps fields that it doesn't list."""
    fields: Mapping[str, FieldFact]
    """Its fields, in order."""


def models() -> dict[str, ModelFact]:
    """Every event of `schemas`, by name."""
    return {model.__name__: model_fact(model) for model in _classes(Event) if model is not Event}


def enums() -> dict[str, type[Enum]]:
    """Every enumeration that an event uses, by name."""
    used = {name for fact in models().values() for name in fact.schema.get("$defs", {})}
    return {each.__name__: each for each in _classes(Enum) if each.__name__ in used}


def provider_errors() -> dict[str, type[ProviderError]]:
    """The leaves of the provider seam's errors, by outcome."""
    return {each.outcome: each for each in _classes(ProviderError) if each is not ProviderError}


@cache
def model_fact(model: type[Event]) -> ModelFact:
    """What one model says of itself; reckoned once, since a class doesn't change."""
    schema = model.model_json_schema()
    properties = schema["properties"]
    return ModelFact(
        model=model,
        path=f"{model.__module__}.{model.__name__}",
        meaning=one_line(model.__doc__),
        module_doc=importlib.import_module(model.__module__).__doc__ or "",
        schema=schema,
        open=model.model_config.get("extra") == "allow",
        fields={
            name: FieldFact(
                type=type_text(properties[name]),
                meaning=one_line(info.description),
                required=info.is_required(),
                default=None
                if info.is_required()
                else to_jsonable_python(info.get_default(call_default_factory=True, validated_data={})),
            )
            for name, info in model.model_fields.items()
        },
    )


def type_text(schema: JsonSchema) -> str:
    """A JSON Schema as the contract writes types: `string 1..200`, `integer >= 0`, `list of Attempt`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " | ".join(type_text(each) for each in schema["anyOf"] if each != {"type": "null"})
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return " | ".join(orjson.dumps(value).decode() for value in values)
    return _plain(schema)


def _plain(schema: JsonSchema) -> str:
    match schema["type"]:
        case "array":
            inner = schema.get("prefixItems") or [schema["items"]]
            text = " and ".join(type_text(each) for each in inner)
            entry = f"({text})" if " " in text else text
            return f"{'pair' if 'prefixItems' in schema else 'list'}{_size(schema, 'Items')} of {entry}"
        case "object":
            values = schema.get("additionalProperties")
            return "object" if values is True or values is None else f"map of {type_text(values)}"
        case "string":
            return schema.get("format", "string") + _size(schema, "Length")
        case kind:
            return " ".join(
                [kind, *(f"{sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if key in schema)]
            )


def _size(schema: JsonSchema, of: str) -> str:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if "prefixItems" in schema or (least is None and most is None):
        return ""
    return f" {'' if least is None else least}..{'' if most is None else most}"


def _classes(base: type[Kind]) -> list[type[Kind]]:
    """The classes of that kind that `schemas` itself defines, module by module."""
    names = (each.name for each in pkgutil.iter_modules(schemas.__path__, "schemas."))
    return [
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == name
    ]
