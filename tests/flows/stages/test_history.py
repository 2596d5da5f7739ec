"""The history of a conversation as turns to send."""

from uuid import UUID

from flows.stages.history import EMPTY, history
from schemas.base import JsonObject
from schemas.contexts import Past, Turn
from schemas.requests import Message, Request

USER = {"role": "user", "content": "u"}
SYSTEM = {"role": "system", "content": "s"}


def call(name: str) -> JsonObject:
    return {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def result(name: str) -> JsonObject:
    return {"role": "tool", "tool_call_id": name, "content": "4"}


def turn(*asked: JsonObject, **answer: object) -> Turn:
    return Turn(
        context_id=UUID(int=1),
        seq=1,
        tenant="t",
        request_id="r",
        asked=[Message.model_validate(each) for each in asked],
        answer=Message.model_validate({"role": "assistant"} | (answer or {"content": "a"})),
        asked_ms=1,
    )


def made(past: Past, *own: JsonObject) -> list[JsonObject]:
    request = Request.model_validate({"messages": own} if own else {"prompt": "u"})
    return [each.model_dump(exclude_unset=True) for each in history(request, past)]


def test_turns_stand_oldest_first_each_with_its_answer():
    past = Past((turn({"role": "user", "content": "1"}, content="one"), turn(USER, content="two")))

    assert [each["content"] for each in made(past)] == ["1", "one", "u", "two"]
    assert made(Past()) == []


def test_system_turns_hold_until_a_request_brings_its_own():
    past = Past((turn(SYSTEM, USER),), (Message.model_validate(SYSTEM),))

    assert [each["content"] for each in made(past)] == ["s", "u", "a"]
    assert [each["content"] for each in made(past, {"role": "developer", "content": "d"}, USER)] == ["u", "a"]


def test_calls_of_tools_stay_with_their_answers_in_the_next_turn_or_the_request():
    calls = [call("1"), call("2")]
    past = Past((turn(USER, tool_calls=calls), turn(result("1"), result("2"), tool_calls=[call("3")])))

    whole = made(past, result("3"))
    assert [each["role"] for each in whole] == ["user", "assistant", "tool", "tool", "assistant"]
    assert (whole[1]["tool_calls"], whole[-1]["tool_calls"]) == (calls, [call("3")])


def test_calls_that_nobody_answered_are_left_out_with_the_providers_own_content():
    own = {"format": "anthropic", "content": [{"type": "tool_use"}]}
    lost = turn(USER, tool_calls=[call("1"), call("2")], provider_content=own)
    said = turn(USER, content="wait", tool_calls=[call("1")])

    assert made(Past((lost, said)))[1] == {"role": "assistant", "content": EMPTY}
    assert made(Past((said,)))[-1] == {"role": "assistant", "content": "wait"}


def test_answers_of_tools_whose_call_does_not_fit_any_more_are_left_out():
    past = Past((turn(result("1"), result("2"), USER, content="four"), turn(USER)))

    assert [each["content"] for each in made(past)] == ["u", "four", "u", "a"]


def test_thinking_goes_back_as_it_was():
    own = {"format": "anthropic", "content": [{"type": "thinking", "signature": "s"}]}
    past = Past((turn(USER, content="a", reasoning_content="hm", provider_content=own),))

    assert made(past)[1] == {
        "role": "assistant", "content": "a", "reasoning_content": "hm", "provider_content": own,
    }  # fmt: skip
