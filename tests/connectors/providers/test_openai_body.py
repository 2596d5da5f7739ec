"""What goes to a server that speaks OpenAI's format, and what differs from one to the next."""

from typing import Any

import orjson
import pytest

from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_quirks import ELSEWHERE, OPENAI, QUIRKS, at
from schemas.calls import Refused
from tests.support.calls import make_call, make_route

USER = {"role": "user", "content": "hi"}
SHAPE = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
HERE = "http://127.0.0.1:1/v1"


def sent(provider: str, request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    stream, settings["api_base"] = settings.pop("stream", False), settings.get("api_base")
    call = make_call({"messages": [USER], **request}, route=make_route(provider, **settings), stream=stream)
    return orjson.loads(OpenAICodec(QUIRKS[provider]).encode(call).body)


def turn(provider: str, *messages: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The first of the turns, as it is sent."""
    return sent(provider, {"messages": list(messages)}, api_base=HERE, **settings)["messages"][0]


HOSTED = sorted(name for name, quirks in QUIRKS.items() if quirks.base and "https" in quirks.base)


@pytest.mark.parametrize("provider", HOSTED)
def test_a_hosted_server_is_asked_at_its_own_address(provider: str):
    call = make_call(route=make_route(provider, api_key="k"))
    request = OpenAICodec(QUIRKS[provider]).encode(call)

    assert request.url == f"{QUIRKS[provider].base}/chat/completions"
    assert request.headers["accept"] == "application/json"
    assert request.headers["authorization"] == "Bearer k"


def lacking() -> list[tuple[str, str]]:
    return [(name, lack) for name, quirks in QUIRKS.items() for lack in sorted(quirks.lacks)]


VALUES: dict[str, Any] = {"tools": [{"type": "function"}], "tool_choice": "auto", "stop": ["a"], "seed": 0}


@pytest.mark.parametrize(("provider", "lack"), lacking())
def test_what_a_server_lacks_is_refused_by_name_or_dropped(provider: str, lack: str):
    request = {lack: VALUES.get(lack, 1)}

    with pytest.raises(Refused, match=f"{provider} does not know the parameter `{lack}`"):
        sent(provider, request, api_base=None if QUIRKS[provider].base else HERE)
    assert sorted(sent(provider, request, drop_params=True)) == ["messages", "model"]


def test_what_a_server_lacks_is_refused_in_a_routes_parameters_too():
    with pytest.raises(Refused, match="`thinking`"):
        sent("openai", {}, params={"thinking": {"type": "enabled"}})


@pytest.mark.parametrize("value", [None, False, 0, [], {}])
def test_a_parameter_that_says_nothing_goes_without_a_word(value: object):
    assert "logprobs" not in sent("groq", {"logprobs": value})


@pytest.mark.parametrize("provider", ["openai", "openai_like", "vllm"])
def test_more_than_one_choice_is_refused_since_only_one_is_read(provider: str):
    with pytest.raises(Refused, match="`n` must be 1"):
        sent(provider, {"n": 2}, api_base=HERE)

    assert "n" not in sent(provider, {"n": 2}, api_base=HERE, drop_params=True)
    assert sent(provider, {"n": 1}, api_base=HERE)["n"] == 1


def test_any_server_may_stand_behind_openai_at_another_address():
    body = sent("openai", {"top_k": 3, "keep_alive": "5m"}, api_base=HERE)

    assert (body["top_k"], body["keep_alive"]) == (3, "5m")
    assert at(OPENAI, HERE) is ELSEWHERE
    assert at(OPENAI, None) is at(OPENAI, "https://eu.api.openai.com/v1") is OPENAI
    assert at(QUIRKS["groq"], HERE) is QUIRKS["groq"]


@pytest.mark.parametrize(
    ("provider", "request_", "settings", "name"),
    [
        ("vllm", {"max_completion_tokens": 9}, {}, "max_tokens"),
        ("groq", {"max_tokens": 9}, {}, "max_completion_tokens"),
        ("mistral", {"max_completion_tokens": 9}, {"model": "o3"}, "max_tokens"),
        ("openrouter", {"max_tokens": 9}, {"model": "openai/gpt-5"}, "max_completion_tokens"),
        ("openrouter", {"max_tokens": 9}, {"model": "meta/llama"}, "max_tokens"),
        ("groq", {}, {"params": {"max_tokens": 9}}, "max_completion_tokens"),
        ("openai", {}, {"params": {"max_completion_tokens": 9, "max_tokens": 7}}, "max_completion_tokens"),
    ],
)
def test_the_limit_goes_out_once_by_the_name_that_the_server_knows(
    provider: str, request_: dict[str, Any], settings: dict[str, Any], name: str
):
    body = sent(provider, request_, **settings)

    assert {key: value for key, value in body.items() if "tokens" in key} == {name: 9}


@pytest.mark.parametrize("provider", ["mistral", "perplexity"])
def test_stream_options_go_only_where_they_are_known(provider: str):
    body = sent(provider, {"stream_options": {"include_usage": True}}, stream=True)

    assert body["stream"] is True
    assert "stream_options" not in body


def test_a_seed_goes_out_by_the_name_that_the_server_knows():
    body = sent("mistral", {"seed": 7})

    assert body["random_seed"] == 7
    assert "seed" not in body


def test_a_schema_is_refused_where_only_plain_json_is_known():
    with pytest.raises(Refused, match=r"response_format\.json_schema"):
        sent("deepseek", {"response_format": SHAPE})

    assert "response_format" not in sent("deepseek", {"response_format": SHAPE}, drop_params=True)
    plain = {"type": "json_object"}
    assert sent("deepseek", {"response_format": plain})["response_format"] == plain


@pytest.mark.parametrize(
    ("model", "name"), [("llama", "accounts/fireworks/models/llama"), ("accounts/a/models/b", None)]
)
def test_a_model_gets_the_servers_prefix_where_it_has_none(model: str, name: str | None):
    assert sent("fireworks_ai", {}, model=model)["model"] == (name or model)


@pytest.mark.parametrize(("provider", "role"), [("openai", "developer"), ("vllm", "system")])
def test_a_developers_turn_is_a_systems_turn_where_the_role_is_unknown(provider: str, role: str):
    body = sent(provider, {"messages": [{"role": "developer", "content": "Be brief."}]})

    assert body["messages"] == [{"role": role, "content": "Be brief."}]


def test_names_of_speakers_are_refused_or_dropped_where_they_are_unknown():
    named = {**USER, "name": "ada"}

    with pytest.raises(Refused, match=r"xai does not know `messages\.0\.name`"):
        turn("xai", named)
    assert turn("xai", named, drop_params=True) == USER
    assert turn("vllm", named) == named


def test_the_name_on_a_tools_answer_is_dropped_where_it_is_unknown():
    result = {"role": "tool", "tool_call_id": "a", "content": "12"}

    assert turn("groq", {**result, "name": "f"}) == result


@pytest.mark.parametrize(
    ("provider", "field"),
    [("deepseek", "reasoning_content"), ("openrouter", "reasoning"), ("openai", None), ("groq", None)],
)
def test_thinking_goes_back_only_where_it_is_taken(provider: str, field: str | None):
    thought = turn(provider, {"role": "assistant", "content": "a", "reasoning_content": "Hm."})

    assert thought == {"role": "assistant", "content": "a", **({field: "Hm."} if field else {})}
    assert turn("deepseek", {**USER, "reasoning_content": "Hm."}) == USER


OWN = {"role": "assistant", "content": "a", "reasoning_details": [{"index": 0}]}


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ({"format": "openai", "server": "openrouter", "content": [OWN]}, True),
        ({"format": "openai", "content": [OWN]}, True),
        ({"format": "openai", "server": "groq", "content": [OWN]}, False),
        ({"format": "anthropic", "content": [OWN]}, False),
        ({"format": "openai", "content": []}, False),
        ({"format": "openai", "content": ["a"]}, False),
        ({"format": "openai", "content": OWN}, False),
        ({}, False),
    ],
)
def test_a_message_goes_back_as_it_was_to_whom_it_came_from(own: dict[str, Any], kept: bool):
    message = {"role": "assistant", "content": "mine", "provider_content": own}

    assert turn("openrouter", message) == (OWN if kept else {"role": "assistant", "content": "mine"})
    assert turn("openrouter", {**USER, "provider_content": own}) == USER


def test_of_what_the_assistant_said_aloud_only_the_id_goes_back():
    own = {"format": "openai", "content": [{"audio": {"id": "a", "data": "AAAA", "transcript": "x"}}]}

    assert turn("openai", {"role": "assistant", "provider_content": own}) == {
        "role": "assistant",
        "audio": {"id": "a"},
    }
