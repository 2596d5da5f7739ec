"""The turns to send."""

from flows.stages.jobs import NOTHING, Gathered
from flows.stages.recall import OPENING, REMEMBERED, joined, messages_of, recall
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


HISTORY = (Message(role="user", content="q"), Message(role="assistant", content="a"))


def test_history_stands_after_the_leading_system_turns_and_before_the_rest():
    given = [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": "u"},
        {"role": "system", "content": "late"},
    ]
    request = Request.model_validate({"messages": given})
    made = messages_of(request, Gathered(history=HISTORY))

    assert [turn.content for turn in made] == ["s", "d", "q", "a", "u", "late"]


def test_history_follows_a_context_that_has_a_turn_of_its_own():
    made = messages_of(Request(prompt="u", context="c"), Gathered(history=HISTORY))

    assert [turn.content for turn in made] == [f"{OPENING}c", "q", "a", "u"]


def test_history_follows_a_request_of_system_turns_only():
    given = [Message(role="system", content="s")]

    assert [turn.content for turn in messages_of(Request(messages=given), Gathered(history=HISTORY))] == [
        "s", "q", "a",
    ]  # fmt: skip


def test_memories_stand_marked_after_the_context_a_line_each():
    made = messages_of(Request(prompt="u", context="c"), Gathered(memories=("likes\n\n# tea", "is 40")))

    assert made[0] == Message(role="system", content=f"{OPENING}c\n\n{REMEMBERED}- likes # tea\n- is 40")


def test_a_context_that_was_gathered_takes_the_place_of_the_requests():
    asked = job(prompt="hi", context="packed", context_encoding="zstd+base64")
    asked.gathered = Gathered(context="plain", notes={"x": "y"})
    recall(asked)

    assert (asked.request.context, asked.request.context_encoding) == ("plain", "text")
    assert asked.messages[0].content == f"{OPENING}plain"
    assert asked.notes == {"x": "y"}


def test_parts_of_several_sources_are_joined_in_order():
    first = Gathered("c", HISTORY, ("m",), {"a": "1"}, "h")
    second = Gathered(None, HISTORY[:1], ("n",), {"b": "2"}, "i")

    assert joined(first, second) == Gathered(
        "c", HISTORY + HISTORY[:1], ("m", "n"), {"a": "1", "b": "2"}, ("h", "i")
    )
    assert joined(NOTHING, first) == joined(first, NOTHING) == first
    assert joined(first, Gathered("d")).context == "d"
