"""The longest prefix within a limit, held against trying every prefix."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.tokenizers.counter import BpeCounter, vocabulary
from connectors.tokenizers.cutting import longest_prefix
from connectors.tokenizers.probe import PROBE

O200K = BpeCounter(vocabulary("o200k"))


def by_trying(count: Callable[[str], int], text: str, limit: int) -> str:
    return max(
        (text[:end] for end in range(len(text) + 1) if count(text[:end]) <= limit), key=len, default=""
    )


def words(text: str) -> int:
    """A tokenizer of whole words, however long."""
    return len(text.split())


def pairs(text: str) -> int:
    """A tokenizer that knows `ab`: a longer prefix may have fewer tokens than letters suggest."""
    return len(text) - text.count("ab")


@pytest.mark.parametrize("seed", range(6))
def test_prefix_is_the_longest_that_fits_in_every_script(seed: int):
    chance = random.Random(seed)
    pieces = [
        text[at : at + chance.randrange(1, 40)] for text in PROBE.values() for at in range(0, len(text), 9)
    ]
    chance.shuffle(pieces)
    text = "".join(pieces)[:900]
    limit = chance.randrange(O200K.count(text))

    assert longest_prefix(O200K.count, text, limit) == by_trying(O200K.count, text, limit)


@settings(max_examples=150, deadline=None)
@given(st.text("ab c\n", max_size=80), st.integers(-1, 40), st.sampled_from([words, pairs, O200K.count]))
def test_prefix_of_a_short_text_is_the_longest_for_any_counter(
    text: str, limit: int, count: Callable[[str], int]
):
    expected = "" if limit <= 0 else by_trying(count, text, limit)

    assert longest_prefix(count, text, limit) == expected


def test_prefix_of_a_long_text_takes_few_counts_of_it_whole():
    text = " ".join(PROBE["english"].split() * 4000)
    asked: list[int] = []

    def count(part: str) -> int:
        asked.append(len(part))
        return O200K.count(part)

    found = longest_prefix(count, text, 20_000)
    assert O200K.count(found) <= 20_000
    assert all(O200K.count(text[: len(found) + more]) > 20_000 for more in (1, 5, 20))
    assert sum(1 for letters in asked if letters > 1000) < 30


@pytest.mark.parametrize("unit", ["a", " ", "\n", "中", "ab "])
def test_prefix_of_an_endless_run_fits_and_fills_the_limit(unit: str):
    text = unit * 40_000
    found = longest_prefix(O200K.count, text, 300)

    assert O200K.count(found) == 300
    assert O200K.count(text[: len(found) + 128]) > 300


def test_endless_word_that_is_one_token_is_kept_whole():
    text = "x" * 100_000

    assert longest_prefix(words, text, 1) == text
    assert longest_prefix(words, text + " y", 1) == text + " "


def test_counter_without_a_place_to_cut_still_gives_a_prefix_that_fits():
    text = "ab" * 3000 + "b" * 3000

    found = longest_prefix(lambda part: len(part) // 2 + len(part) % 7, text, 2000)
    assert len(found) // 2 + len(found) % 7 <= 2000
    assert len(found) > 3900
