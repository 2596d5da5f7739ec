"""Cutting a text into passages, and weighing them."""

import pytest

from connectors.providers.passages import Passage, clean, passages, sentences
from connectors.providers.ranking import scores, stem, terms_of, words


def texts(text: str) -> list[str]:
    return [passage.text for passage in passages(text)]


def test_markdown_falls_apart_into_what_can_be_quoted():
    text = """---
title: hidden
---
<!-- hidden
too -->
Title
=====
One. Two words here are fine.
> Quoted text.

Sub
---
***
## Table ##
| a | b |
|---|---|
| x | y |
| z |   |
1. first
2) second
   goes on
- [x] done
"""

    assert [(passage.text, passage.kind, passage.trail) for passage in passages(text)] == [
        ("One. Two words here are fine.", "sentence", "Title"),
        ("Quoted text.", "sentence", "Title"),
        ("x — b: y", "row", "Title Table a b"),
        ("first", "item", "Title Table"),
        ("second goes on", "item", "Title Table"),
        ("done", "item", "Title Table"),
    ]


def test_a_table_without_a_rule_has_no_column_names():
    assert texts("| a | b |\n| c | d |") == ["a — b", "c — d"]


def test_what_introduces_a_list_goes_along_and_is_never_quoted_alone():
    found = passages("Some words. It needs:\n\n- water\n- wind\n\nAnother text.\n\n- loose")

    assert found == [
        Passage("water", "item", "Some words. It needs:"),
        Passage("wind", "item", "Some words. It needs:"),
        Passage("Another text.", "sentence"),
        Passage("loose", "item"),
    ]


def test_an_item_that_introduces_others_is_their_lead():
    assert passages("- It has these parts:\n  - wheel") == [Passage("wheel", "item", "It has these parts:")]


def test_a_long_item_is_cut_and_its_first_sentence_is_its_topic():
    long = "The first sentence names it. " + "Another sentence follows with many more words in it. " * 6
    found = passages(f"- {long}")

    assert len(found) == 7
    assert {passage.trail for passage in found} == {"The first sentence names it."}


def test_code_of_a_shell_is_quoted_by_line_and_other_code_only_where_short():
    assert texts("```sh\n$ make\nmake run\n\n```") == ["make", "make run"]
    assert texts("~~~python\na = 1\nb = 2\nc = 3\n~~~\nText here stays.") == ["Text here stays."]
    assert texts("```json\n{}\n```\n```json\n{1}\n```") == ["{1}"]
    assert texts("```\n" + "x" * 200 + "\n```") == []


def test_a_fence_that_never_ends_is_dropped():
    assert texts("Text goes here.\n```\nmake") == ["Text goes here."]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is one, e.g. Kafka here. And here is two.", ["It is one, e.g. Kafka here.", "And here is two."]),
        ("It costs 1.5 s. That is not much!", ["It costs 1.5 s.", "That is not much!"]),
        ("Is it so, really? (Yes it is.) No.", ["Is it so, really?", "(Yes it is.)", "No."]),
        ("Title. It is about this thing.", ["Title. It is about this thing."]),
        ("これは水車です。川にあります。", ["これは水車です。", "川にあります。"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_should(text: str, found: list[str]):
    assert sentences(text) == found


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("**bold** and *it* and __b__ and ~~gone~~", "bold and it and b and gone"),
        ("a [link](http://x) and ![image](y) and [ref][1]", "a link and image and ref"),
        ("`llm.*` and `a_b_c` stay", "llm.* and a_b_c stay"),
        ("**with `code` inside** too", "with code inside too"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("<b>tag</b> but 1 < 2", "tag but 1 < 2"),
        ("an open ` tick", "an open tick"),
    ],
)
def test_markers_go_and_words_stay(text: str, cleaned: str):
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    "forms",
    [
        ("request", "requests"),
        ("retry", "retries", "retried", "retrying"),
        ("compress", "compressed", "compression", "compresses"),
        ("stop", "stopped", "stopping", "stops"),
        ("cache", "caches", "caching"),
        ("configured", "configuration"),
        ("process", "processes"),
    ],
)
def test_forms_of_a_word_meet(forms: tuple[str, ...]):
    assert len({stem(form) for form in forms}) == 1


def test_names_and_short_words_stay_as_they_are():
    assert [stem(word) for word in ("ids", "utf8", "is")] == ["ids", "utf8", "is"]


def test_wide_characters_are_words_of_their_own():
    assert words("水車 mill") == ["水", "車", "mil"]


def test_a_question_of_stop_words_only_is_taken_as_it_is():
    assert terms_of("What is it?", []) == ["what", "is", "it"]


def ranked(question: str, *candidates: Passage) -> list[float]:
    return scores(question, candidates)


def sentence(text: str, trail: str = "") -> Passage:
    return Passage(text, "sentence", "", trail)


def test_more_of_the_question_is_better_and_none_is_nothing():
    both, one, none = ranked(
        "wheel of the mill",
        sentence("The wheel drives the mill."),
        sentence("The wheel turns quite fast."),
        sentence("Nothing of that is here."),
    )

    assert both > one > none == 0


def test_a_heading_counts_less_than_the_passage_itself():
    inside, above = ranked(
        "wheel", sentence("The wheel turns quite fast."), sentence("It turns very fast.", "The wheel")
    )

    assert inside > above > 0


@pytest.mark.parametrize(
    ("question", "better", "worse"),
    [
        ("How many wheels?", sentence("Wheels here are 4 now."), sentence("Wheels here are round now.")),
        ("Why wheels?", sentence("Wheels because they turn."), sentence("Wheels and how they turn.")),
        ("How do I turn wheels?", Passage("turn wheels", "code"), sentence("You may turn wheels.")),
        ("wheels", sentence("Wheels turn round and round."), Passage("Wheels turn round and round", "row")),
        ("wheels", sentence("The wheels turn round and round."), sentence("Do wheels turn round and round?")),
        ("wheels", sentence("Wheels turn round and round."), sentence("Wheels turn.")),
        ("turn wheels", sentence("You may turn wheels."), sentence("Wheels may turn you.")),
        ("Give an overview", sentence("Wheels turn here."), Passage("Wheels turn here.", "row")),
    ],
)
def test_the_form_of_the_question_weighs(question: str, better: Passage, worse: Passage):
    best, other = ranked(question, better, worse)

    assert best > other
