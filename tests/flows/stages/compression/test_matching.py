"""Where terms are found, and what a find is worth."""

import pytest

from flows.stages.compression import matching
from flows.stages.compression.matching import find_terms, folded, worth
from flows.stages.compression.query import read_query


def found(text: str, query: str) -> list[list[tuple[str, float]]]:
    """For each term the words that match it, with their worth."""
    hits = find_terms(text, folded(text), read_query(query).terms)
    return [[(text[hit.start : hit.end], hit.worth) for hit in group] for group in hits]


@pytest.mark.parametrize(
    ("asked", "word", "expected"),
    [
        ("built", "built", 1.0),
        ("gates", "gate", 1.0),
        ("won", "winner", 0.7),
        ("certified", "certification", 0.8),
        ("philosophy", "philosopher", 0.8),
        ("anarchists", "anarchic", 0.8),
        ("observer", "obsession", 0.0),
        ("parliament", "parliamentary", 0.45),
        ("2", "two", 0.7),
        ("2", "21", 0.0),
        ("gate", "gatsby", 0.0),
    ],
)
def test_a_word_is_worth_more_the_nearer_it_is(asked: str, word: str, expected: float):
    assert worth(read_query(asked).terms[0], word) == expected


def test_terms_are_found_at_the_beginning_of_words_only():
    assert found("A gate, gates, agate, floodgate and GATE.", "gate") == [
        [("gate", 1.0), ("gates", 1.0), ("GATE", 1.0)]
    ]


def test_words_inside_camel_and_snake_case_are_found():
    assert found("closeGate gateCloser close_gate", "gate") == [
        [("Gate", 1.0), ("gateCloser", 1.0), ("gate", 1.0)]
    ]


def test_long_terms_are_found_at_the_end_of_compounds():
    assert found("def numinput(): _qformats, inputs", "input") == [[("input", 0.6), ("inputs", 1.0)]]
    assert found("A floodgate, an inputter, numinputter.", "input gate") == [[("inputter", 0.45)], []]


def test_forms_are_found_in_the_order_of_the_text():
    assert found("Anna won. A win. The winner.", "win")[0] == [("won", 0.7), ("win", 1.0), ("winner", 0.7)]


def test_a_stem_whose_last_letter_changed_is_found():
    assert found("The city of cities.", "city") == [[("city", 1.0), ("cities", 1.0)]]


def test_identifiers_are_found_wherever_they_stand():
    hits = found("[req-00aa17] (req-00aa18)", "req-00aa17")

    assert ("req-00aa17", 1.0) in hits[-1]


def test_a_term_that_is_unknown_is_looked_for_misspelt():
    assert found("Two fibers, xfibers, fibula.", "fibres") == [[("fibers", 0.7)]]
    assert found("Nothing here.", "näher") == [[]]


def test_finds_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matching, "MAX_FINDS", 5)

    assert [len(group) for group in found("gate " * 50 + "a_b_c " * 50, "gate a_b_c")] == [5, 5]
