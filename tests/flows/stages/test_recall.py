"""The turns to send."""

from flows.stages.recall import OPENING, messages_of, recall
from schemas.requests import Message, Request
from tests.flows.stages.making import job

PART = {"type": "text", "text": "x"}


def turns(**fields: object) -> list[tuple[str, object]]:
    return [(each.role, each.content) for each in messages_of(Request.model_validate(fields))]


def test_prompt_is_one_turn_of_the_user():
    assert turns(prompt="hi") == [("user", "hi")]


def test_messages_stay_as_they_are():
    given = [Message(role="system", content="s"), Message(role="user", content="u")]

    assert messages_of(Request(messages=given)) == tuple(given)


def test_context_stands_before_all_turns():
    assert turns(prompt="hi", context="c") == [("system", f"{OPENING}c"), ("user", "hi")]


def test_context_joins_a_leading_system_turn():
    given = [{"role": "developer", "content": "s", "name": "n"}, {"role": "user", "content": "u"}]

    assert turns(messages=given, context="c") == [("developer", f"s\n\n{OPENING}c"), ("user", "u")]


def test_context_does_not_join_a_system_turn_of_parts():
    given = [{"role": "system", "content": [PART]}, {"role": "user", "content": "u"}]

    assert turns(messages=given, context="c")[:2] == [("system", f"{OPENING}c"), ("system", [PART])]


def test_empty_context_adds_nothing():
    assert turns(prompt="hi", context="") == [("user", "hi")]


def test_recall_fills_in_the_job():
    asked = job(prompt="hi")

    assert recall(asked).messages == (Message(role="user", content="hi"),)


def test_what_is_to_be_embedded_is_no_turn():
    assert turns(input=["a", "b"]) == []
