"""Single values of a configuration."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings_values import (
    Parser,
    amount,
    choice,
    count,
    duration,
    flag,
    growth,
    items,
    mapping,
    millis,
    positive,
    resolved,
    size,
    text,
    texts,
    topic_prefix,
)

GOOD: list[tuple[Parser, object, object]] = [
    (duration, "500ms", timedelta(milliseconds=500)),
    (duration, "10s", timedelta(seconds=10)),
    (duration, " 5 M ", timedelta(minutes=5)),
    (duration, "1h", timedelta(hours=1)),
    (duration, "7d", timedelta(days=7)),
    (duration, 1.5, timedelta(seconds=1.5)),
    (duration, "0", timedelta(0)),
    (millis, "20", timedelta(milliseconds=20)),
    (count, 0, 0),
    (count, " 12 ", 12),
    (positive, 1, 1),
    (size, "8MiB", 8 * 1024 * 1024),
    (size, "2 kb", 2000),
    (size, 5, 5),
    (amount, "1e-6", 1e-6),
    (amount, 0, 0.0),
    (growth, 1, 1.0),
    (flag, True, True),
    (flag, "False", False),
    (text, " a ", "a"),
    (texts, "a, b", ("a", "b")),
    (texts, ["a", "b"], ("a", "b")),
    (topic_prefix, "", ""),
    (topic_prefix, "dev.", "dev."),
    (choice("A", "B"), " b ", "B"),
]
WRONG: list[tuple[Parser, object]] = [
    (duration, "soon"),
    (duration, True),
    (duration, "-1s"),
    (duration, "99999999d"),
    (duration, None),
    (count, -1),
    (count, 1.5),
    (count, True),
    (count, "9" * 30),
    (positive, 0),
    (size, "8 parsecs"),
    (size, 0),
    (size, True),
    (amount, -1),
    (amount, "x"),
    (amount, "inf"),
    (amount, "nan"),
    (amount, True),
    (amount, 10**400),
    (growth, 0.5),
    (flag, "yes"),
    (flag, 1),
    (text, " "),
    (text, 7),
    (texts, ""),
    (texts, []),
    (texts, 7),
    (texts, [7]),
    (topic_prefix, "a b"),
    (topic_prefix, 7),
    (choice("A"), "C"),
]


@pytest.mark.parametrize(("parser", "value", "expected"), GOOD)
def test_value_is_read(parser: Parser, value: object, expected: object):
    assert parser(value) == expected


@pytest.mark.parametrize(("parser", "value"), WRONG)
def test_wrong_value_is_refused(parser: Parser, value: object):
    with pytest.raises(ValueError, match=r"\w"):
        parser(value)


PARSERS = [duration, millis, count, positive, size, amount, growth, flag, text, texts, topic_prefix]


@given(st.sampled_from(PARSERS), st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()))
def test_no_value_raises_anything_else(parser: Parser, value: object):
    with suppress(ValueError):
        assert parser(value) is not None


def test_nothing_counts_as_empty():
    assert (mapping("a", None), items("a", None)) == ({}, [])


def test_reference_to_the_environment_is_resolved_and_an_empty_variable_counts_as_absent():
    env = {"A": "1", "B": ""}

    values = [resolved(value, env) for value in ("os.environ/A", "os.environ/B", "os.environ/C", "x", 7)]
    assert values == ["1", None, None, "x", 7]
