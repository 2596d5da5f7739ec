"""The codec of Ollama's chat: what is sent."""

from typing import Any

import orjson
import pytest

from connectors.providers.ollama import OllamaCodec
from connectors.providers.ollama_window import WHOLE
from schemas.calls import Refused
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire_json

CODEC = OllamaCodec()
SHAPE = {"type": "object", "properties": {"city": {"type": "string"}}}


def sent(request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    names = ("params", "drop_params", "max_input_tokens")
    route = make_route(
        "ollama", model="llama3.2", **{name: settings.pop(name) for name in names if name in settings}
    )
    return orjson.loads(CODEC.encode(make_call(request, route=route, **settings)).body)


def test_a_body_holds_every_parameter_in_ollamas_words():
    assert sent(wire_json("full.request.json")) == wire_json("ollama_full.body.json")


def test_a_call_goes_to_the_chat_of_the_routes_server():
    request = CODEC.encode(make_call(route=make_route("ollama", api_base="http://x:1/")))

    assert request.url == "http://x:1/api/chat"
    assert CODEC.encode(make_call()).url == "http://127.0.0.1:11434/api/chat"


def test_the_routes_options_fill_gaps_only():
    body = sent(
        {"prompt": "hi", "temperature": 0.1, "top_k": 3, "keep_alive": "5m"},
        params={
            "temperature": 0.9,
            "options": {"num_ctx": 512, "mirostat": 1},
            "max_tokens": 50,
            "stop": "END",
        },
    )

    assert body["keep_alive"] == "5m"
    assert body["options"] == {
        "num_ctx": 512, "mirostat": 1, "temperature": 0.1, "top_k": 3, "num_predict": 50, "stop": ["END"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "sent_as"),
    [
        ({"type": "json_object"}, "json"),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            {"type": "object"},
        ),
        ({"type": "text"}, None),
    ],
)
def test_a_wished_shape_is_a_format(wanted: dict[str, Any], sent_as: object):
    assert sent({"prompt": "hi", "response_format": wanted}).get("format") == sent_as


@pytest.mark.parametrize(
    ("effort", "think"), [("low", "low"), ("high", "high"), ("none", False), ("minimal", True)]
)
def test_an_effort_is_a_will_to_think(effort: str, think: object):
    assert sent({"prompt": "hi", "reasoning_effort": effort})["think"] == think


TOOL = {"type": "function", "function": {"name": "f"}}


def test_no_tools_are_sent_where_none_may_be_called():
    assert "tools" not in sent({"prompt": "hi", "tools": [TOOL], "tool_choice": "none"})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
    ],
)
def test_a_parameter_that_ollama_lacks_is_refused_by_name_or_dropped(fields: dict[str, Any], named: str):
    with pytest.raises(Refused, match=f"`{named}`"):
        sent({"prompt": "hi", **fields})

    assert sent({"prompt": "hi", **fields}, drop_params=True)["messages"] == [
        {"role": "user", "content": "hi"}
    ]


def test_parameters_that_change_no_answer_are_left_out():
    body = sent({"prompt": "hi", "user": "u", "n": 1, "stream_options": {}, "logit_bias": None})

    assert set(body) == {"model", "messages", "stream", "options", *WHOLE}


@pytest.mark.parametrize(
    "fields", [{"options": 5}, {"response_format": {"type": "json_schema", "json_schema": 5}}]
)
def test_a_parameter_of_a_wrong_type_is_refused(fields: dict[str, Any]):
    with pytest.raises(Refused, match="must be an object"):
        sent({"prompt": "hi", **fields})


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def test_roles_that_ollama_lacks_become_their_nearest():
    turns = [
        {"role": "developer", "content": "a"},
        {"role": "function", "name": "f", "content": "b"},
        {"role": "tool", "tool_call_id": "x", "content": "c"},
    ]

    assert sent({"messages": turns})["messages"] == [
        {"role": "system", "content": "a"},
        {"role": "tool", "content": "b", "tool_name": "f"},
        {"role": "tool", "content": "c"},
    ]


def test_an_image_by_address_is_refused():
    for found in ("http://x/y.png", {"url": "http://x/y.png"}, {"url": "data:image/png,abc"}):
        with pytest.raises(Refused, match=r"messages\.0\.content"):
            sent(user({"type": "image_url", "image_url": found}))


