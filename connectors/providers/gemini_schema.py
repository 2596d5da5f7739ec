"""JSON Schema in the words of Gemini's own `Schema`, where that can say all of it. Pure.

Gemini takes a schema in two forms: `parameters` / `responseSchema` in a subset of OpenAPI 3.0, which every
model knows, and `parametersJsonSchema` / `responseJsonSchema`, which take JSON Schema as it is. What the
subset can say goes out in it; what it can't (`$ref`, `additionalProperties`, `allOf`, numbers as `enum`, ...)
goes out whole in the other form, so that no rule of a schema is lost on the way.

Source: https://ai.google.dev/api/caching#Schema and https://ai.google.dev/gemini-api/docs/structured-output.
"""

from schemas.base import JsonObject

MAX_DEPTH = 32
"""A schema that is nested deeper goes out as it is."""

_TYPES = {name: name.upper() for name in ("string", "number", "integer", "boolean", "array", "object")}
_FORMATS = {
    "STRING": frozenset({"enum", "date-time"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
_AS_IT_IS = frozenset(
    {
        "title", "description", "nullable", "default", "example", "required", "propertyOrdering", "pattern",
        "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
        "maxProperties",
    }
)  # fmt: skip
_READ_APART = frozenset({"type", "format", "enum", "const", "items", "properties", "anyOf", "$schema"})
_NULL = {"type": "null"}


class _UnfitError(Exception):
    """The subset has no words for this schema."""


def fit(schema: JsonObject) -> JsonObject | None:
    """The schema in Gemini's subset; `None` where it says more than that can say."""
    try:
        return _said(schema, MAX_DEPTH)
    except _UnfitError:
        return None


def _said(schema: object, depth: int) -> JsonObject:
    if not isinstance(schema, dict) or not depth or schema.keys() - _AS_IT_IS - _READ_APART:
        raise _UnfitError
    made: JsonObject = {}
    if "anyOf" in schema:
        made.update(_alternatives(schema, depth))
    else:
        made.update(_typed(schema, depth))
    made.update({name: value for name, value in schema.items() if name in _AS_IT_IS})
    return made


def _alternatives(schema: JsonObject, depth: int) -> JsonObject:
    """`anyOf`; an alternative that is null makes the others nullable."""
    options = schema["anyOf"]
    if not isinstance(options, list) or _READ_APART & schema.keys() - {"anyOf", "$schema"}:
        raise _UnfitError
    found = [_said(option, depth - 1) for option in options if option != _NULL]
    if not found:
        raise _UnfitError
    made = found[0] if len(found) == 1 else {"anyOf": found}
    return {**made, "nullable": True} if len(found) < len(options) else made


def _typed(schema: JsonObject, depth: int) -> JsonObject:
    made = _type(schema)
    kind = made["type"]
    if (form := schema.get("format")) is not None:
        if not isinstance(form, str) or form not in _FORMATS.get(kind, ()):
            raise _UnfitError
        made["format"] = form
    if (values := _values(schema)) is not None:
        if kind != "STRING" or not all(isinstance(value, str) for value in values):
            raise _UnfitError
        made["enum"] = values
    if kind == "ARRAY":
        made["items"] = _said(schema.get("items"), depth - 1)
    elif kind == "OBJECT":
        made["properties"] = _properties(schema.get("properties"), depth)
    return made


def _type(schema: JsonObject) -> JsonObject:
    """The type by Gemini's name; `["string", "null"]` is a nullable one."""
    found = schema.get("type")
    kinds = found if isinstance(found, list) else [found]
    names = [_TYPES.get(str(kind).lower()) for kind in kinds if kind != "null"]
    if len(names) != 1 or names[0] is None:
        raise _UnfitError
    return {"type": names[0], "nullable": True} if len(kinds) > 1 else {"type": names[0]}


def _values(schema: JsonObject) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    found = schema.get("enum")
    if found is not None and not isinstance(found, list):
        raise _UnfitError
    return found


def _properties(found: object, depth: int) -> JsonObject:
    """The fields of an object; Gemini refuses one without any."""
    if not isinstance(found, dict) or not found:
        raise _UnfitError
    return {name: _said(value, depth - 1) for name, value in found.items()}
