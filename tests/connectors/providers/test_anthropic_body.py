"""The body of a call to Claude: parameters, those it lacks, and those of its own."""

from typing import Any

import orjson
import pytest
from anthropic.types.beta import message_count_tokens_params as beta_count
from anthropic.types.beta import message_create_params as beta_create
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsBase
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.anthropic_body import COUNTED, DEFAULT_MAX_TOKENS, HEADERS, NATIVE
from schemas.calls import Refused
from schemas.requests import Request
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire_json

CODEC = AnthropicCodec()


def sent(request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    stream, max_tokens = settings.pop("stream", False), settings.pop("max_tokens", None)
    call = make_call(
        {"prompt": "hi", **request},
        route=make_route("anthropic", **settings),
        stream=stream,
        max_tokens=max_tokens,
    )
    return orjson.loads(CODEC.encode(call).body)


def added(request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """What a request adds to the smallest body."""
    plain = sent({})
    return {name: value for name, value in sent(request, **settings).items() if plain.get(name) != value}


def refusal(request: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(Refused) as caught:
        sent(request, **settings)
    return caught.value.reason


def test_the_smallest_body_has_a_limit():
    assert sent({}) == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": DEFAULT_MAX_TOKENS,
    }


def test_a_body_holds_what_claude_knows_and_none_of_weirs_own_fields():
    request = wire_json("full.request.json")
    call = make_call(request, route=make_route("anthropic", model="claude-sonnet-5-5", drop_params=True))

    assert orjson.loads(CODEC.encode(call).body) == wire_json("anthropic_full.body.json")
    with pytest.raises(Refused, match="`response_format`"):
        CODEC.encode(make_call(request))


def test_the_lists_are_those_of_the_sdk():
    known = set(MessageCreateParamsBase.__annotations__) | set(
        beta_create.MessageCreateParamsBase.__annotations__
    )
    translated = {"max_tokens", "messages", "model", "output_config", "service_tier", "system"}
    # `fallbacks` is a field of Weir's own; `top_k` left the SDK and stands in the older API version.
    assert known == (NATIVE - {"top_k"}) | set(HEADERS) | translated | {"tool_choice", "tools", "fallbacks"}
    counted = set(MessageCountTokensParams.__annotations__) | set(
        beta_count.MessageCountTokensParams.__annotations__
    )
    assert counted - set(HEADERS) == COUNTED


OPENAI_ONLY: dict[str, Any] = {
    "audio": {"voice": "a"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"1": 2},
    "logprobs": True,
    "modalities": ["audio"],
    "moderation": {"model": "m"},
    "n": 2,
    "prediction": {"type": "content", "content": "a"},
    "presence_penalty": -0.5,
    "prompt_cache_options": {"mode": "explicit"},
    "prompt_cache_retention": "24h",
    "seed": 7,
    "store": True,
    "top_logprobs": 3,
    "verbosity": "low",
    "web_search_options": {},
}
OPENAI_TAKEN = {
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "service_tier",
    "stop",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "user",
}


def test_every_parameter_of_openai_is_taken_or_refused():
    assert set(CompletionCreateParamsBase.__annotations__) == set(OPENAI_ONLY) | OPENAI_TAKEN


@pytest.mark.parametrize(("name", "value"), [*OPENAI_ONLY.items(), ("min_p", 0.1), ("brand_new", 1)])
def test_what_claude_lacks_is_refused_by_name_or_dropped(name: str, value: object):
    assert f"`{name}`" in refusal({name: value})
    assert f"`{name}`" in refusal({}, params={name: value})
    assert sent({name: value}, drop_params=True) == sent({})


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "store": False, "modalities": ["text"]},
        {"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}},
        {"stream_options": {"include_usage": True}, "prompt_cache_key": "k", "parallel_tool_calls": True},
        {"response_format": {"type": "text"}, "tool_choice": "none", "tools": [], "seed": None},
        {
            "thinking": None,
            "logit_bias": None,
            "metadata": {"a": 1},
            "fallbacks": ["other"],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
        },
    ],
)
def test_what_changes_nothing_is_left_out(fields: dict[str, Any]):
    assert sent(fields) == sent({})


def test_the_limit_is_the_calls_then_the_routes_then_the_default():
    route: dict[str, Any] = {"params": {"max_tokens": 20}, "max_output_tokens": 30}

    assert sent({}, max_tokens=10, **route)["max_tokens"] == 10
    assert sent({}, **route)["max_tokens"] == 20
    assert sent({}, params={"max_completion_tokens": 25, "max_tokens": 20})["max_tokens"] == 25
    assert sent({}, max_output_tokens=30)["max_tokens"] == 30


def test_a_thinking_budget_is_added_to_the_default_limit_only():
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}}

    assert sent(thinking)["max_tokens"] == DEFAULT_MAX_TOKENS + 2000
    assert sent(thinking, max_tokens=3000)["max_tokens"] == 3000
    assert sent({"thinking": {"type": "adaptive"}})["max_tokens"] == DEFAULT_MAX_TOKENS
    assert sent({"thinking": {"budget_tokens": "many"}})["max_tokens"] == DEFAULT_MAX_TOKENS


