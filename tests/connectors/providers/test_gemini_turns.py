"""Turns of a conversation as Gemini's contents."""

from typing import Any

import orjson
import pytest

from connectors.providers.gemini import GeminiCodec
from schemas.calls import Refused
from tests.support.calls import make_call, make_route

CODEC = GeminiCodec()
PNG = "data:image/png;base64,AA=="


def sent(turns: list[dict[str, Any]], model: str = "gemini-2.5-flash", **settings: Any) -> Any:
    route = make_route("gemini", model=model, **settings)
    return orjson.loads(CODEC.encode(make_call({"messages": turns}, route=route)).body)


def contents(turns: list[dict[str, Any]], **settings: Any) -> Any:
    return sent(turns, **settings)["contents"]


def asked(name: str, arguments: Any = "{}", call_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def test_what_the_system_says_is_gathered_wherever_it_stands():
    body = sent(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        ]
    )

    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_turns_of_one_role_are_merged_and_empty_ones_left_out():
    assert contents(
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
            {"role": "assistant", "content": None},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": "c", "reasoning_content": "Hm."},
            {"role": "user", "content": "d"},
        ]
    ) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "no"}, {"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ]


def test_parallel_calls_and_their_results_stand_apart_from_what_is_said():
    calls = [asked("f", '{"x": 1}', "a"), asked("g", {"y": 2}, "call_1"), asked("h", None, "")]

    assert contents(
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "I look.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"ok": true}'},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "[1]"}]},
            {"role": "user", "content": "and?"},
        ]
    ) == [
        {"role": "user", "parts": [{"text": "go"}]},
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}},
                {"functionCall": {"name": "g", "args": {"y": 2}}},
                {"functionCall": {"name": "h", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "g", "response": {"ok": True}}},
                {"functionResponse": {"id": "a", "name": "f", "response": {"result": "[1]"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "and?"}]},
    ]


def test_a_result_may_hold_an_image():
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}]
    turns = [
        {"role": "assistant", "tool_calls": [asked("f")]},
        {"role": "tool", "tool_call_id": "a", "content": parts},
    ]

    assert contents(turns)[1]["parts"][0]["functionResponse"] == {
        "id": "a",
        "name": "f",
        "response": {"result": "see"},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
    }


def test_a_result_without_a_call_goes_by_its_name_or_is_refused():
    turns = [{"role": "function", "name": "f", "content": "1"}]

    assert contents(turns)[0]["parts"] == [{"functionResponse": {"name": "f", "response": {"result": "1"}}}]
    with pytest.raises(Refused, match=r"messages\.0\.tool_call_id"):
        sent([{"role": "tool", "tool_call_id": "x", "content": "1"}])


def test_a_turn_in_geminis_own_shape_goes_out_as_it_is():
    parts = [
        {"text": "Hm.", "thought": True},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "cw=="},
        {"functionCall": {"id": "own", "name": "g", "args": {}}},
    ]
    own = {"format": "gemini", "content": parts, "metadata": {"x": 1}}
    turns = [
        {"role": "assistant", "content": "x", "tool_calls": [asked("z")], "provider_content": own},
        {"role": "tool", "tool_call_id": "call_0", "content": "1"},
        {"role": "tool", "tool_call_id": "own", "content": "2"},
    ]

    assert contents(turns, model="gemini-3-pro") == [
        {"role": "model", "parts": parts},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "1"}}},
                {"functionResponse": {"id": "own", "name": "g", "response": {"result": "2"}}},
            ],
        },
    ]


def test_merging_leaves_the_request_as_it_was():
    own = {"format": "gemini", "content": [{"text": "a"}]}
    turns = [{"role": "assistant", "provider_content": own}, {"role": "assistant", "content": "b"}]
    call = make_call({"messages": turns})
    bodies = [orjson.loads(CODEC.encode(call).body)["contents"] for _ in range(2)]

    assert bodies == [[{"role": "model", "parts": [{"text": "a"}, {"text": "b"}]}]] * 2


def test_a_turn_in_anothers_shape_goes_out_in_openais():
    own = {"format": "anthropic", "content": [{"type": "thinking"}]}

    assert contents([{"role": "assistant", "content": "x", "provider_content": own}])[0]["parts"] == [
        {"text": "x"}
    ]


@pytest.mark.parametrize("content", [None, 5, [5]])
def test_a_broken_turn_in_geminis_own_shape_is_refused(content: object):
    with pytest.raises(Refused, match=r"messages\.0\.provider_content"):
        sent([{"role": "assistant", "provider_content": {"format": "gemini", "content": content}}])


@pytest.mark.parametrize(
    ("model", "signed"),
    [
        ("gemini-3-pro", True),
        ("models/gemini-3.5-flash", True),
        ("gemini-flash-latest", True),
        ("gemini-2.5-pro", False),
    ],
)
def test_calls_of_another_model_are_marked_where_signatures_are_checked(model: str, signed: bool):
    turns = [{"role": "assistant", "tool_calls": [asked("f"), asked("g")]}]
    first, second = contents(turns, model=model)[0]["parts"]

    assert first.get("thoughtSignature") == ("skip_thought_signature_validator" if signed else None)
    assert "thoughtSignature" not in second


def test_a_signature_in_the_place_of_googles_openai_api_is_kept():
    extra = {"google": {"thought_signature": "cw=="}}
    turns = [{"role": "assistant", "tool_calls": [asked("f", extra_content=extra)]}]

    assert contents(turns, model="gemini-3-pro")[0]["parts"][0]["thoughtSignature"] == "cw=="


@pytest.mark.parametrize("extra", [5, {"google": 5}, {"google": {"thought_signature": 5}}, {}])
def test_a_broken_signature_is_none(extra: object):
    turns = [{"role": "assistant", "tool_calls": [asked("f", extra_content=extra)]}]

    assert "thoughtSignature" not in contents(turns)[0]["parts"][0]


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"function": 5},
        {"function": {}},
        asked("f", "{"),
        asked("f", "[]"),
        asked("f", 5),
        {"function": {"name": 5}},
    ],
)
def test_a_broken_call_is_refused(found: dict[str, Any]):
    with pytest.raises(Refused, match=r"messages\.0\.tool_calls"):
        sent([{"role": "assistant", "tool_calls": [found]}])


def test_an_image_of_the_system_or_the_assistant_is_refused():
    image = {"type": "image_url", "image_url": {"url": PNG}}
    for role in ("system", "assistant"):
        with pytest.raises(Refused, match=f"image_url` in a turn of role `{role}`"):
            sent([{"role": role, "content": [image]}])


def test_a_conversation_without_a_turn_is_refused():
    with pytest.raises(Refused, match="needs a turn of the user"):
        sent([{"role": "system", "content": "Be brief."}, {"role": "user", "content": ""}])
