"""Calls that the official OpenAI SDK and our codec must send alike."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.support.fixtures import wire_json
from tests.support.oracle import SCHEMA, TOOL, TURNS


class Case(NamedTuple):
    """One call: the SDK's arguments, and the request in Weir's words where that is another."""

    sdk: dict[str, Any]
    request: dict[str, Any] | None = None
    model: str = "gpt-4o"
    route: Mapping[str, Any] = MappingProxyType({})


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def asked(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


TEXT = {"type": "text", "text": "What is this?"}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
WEB = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
CUSTOM = {"type": "custom", "custom": {"name": "run", "description": "Runs a command."}}
SHAPE = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
WEATHER = "get_weather"
LOCAL = {
    "top_k": 3,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
    "chat_template_kwargs": {"enable_thinking": False},
}
ANNOTATED: dict[str, Any] = wire_json("openai_annotated.reply.json")["choices"][0]["message"]
THOUGHT = {"role": "assistant", "content": None, "tool_calls": [asked("a", WEATHER, "{}")]}
BACK = {"role": "assistant", "content": "Köln"}

CASES: dict[str, Case] = {
    "turns": Case({}),
    "limits and sampling": Case(
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a"], "seed": 1}
    ),
    "the newer limit, one stop": Case({"max_completion_tokens": 5, "stop": "a"}),
    "the newer limit where the model knows no other": Case(
        {"max_completion_tokens": 5}, {"max_tokens": 5}, model="o3-mini"
    ),
    "penalties and biases": Case(
        {"presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {"1": 2}, "user": "u", "n": 1}
    ),
    "a tool that must be called": Case({"tools": [TOOL], "tool_choice": "required"}),
    "one tool by name": Case(
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": WEATHER}}}
    ),
    "no calls side by side": Case({"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}),
    "parallel calls and their results": Case(
        {
            "messages": [
                *TURNS,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [asked("a", WEATHER, '{"city":"Köln"}'), asked("b", WEATHER, "{}")],
                },
                result("a", "12 °C"),
                result("b", [{"type": "text", "text": "no city"}]),
            ],
            "tools": [TOOL],
        }
    ),
    "a custom tool and its call": Case(
        {
            "messages": [
                *TURNS,
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls"}}],
                },
                result("c", "a.txt"),
            ],
            "tools": [CUSTOM, TOOL],
        }
    ),
    "a shape": Case({"response_format": SHAPE}),
    "any JSON": Case({"response_format": {"type": "json_object"}}),
    "images": Case({"messages": user(TEXT, PNG, WEB)}),
    "a document": Case({"messages": user(PDF, TEXT)}),
    "sound in and out": Case(
        {
            "messages": user(SOUND),
            "modalities": ["text", "audio"],
            "audio": {"voice": "alloy", "format": "wav"},
        }
    ),
    "log-probabilities": Case({"logprobs": True, "top_logprobs": 2}),
    "a developer's turn and effort": Case(
        {
            "messages": [{"role": "developer", "content": "Be brief."}, TURNS[1]],
            "reasoning_effort": "low",
            "verbosity": "low",
        },
        model="gpt-5",
    ),
    "accounting and caching": Case(
        {
            "store": True,
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "safety_identifier": "s",
        }
    ),
    "a prediction": Case({"prediction": {"type": "content", "content": "Köln is mild."}}),
    "a search on the web": Case({"web_search_options": {"search_context_size": "low"}}),
    "speakers with names": Case(
        {
            "messages": [
                {"role": "system", "content": "Be brief.", "name": "rules"},
                {**TURNS[1], "name": "ada"},
            ]
        }
    ),
    "a refusal of an earlier turn": Case(
        {"messages": [TURNS[1], {"role": "assistant", "refusal": "I can't."}, TURNS[1]]}
    ),
    "a message goes back as it was": Case(
        {"messages": [TURNS[1], {**ANNOTATED, "audio": {"id": "audio_1"}}, TURNS[1]]},
        {
            "messages": [
                TURNS[1],
                {
                    **BACK,
                    "provider_content": {"format": "openai", "server": "openai", "content": [ANNOTATED]},
                },
                TURNS[1],
            ]
        },
    ),
    "a message of another server does not": Case(
        {"messages": [TURNS[1], BACK, TURNS[1]]},
        {
            "messages": [
                TURNS[1],
                {
                    **BACK,
                    "reasoning_content": "Hm.",
                    "provider_content": {"format": "anthropic", "content": [{"type": "thinking"}]},
                },
                TURNS[1],
            ]
        },
    ),
    "the older functions": Case(
        {"functions": [{"name": "f", "parameters": SCHEMA}], "function_call": {"name": "f"}}
    ),
    "a local server's own parameters": Case(
        {"extra_body": LOCAL},
        LOCAL,
        route={"provider": "hosted_vllm", "api_base": "http://127.0.0.1:1/v1"},
    ),
    "thinking goes back to where it is taken": Case(
        {"messages": [TURNS[1], {**THOUGHT, "reasoning_content": "Look it up."}, result("a", "12 °C")]},
        model="deepseek-reasoner",
        route={"provider": "deepseek", "api_base": "http://127.0.0.1:1/v1"},
    ),
    "headers of the route": Case(
        {"extra_headers": {"OpenAI-Organization": "o"}},
        {},
        route={"params": {"extra_headers": {"OpenAI-Organization": "o"}}},
    ),
    "a stream": Case({"stream": True, "stream_options": {"include_usage": True}}),
    "a stream with tools and its own options": Case(
        {
            "tools": [TOOL],
            "stream": True,
            "stream_options": {"include_obfuscation": False, "include_usage": True},
        },
        {"tools": [TOOL], "stream": True, "stream_options": {"include_obfuscation": False}},
    ),
}
"""Every feature, by name; where no `messages` are given it is `TURNS`."""
