"""JSON Schema in Gemini's own words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.gemini_schema import MAX_DEPTH, fit

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (TEXT, {"type": "STRING"}),
        (
            {"type": "STRING", "title": "t", "pattern": "a+"},
            {"type": "STRING", "title": "t", "pattern": "a+"},
        ),
        ({"type": ["integer", "null"], "minimum": 1}, {"type": "INTEGER", "nullable": True, "minimum": 1}),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "STRING", "enum": ["a", "b"]}),
        ({"type": "string", "const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "number", "format": "double"}, {"type": "NUMBER", "format": "double"}),
        (
            {"type": "array", "items": TEXT, "minItems": 1},
            {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 1},
        ),
        (
            {"type": "object", "properties": {"a": TEXT, "type": TEXT}, "required": ["a"], "$schema": "x"},
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING"}, "type": {"type": "STRING"}},
                "required": ["a"],
            },
        ),
        (
            {"anyOf": [TEXT, {"type": "null"}], "default": None},
            {"type": "STRING", "nullable": True, "default": None},
        ),
        (
            {"anyOf": [TEXT, {"type": "boolean"}, {"type": "null"}]},
            {"anyOf": [{"type": "STRING"}, {"type": "BOOLEAN"}], "nullable": True},
        ),
        ({"anyOf": [TEXT, {"type": "integer"}]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
    ],
)
def test_what_the_subset_can_say_is_said_in_it(schema: dict[str, Any], expected: dict[str, Any]):
    assert fit(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "null"},
        {"type": ["string", "integer"]},
        {"type": []},
        {"type": "made up"},
        {"type": "string", "format": "email"},
        {"type": "string", "format": ["enum"]},
        {"type": "boolean", "format": "int32"},
        {"type": "integer", "enum": [1]},
        {"type": "string", "enum": ["a", None]},
        {"type": "string", "enum": "a"},
        {"type": "string", "const": 1},
        {"type": "array"},
        {"type": "array", "items": [TEXT]},
        {"type": "array", "items": {"$ref": "#/$defs/a"}},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": 5},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False},
        {"allOf": [TEXT]},
        {"anyOf": [TEXT], "type": "string"},
        {"anyOf": [{"type": "null"}]},
        {"anyOf": 5},
        {"$ref": "#/$defs/a", "$defs": {"a": TEXT}},
    ],
)
def test_what_says_more_than_the_subset_can_is_not_cut_down(schema: dict[str, Any]):
    assert fit(schema) is None


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = dict(TEXT)
    for _ in range(depth - 1):
        schema = {"type": "array", "items": schema}
    return schema


def test_a_schema_is_followed_to_a_bound():
    assert fit(nested(MAX_DEPTH)) is not None
    assert fit(nested(MAX_DEPTH + 1)) is None
    assert fit(nested(20_000)) is None


KEYS = ("type", "format", "enum", "items", "properties", "anyOf", "nullable", "description", "const", "oneOf")
LEAVES = st.sampled_from(["string", "integer", "array", "object", "null", "date-time", "x", 1, None, True])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), SCHEMAS, max_size=5))
def test_any_schema_is_said_or_left_alone_and_never_changed(schema: dict[str, Any]):
    before = repr(schema)
    said = fit(schema)

    assert repr(schema) == before
    assert said is None or said.get("type", "") in {"", "STRING", "INTEGER", "ARRAY", "OBJECT"}
    assert said is None or "oneOf" not in said