def test_a_part_that_ollama_lacks_is_refused_by_name_or_dropped():
    asked = user({"type": "input_audio"}, {"type": "text", "text": "hi"})

    with pytest.raises(Refused, match=r"messages\.0\.content\.input_audio"):
        sent(asked)
    assert sent(asked, drop_params=True)["messages"][0]["content"] == "hi"


@pytest.mark.parametrize("found", [{}, {"function": "f"}, {"function": {"name": "f", "arguments": "{"}}])
def test_an_unreadable_tool_call_of_an_earlier_turn_is_refused(found: dict[str, Any]):
    with pytest.raises(Refused, match=r"messages\.0\.tool_calls"):
        sent({"messages": [{"role": "assistant", "tool_calls": [found]}]})


def turns(*found: dict[str, Any]) -> list[dict[str, Any]]:
    return sent({"messages": list(found)})["messages"]


def test_thinking_of_an_earlier_turn_goes_back():
    assert turns({"role": "assistant", "content": "4", "reasoning_content": "2 + 2"}) == [
        {"role": "assistant", "content": "4", "thinking": "2 + 2"}
    ]


def test_fields_of_ollamas_own_go_back_to_ollama_and_to_nobody_else():
    own = {"format": "ollama", "content": [{"images": ["AA=="], "role": "system"}, "text"]}
    foreign = {"format": "anthropic", "content": [{"a": 1}]}

    assert turns({"role": "assistant", "content": "a", "provider_content": own}) == [
        {"role": "assistant", "content": "a", "images": ["AA=="]}
    ]
    for kept in (foreign, {"format": "ollama"}):
        assert turns({"role": "assistant", "content": "a", "provider_content": kept}) == [
            {"role": "assistant", "content": "a"}
        ]


def test_texts_of_every_kind_are_texts():
    parts = [
        {"type": "text", "text": "a"},
        {"type": "input_text", "text": "b"},
        {"type": "output_text", "text": "c"},
        {"type": "refusal", "refusal": "d"},
    ]

    assert sent(user(*parts))["messages"] == [{"role": "user", "content": "a\nb\nc\nd"}]


def test_a_document_is_refused_by_its_place():
    with pytest.raises(Refused, match=r"messages\.0\.content\.file"):
        sent(user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}))


def test_several_images_keep_their_order():
    one, two = (
        {"type": "image_url", "image_url": f"data:image/png;base64,{data}"} for data in ("AA==", "AQ==")
    )

    assert sent(user(one, {"type": "text", "text": "which?"}, two))["messages"][0]["images"] == [
        "AA==",
        "AQ==",
    ]


def test_parallel_tool_calls_and_their_results_keep_their_order():
    calls = [
        {"id": name, "type": "function", "function": {"name": f"f_{name}", "arguments": {"at": name}}}
        for name in ("a", "b")
    ]
    asked = turns(
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )

    assert [call["function"] for call in asked[0]["tool_calls"]] == [
        {"name": "f_a", "arguments": {"at": "a"}},
        {"name": "f_b", "arguments": {"at": "b"}},
    ]
    assert [(turn["tool_name"], turn["content"]) for turn in asked[1:]] == [("f_b", "2"), ("f_a", "1")]


def test_ollamas_own_parameters_go_out_as_they_are():
    body = sent(
        {
            "prompt": "hi",
            "format": SHAPE,
            "think": "low",
            "logprobs": True,
            "top_logprobs": 2,
            "keep_alive": -1,
        }
    )

    assert {name: body[name] for name in ("format", "think", "logprobs", "top_logprobs", "keep_alive")} == {
        "format": SHAPE, "think": "low", "logprobs": True, "top_logprobs": 2, "keep_alive": -1,
    }  # fmt: skip


def test_a_call_names_what_it_takes():
    headers = CODEC.encode(make_call(route=make_route("ollama", api_key="k"))).headers
    routed = make_route("ollama", params={"extra_headers": {"Accept": "text/plain"}})

    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer k"
    assert CODEC.encode(make_call(route=routed)).headers["accept"] == "text/plain"
