"""What a question is taken for."""

import pytest

from flows.stages.compression.query import MAX_TERMS, read_query


def words(text: str) -> list[str]:
    return [term.word for term in read_query(text).terms]


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        ("When was the dam built?", "date"),
        ("In which year did it open?", "date"),
        ("How many gates are there?", "number"),
        ("Who's the engineer?", "person"),
        ("Where does the river end?", "place"),
        ("What holds the lake?", ""),
    ],
)
def test_the_kind_of_answer_is_read_from_the_question(text: str, cue: str):
    assert read_query(text).cue == cue


@pytest.mark.parametrize("text", ["Why is it down?", "find the error", "what caused the crash"])
def test_questions_for_a_failure_are_known(text: str):
    assert read_query(text).fault
    assert not read_query("Who built the dam?").fault


def test_stop_words_go_unless_there_is_nothing_else():
    assert words("What is the width of the dam?") == ["width", "dam"]
    assert words("Who is it?") == ["who", "is", "it"]
    assert words("") == []


def test_inflections_of_one_word_are_one_term():
    assert words("gates and gate") == ["gates"]


def test_identifiers_are_looked_for_as_they_stand_and_in_their_parts():
    terms = {
        term.word: term.exact
        for term in read_query("Why did req-00aa17 fail in close_gate at logging.config").terms
    }

    assert terms["req-00aa17"]
    assert terms["close_gate"]
    assert terms["logging.config"]
    assert terms["gate"] is False


def test_camel_case_is_read_as_its_words_too():
    assert words("closeNorthGate") == ["closenorthgate", "close", "north", "gate"]


def test_scripts_without_spaces_are_read_in_pairs_of_signs():
    assert words("水坝在哪里") == ["水坝", "坝在", "在哪", "哪里"]
    assert words("坝 dam") == ["dam", "坝"]


def test_long_questions_are_bounded():
    assert len(words(" ".join(f"w{at}x" for at in range(5_000)))) == MAX_TERMS
