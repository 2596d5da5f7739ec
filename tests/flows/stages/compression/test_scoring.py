"""Each signal moves a choice, and without it the choice is another."""

import pytest

from flows.stages.compression import scoring
from flows.stages.compression.blocks import blocks_of
from flows.stages.compression.query import read_query
from flows.stages.compression.scoring import Scorer


def worths(source: str, query: str) -> list[tuple[float, str]]:
    """Every part with its worth, in order."""
    blocks = blocks_of(source)
    scorer = Scorer(source, read_query(query), blocks)
    numbers = [number for number, block in enumerate(blocks) if block.kind != "header"]
    found = [part for number in numbers for part in scorer.parts(number)]
    return [(worth, source[part.start : part.end].strip()) for part, worth in found]


def best(source: str, query: str) -> str:
    """The part of the highest worth; of equals the first."""
    return max(worths(source, query), key=lambda each: each[0])[1]


@pytest.mark.parametrize(
    ("cue", "query", "plain", "answer"),
    [
        ("date", "When was the dam opened?", "The dam opened to a crowd.", "The dam opened in May 1912."),
        ("number", "How many gates has the dam?", "Gates of the dam are old.", "Gates of the dam are 12."),
        ("person", "Who built the dam?", "The dam was built by hand.", "The dam was built by Anna."),
        ("place", "Where is the dam?", "The dam stands firm.", "The dam stands in Peru."),
    ],
)
def test_a_part_with_the_kind_of_answer_that_is_asked_for_wins(
    cue: str, query: str, plain: str, answer: str, monkeypatch: pytest.MonkeyPatch
):
    source = f"Nothing. {plain} {answer}"

    assert best(source, query) == answer
    monkeypatch.setitem(scoring.CUES, cue, 0.0)
    assert best(source, query) == plain


def test_a_mark_of_failure_wins_where_one_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    lines = [f"2026-01-01 10:00:0{at} {level} job-00aa17 said {at}" for at, level in enumerate(("INFO",) * 4)]
    lines.append("2026-01-01 10:00:09 ERROR job-00aa17 said 9")
    source = "\n".join(lines)

    assert best(source, "Why did job-00aa17 fail?") == lines[4]
    assert best(source, "What did job-00aa17 do?") != lines[4]
    monkeypatch.setattr(scoring, "FAULT", 0.0)
    assert best(source, "Why did job-00aa17 fail?") != lines[4]


def test_a_header_that_is_all_in_the_question_beats_one_that_is_so_in_part(monkeypatch: pytest.MonkeyPatch):
    source = "## Dams and other walls of stone\nIt is high.\n\n## Dams\nIt is wide.\n\n## Hills\nIt is green."

    assert best(source, "dams") == "It is wide."
    monkeypatch.setattr(scoring, "HEADER_PRECISION", 0.0)
    assert best(source, "dams") == "It is high."


def test_the_first_part_of_a_block_and_the_neighbour_of_a_hit_are_worth_more(monkeypatch: pytest.MonkeyPatch):
    source = "It rained here. It snowed there. Gates opened. It was grey. It was late.\n\nIt ended."

    first, second, _, fourth, fifth, _ = (worth for worth, _ in worths(source, "gates"))
    assert first > fifth
    assert fourth == second > fifth
    monkeypatch.setattr(scoring, "NEIGHBOUR", 0.0)
    monkeypatch.setattr(scoring, "LEAD", 0.0)
    first, second, _, fourth, fifth, _ = (worth for worth, _ in worths(source, "gates"))
    assert first == second == fourth == fifth


def test_rare_terms_say_more_than_frequent_and_generic_ones():
    source = "The water is high.\n\nThe water is green.\n\nThe water is deep.\n\nThe sluice is closed."

    assert best(source, "water of the sluice") == "The sluice is closed."
    assert best("People came.\n\nBeavers came.\n\nNo one.", "people beavers") == "Beavers came."


def test_terms_side_by_side_in_the_order_of_the_question_win():
    source = "The gate of the north side.\n\nThe north gate of the side.\n\nIt rained.\n\nIt snowed."

    assert best(source, "north gate") == "The north gate of the side."


def test_the_head_of_code_is_worth_more_than_its_body():
    source = "```python\ndef close_gate(number):\n    wait(number)\n    turn(number)\n    return number\n```"

    scored = worths(source, "close_gate")
    assert scored[0] == max(scored)


def test_without_a_question_the_leads_win():
    assert best("One thing. Another thing.\n\nThird thing.", "") == "One thing."
