"""The fast counter against another implementation of the same tokenizers."""

import os
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from connectors.tokenizers.counter import TextCounter, build
from connectors.tokenizers.errors import TokenizerError
from connectors.tokenizers.probe import PROBE
from connectors.tokenizers.reference import reference

NAMES = ("o200k", "cl100k")


@cache
def pair(name: str) -> tuple[TextCounter, object]:
    return build(name), reference(name)


def both(name: str, text: str) -> tuple[int, int]:
    counter, oracle = pair(name)
    return counter.count(text), len(oracle.encode(text, add_special_tokens=False).ids)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", PROBE)
def test_counts_equal_those_of_tokenizers_in_every_script(name: str, kind: str):
    counted, expected = both(name, PROBE[kind])

    assert counted == expected


@pytest.mark.parametrize("name", NAMES)
def test_counts_equal_those_of_tokenizers_on_a_long_mixture(name: str):
    parts = [text[start : start + 40] for text in PROBE.values() for start in range(0, len(text), 7)]
    random.Random(7).shuffle(parts)
    counted, expected = both(name, "".join(parts))

    assert counted == expected
    assert counted > 1500


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), max_size=60))
def test_counts_equal_those_of_tokenizers_on_any_text(name: str, text: str):
    counted, expected = both(name, text)

    assert counted == expected


def test_known_counts_of_o200k():
    assert [build("o200k").count(text) for text in ("hello world", "", "<|endoftext|>")] == [2, 0, 7]


def test_many_texts_are_counted_in_order():
    counter = build("o200k_base")
    texts = list(PROBE.values())

    assert counter.count_many(texts) == [counter.count(text) for text in texts]
    assert counter.count_many([]) == []


@pytest.mark.parametrize("text", ["a\ud800b", "\udfff", "\ud83d \ude00" * 50])
def test_lone_surrogates_count_as_replacement_characters(text: str):
    counter = build("o200k")

    assert counter.count(text) == counter.count(text.encode("utf-8", "replace").decode()) > 0


@pytest.mark.parametrize("unit", ["a", " ", "\n", "'", "1", "中", "\u0301", "A'"])
@pytest.mark.timeout(10)
def test_endless_runs_do_not_stall(unit: str):
    assert build("o200k").count(unit * 500_000) > 0


def test_counts_of_chats_are_estimates():
    assert build("cl100k").kind == "estimate"


def test_unknown_name_says_which_are_known():
    with pytest.raises(TokenizerError, match=r"no tokenizer is named 'claude': use o200k, cl100k, the path"):
        build("claude")
