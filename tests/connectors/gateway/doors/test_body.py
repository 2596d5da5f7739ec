"""A body is watched as it comes: its depth is that of its JSON, however it is cut; its size has a bound."""

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.doors import body
from connectors.gateway.doors.body import Body, check_size, declared_bytes
from connectors.gateway.ports import Problem

TEXT = st.text(st.sampled_from('ab"\\[]{}é'), max_size=12)
VALUE = st.recursive(
    st.none() | st.integers(0, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def passes(data: bytes, cuts: list[int], *, json: bool = True) -> bool:
    watched, at = Body(json=json), 0
    try:
        for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
            watched.take(data[at:cut])
            at = cut
    except Problem:
        return False
    assert watched.size_bytes == len(data)
    return True


@given(VALUE, st.integers(1, 6), st.lists(st.integers(0, 400), max_size=8))
def test_a_body_passes_where_it_is_no_deeper_than_allowed(value: object, most: int, cuts: list[int]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "MAX_DEPTH", most)

        assert passes(orjson.dumps(value), cuts) == (depth_of(value) <= most)


@given(VALUE, st.integers(1, 3))
def test_a_body_that_comes_byte_by_byte_is_as_deep(value: object, most: int):
    data = orjson.dumps(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "MAX_DEPTH", most)

        assert passes(data, list(range(len(data)))) == (depth_of(value) <= most)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_what_is_no_json_passes_or_is_too_deep_and_nothing_else(data: bytes, cuts: list[int]):
    opened = data.count(b"[") + data.count(b"{")

    assert passes(data, cuts) or opened > body.MAX_DEPTH


def test_the_bound_is_a_hundred_levels():
    assert passes(b"[" * 100 + b"]" * 100, [])
    assert not passes(b"[" * 101, [])
    assert not passes(b'{"a":' * 101, [7, 100, 300])
    assert passes(b'["' + b"[" * 5000 + b'"]', [10])
    assert passes(b'["\\"' + b"[" * 5000 + b'"]', [3, 4])
    assert passes(b"[]," * 5000, [1, 2, 999])


@pytest.mark.parametrize("text", [b'\\"', b"\\\\", b'\\\\\\"', b"a\\\\"])
def test_a_text_that_is_cut_behind_a_backslash_is_read_on(text: bytes):
    data = b"[" * 100 + b'"' + text + b"[" + b'"' + b"]" * 100

    for cut in range(101, 101 + len(text) + 2):
        assert passes(data, [cut])
        assert not passes(data.replace(b'["]', b'[",[]]'), [cut])


def test_depth_does_not_count_where_nobody_reads_json():
    assert passes(b"[" * 1000, [5], json=False)


def test_a_body_over_the_size_is_refused_as_soon_as_it_is_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(body, "MAX_BODY_BYTES", 10)
    watched = Body(json=True)
    watched.take(b"1234567890")

    with pytest.raises(Problem, match="more than 10 bytes") as caught:
        watched.take(b"1")

    assert (caught.value.status, caught.value.code) == (413, "too_large")


def test_too_deep_is_told_400():
    with pytest.raises(Problem, match="deeper than 100 levels") as caught:
        Body(json=True).take(b"[" * 101)

    assert (caught.value.status, caught.value.code) == (400, "invalid_request")


def test_a_declared_length_is_a_number():
    assert declared_bytes(None) == 0
    assert declared_bytes("12") == 12
    for text in ("", "-1", "1e3", "+5", "٣", "9" * 19):
        with pytest.raises(Problem, match=re.escape("content-length")):
            declared_bytes(text)
    check_size(body.MAX_BODY_BYTES)
