"""Finding a key that stands twice."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flows.stages.duplicates import UNNAMED, duplicate_key


def found(value: bytes) -> str | None:
    return duplicate_key(value, json.loads(value))


def test_unique_keys_are_let_through_whatever_their_values_hold():
    assert found(b'{"a": ":", "b": "\\":\\"", "c": {"a": [{"a": 1}, {"a": 2}]}, "\\\\": ":"}') is None


def test_first_repeated_key_is_named():
    assert found(b'{"a": {"x": 1, "y": 2, "y": 3, "x": 4}}') == "y"


def test_keys_that_differ_in_their_escapes_only_are_the_same():
    assert found(b'{"a": 1, "\\u0061": 2}') == "a"


def test_repeated_key_too_deep_to_name_is_found():
    value = b'{"a":1,"a":' + b"[" * 900 + b"]" * 900 + b"}"
    parsed: object = []
    for _ in range(899):
        parsed = [parsed]

    assert duplicate_key(value, {"a": parsed}) in ("a", UNNAMED)
    assert duplicate_key(b"[" * 100_000 + b'{"a":1,"a":2}', {}) == UNNAMED


def test_numbers_that_disagree_for_another_reason_are_reported_without_a_name():
    assert duplicate_key(b'{"a": 1}', {}) == UNNAMED


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_a_writer_wrote_has_no_duplicates(value: object):
    assert found(json.dumps(value).encode()) is None
