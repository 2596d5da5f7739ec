"""Stems, roots, forms, misspellings."""

import pytest

from flows.stages.compression.words import forms, is_generic, near, root, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rivers", "river"),
        ("cities", "city"),
        ("classes", "class"),
        ("boxes", "box"),
        ("stopped", "stop"),
        ("stopping", "stops"),
        ("rolled", "roll"),
        ("carried", "carries"),
    ],
)
def test_inflections_share_a_stem(one: str, other: str):
    assert stem(one) == stem(other)


@pytest.mark.parametrize("word", ["gas", "bus", "sing", "red", "is", "glass", "analysis"])
def test_short_words_and_false_endings_stay(word: str):
    assert stem(word) == word


@pytest.mark.parametrize(
    ("one", "other"), [("certification", "certified"), ("friendship", "friends"), ("dog", "dog")]
)
def test_derivations_share_a_root(one: str, other: str):
    assert root(stem(one)).startswith(root(stem(other)))


def test_irregular_forms_know_each_other():
    assert {"won", "winner"} <= forms("win", "win")
    assert "3rd" in forms("third", "third")
    assert "children" in forms("childs", "child")
    assert forms("bridge", "bridg") == frozenset()


def test_frequent_words_are_generic_in_every_inflection():
    assert is_generic(stem("times"))
    assert not is_generic(stem("monophyletic"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("fibres", "fibers", True),
        ("lake", "cake", True),
        ("lakes", "lak", False),
        ("bridge", "bride", True),
        ("bridge", "brides", False),
        ("beautiful", "beutifull", True),
        ("beautiful", "bountifully", False),
    ],
)
def test_misspelt_words_are_near(one: str, other: str, expected: bool):
    assert near(one, other) is expected