def test_a_temperature_over_one_is_refused_or_one():
    assert added({"temperature": 1}) == {"temperature": 1}
    assert added({"temperature": 0}) == {"temperature": 0}
    assert "`temperature`" in refusal({"temperature": 1.01})
    assert added({"temperature": 2}, drop_params=True) == {"temperature": 1}
    assert added({}, params={"temperature": 0.3}) == {"temperature": 0.3}


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_from_the_newer_version_on_nothing_of_sampling_goes_out(name: str):
    params = {"extra_headers": {"Anthropic-Version": "2026-10-21"}}

    assert "2026-10-21" in refusal({name: 1}, params=params)
    assert added({name: 1}, params=params, drop_params=True) == {}
    assert added({name: 1}, params={"extra_headers": {"x-a": "b"}}) == {name: 1}


def test_the_requests_parameters_beat_the_routes_by_either_name():
    assert added({"stop": "a"}, params={"stop_sequences": ["b"]}) == {"stop_sequences": ["a"]}
    assert added({"stop_sequences": ["a"]}, params={"stop": "b"}) == {"stop_sequences": ["a"]}
    assert added({"user": "a"}, params={"metadata": {"user_id": "b"}}) == {"metadata": {"user_id": "a"}}
    assert added({"reasoning_effort": "none"}, params={"thinking": {"type": "adaptive"}}) == {
        "thinking": {"type": "disabled"}
    }
    assert added({"reasoning_effort": "low"}, params={"thinking": {"type": "adaptive"}}) == {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
    }
    assert added({}, params={"stop": "b", "stream": True, "top_k": None}) == {"stop_sequences": ["b"]}


@pytest.mark.parametrize(
    ("request_fields", "names"),
    [
        ({"stop": "a", "stop_sequences": ["b"]}, ("stop", "stop_sequences")),
        ({"reasoning_effort": "none", "thinking": {"type": "adaptive"}}, ("reasoning_effort", "thinking")),
        ({"reasoning_effort": "low", "output_config": {"effort": "max"}}, ("reasoning_effort", "effort")),
        ({"messages": [{"role": "system", "content": "a"}], "system": "b"}, ("system",)),
    ],
)
def test_the_same_said_twice_is_refused(request_fields: dict[str, Any], names: tuple[str, ...]):
    if "messages" in request_fields:
        turns = [*request_fields["messages"], {"role": "user", "content": "hi"}]
        request = {**request_fields, "messages": turns, "prompt": None}
    else:
        request = request_fields
    reason = refusal(request)

    assert all(f"`{name}`" in reason for name in names)


def test_who_asks_is_the_user_or_else_the_safety_identifier():
    assert added({"user": "a"}) == {"metadata": {"user_id": "a"}}
    assert added({"safety_identifier": "b"}) == {"metadata": {"user_id": "b"}}
    for fields in ({"user": "a", "safety_identifier": "b"}, {"safety_identifier": "b", "user": "a"}):
        assert added(fields) == {"metadata": {"user_id": "a"}}


def test_a_system_prompt_may_come_as_their_parameter():
    assert added({"system": [{"type": "text", "text": "a"}]}) == {"system": [{"type": "text", "text": "a"}]}


@pytest.mark.parametrize(
    ("tier", "made"), [("auto", "auto"), ("default", "standard_only"), ("standard_only", "standard_only")]
)
def test_a_service_tier_is_translated(tier: str, made: str):
    assert added({"service_tier": tier}) == {"service_tier": made}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service_tier", "flex"),
        ("service_tier", 5),
        ("reasoning_effort", "endless"),
        ("reasoning_effort", 5),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "a"}}),
    ],
)
def test_a_value_that_claude_lacks_is_refused_by_name_or_dropped(name: str, value: object):
    assert f"`{name}`" in refusal({name: value})
    assert sent({name: value}, drop_params=True) == sent({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output_config", "high"),
        ("response_format", {"type": "json_schema", "json_schema": 5}),
        ("tools", [{"type": "function"}]),
        ("tools", [{"type": "custom", "custom": {"name": "f"}}]),
        ("tools", [{"type": "function", "function": {"name": ""}}]),
    ],
)
def test_a_value_that_nobody_takes_is_refused_even_with_drop_params(name: str, value: object):
    assert name in refusal({name: value}, drop_params=True)


def test_a_schema_and_an_effort_share_the_output_config():
    schema = {"type": "object"}
    shape = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    fields = {"response_format": shape, "reasoning_effort": "minimal", "output_config": {"task_budget": {}}}

    assert added(fields) == {
        "output_config": {
            "task_budget": {},
            "effort": "low",
            "format": {"type": "json_schema", "schema": schema},
        }
    }


def test_a_stream_is_asked_for_only_where_pieces_are_wanted():
    assert added({}, stream=True) == {"stream": True}


def test_weirs_own_fields_are_not_in_the_lists():
    assert not set(Request.model_fields) & (NATIVE - {"metadata"})
