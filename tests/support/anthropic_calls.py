"""Calls to Claude side by side: our request in the OpenAI shape, and what to ask of Anthropic's SDK."""

from dataclasses import dataclass, field
from typing import Any

from schemas.base import JsonObject
from tests.support.oracle import SCHEMA, TOOL, TURNS

MODEL = "claude-sonnet-5-5"


@dataclass(frozen=True)
class OracleCall:
    """One call of the table."""

    name: str
    request: dict[str, Any]
    """Ours: the body of a request event."""
    sdk: dict[str, Any]
    """Theirs: the arguments of `messages.create`, but for the model."""
    route: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings of our route."""
    beta: bool = False
    """Whether the SDK's beta resource is asked."""


PNG, PDF = "iVBORw0KGgo=", "JVBERi0xLjQK"
MARK: JsonObject = {"type": "ephemeral", "ttl": "1h"}
OWN_TOOL: JsonObject = {
    "name": "get_weather",
    "description": "Current weather of a city.",
    "input_schema": TOOL["function"]["parameters"],
}
SEARCH: JsonObject = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
HI = [{"role": "user", "content": "Hi."}]
FORCED = {"type": "function", "function": {"name": "get_weather"}}
THINKING: JsonObject = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
IMAGE: JsonObject = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
IMAGE_URL: JsonObject = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def text(words: str) -> JsonObject:
    return {"type": "text", "text": words}


def asked(name: str, arguments: str, call_id: str) -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def use(name: str, arguments: JsonObject, call_id: str) -> JsonObject:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def hi(**fields: Any) -> dict[str, Any]:
    return {"messages": HI, **fields}


def sdk(**fields: Any) -> dict[str, Any]:
    return {"max_tokens": 4096, "messages": HI, **fields}


SAMPLING = frozenset({"sampling", "a route's sampling"})
"""Calls with parameters that API version 2026-10-21 has no more."""
CALLS: list[OracleCall] = [
    OracleCall("a prompt", {"prompt": "Hi."}, sdk()),
    OracleCall(
        "a system prompt", {"messages": TURNS, "max_tokens": 9},
        {"max_tokens": 9, "system": "Be brief.", "messages": TURNS[1:]},
    ),
    OracleCall(
        "system turns as blocks with a cache mark",
        hi(messages=[
            {"role": "system", "content": [{**text("Be brief."), "cache_control": MARK}]},
            {"role": "developer", "content": "Be kind."},
            *HI,
        ]),
        sdk(system=[{**text("Be brief."), "cache_control": MARK}, text("Be kind.")]),
    ),
    OracleCall(
        "many turns, those of one speaker as one",
        hi(messages=[
            *HI, {"role": "user", "content": [text("There?")]}, {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Good."},
        ]),
        sdk(messages=[
            {"role": "user", "content": [text("Hi."), text("There?")]},
            {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Good."},
        ]),
    ),
    OracleCall(
        "a beginning of the answer", hi(messages=[*HI, {"role": "assistant", "content": "I am"}]),
        sdk(messages=[*HI, {"role": "assistant", "content": "I am"}]),
    ),
    OracleCall("a limit, the newer name", hi(max_completion_tokens=77), sdk(max_tokens=77)),
    OracleCall("a route's limit", hi(), sdk(max_tokens=8192), {"max_output_tokens": 8192}),
    OracleCall(
        "sampling", hi(temperature=0.5, top_p=0.9, top_k=40),
        sdk(extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 40}),
    ),
    OracleCall(
        "a route's sampling", hi(temperature=1.5), sdk(extra_body={"temperature": 1, "top_k": 5}),
        {"drop_params": True, "params": {"temperature": 0.1, "top_k": 5}},
    ),
    OracleCall("one stop sequence", hi(stop="END"), sdk(stop_sequences=["END"])),
    OracleCall("stop sequences", hi(stop=["A", "B"]), sdk(stop_sequences=["A", "B"])),
    OracleCall("a stream", hi(stream=True), sdk(stream=True)),
    OracleCall(
        "tools", hi(tools=[TOOL], tool_choice="auto"),
        sdk(tools=[OWN_TOOL], tool_choice={"type": "auto"}),
    ),
    OracleCall(
        "a tool must be called", hi(tools=[TOOL], tool_choice="required"),
        sdk(tools=[OWN_TOOL], tool_choice={"type": "any"}),
    ),
    OracleCall(
        "no tool may be called", hi(tools=[TOOL], tool_choice="none"),
        sdk(tools=[OWN_TOOL], tool_choice={"type": "none"}),
    ),
    OracleCall(
        "that tool, once", hi(tools=[TOOL], tool_choice=FORCED, parallel_tool_calls=False),
        sdk(
            tools=[OWN_TOOL],
            tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
        ),
    ),
    OracleCall(
        "one call at a time", hi(tools=[TOOL], parallel_tool_calls=False),
        sdk(tools=[OWN_TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
    ),
    OracleCall(
        "a strict tool with a cache mark, and a server's tool",
        hi(tools=[{**TOOL, "function": {**TOOL["function"], "strict": True}, "cache_control": MARK}, SEARCH]),
        sdk(tools=[{**OWN_TOOL, "strict": True, "cache_control": MARK}, SEARCH]),
    ),
    OracleCall(
        "tool results in one turn",
        {
            "tools": [TOOL],
            "messages": [
                *HI,
                {"role": "assistant", "content": "I'll look.", "tool_calls": [
                    asked("get_weather", '{"city":"Köln"}', "a"), asked("get_weather", "", "b"),
                    asked("get_weather", "{}", "c"),
                ]},
                {"role": "tool", "tool_call_id": "a", "content": "12 °C"},
                {"role": "tool", "tool_call_id": "b", "content": "no city", "is_error": True},
                {"role": "tool", "tool_call_id": "c", "content": [text("A map."), IMAGE_URL],
                 "cache_control": MARK},
                {"role": "user", "content": "And now?"},
            ],
        },
        sdk(
            tools=[OWN_TOOL],
            messages=[
                *HI,
                {"role": "assistant", "content": [
                    text("I'll look."), use("get_weather", {"city": "Köln"}, "a"),
                    use("get_weather", {}, "b"), use("get_weather", {}, "c"),
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "12 °C"},
                    {"type": "tool_result", "tool_use_id": "b", "content": "no city", "is_error": True},
                    {"type": "tool_result", "tool_use_id": "c", "content": [text("A map."), IMAGE],
                     "cache_control": MARK},
                    text("And now?"),
                ]},
            ],
        ),
    ),
    OracleCall(
        "images, inside and by address",
        hi(messages=[{"role": "user", "content": [
            text("What?"), IMAGE_URL, {"type": "image_url", "image_url": "https://example.com/a.png"},
        ]}]),
        sdk(messages=[{"role": "user", "content": [
            text("What?"), IMAGE, {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        ]}]),
    ),
    OracleCall(
        "documents: PDF, text, an uploaded file, and a block of their own",
        hi(messages=[{"role": "user", "content": [
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
             "cache_control": MARK},
            {"type": "file", "file": {"file_data": "data:text/plain;base64,R3LDvMOfZQ=="}},
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/b.pdf"},
             "citations": {"enabled": True}},
        ]}]),
        sdk(messages=[{"role": "user", "content": [
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
             "title": "a.pdf", "cache_control": MARK},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/b.pdf"},
             "citations": {"enabled": True}},
        ]}]),
    ),
    OracleCall(
        "a JSON schema",
        hi(response_format={"type": "json_schema",
                            "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}),
        sdk(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
    ),
    OracleCall("effort", hi(reasoning_effort="high"), sdk(output_config={"effort": "high"})),
    OracleCall("least effort", hi(reasoning_effort="minimal"), sdk(output_config={"effort": "low"})),
    OracleCall("no thinking", hi(reasoning_effort="none"), sdk(thinking={"type": "disabled"})),
    OracleCall(
        "thinking with a budget", hi(thinking={"type": "enabled", "budget_tokens": 2048}),
        sdk(max_tokens=6144, thinking={"type": "enabled", "budget_tokens": 2048}),
    ),
    OracleCall(
        "adaptive thinking and effort",
        hi(max_tokens=99, thinking={"type": "adaptive", "display": "omitted"}, reasoning_effort="xhigh",
           output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        sdk(max_tokens=99, thinking={"type": "adaptive", "display": "omitted"},
            output_config={"effort": "xhigh", "format": {"type": "json_schema", "schema": SCHEMA}}),
    ),
    OracleCall(
        "an earlier answer with signed thinking",
        hi(messages=[
            *HI,
            {"role": "assistant", "content": "Hi!", "reasoning_content": "Hm.",
             "provider_content": {"format": "anthropic", "content": [THINKING, text("Hi!")]}},
            {"role": "user", "content": "Go on."},
        ]),
        sdk(messages=[
            *HI, {"role": "assistant", "content": [THINKING, text("Hi!")]},
            {"role": "user", "content": "Go on."},
        ]),
    ),
    OracleCall(
        "a cache mark on a turn and on the whole",
        hi(messages=[{"role": "user", "content": "Hi.", "cache_control": MARK}], cache_control=MARK),
        sdk(messages=[{"role": "user", "content": [{**text("Hi."), "cache_control": MARK}]}],
            cache_control=MARK),
    ),
    OracleCall(
        "who asks, and how fast", hi(user="u-1", service_tier="default"),
        sdk(metadata={"user_id": "u-1"}, service_tier="standard_only"),
    ),
    OracleCall(
        "parameters of their own",
        hi(container="c-1", inference_geo="eu", speed="fast", workspace_id="w-1", user_profile_id="p-1",
           diagnostics={"previous_message_id": None}),
        sdk(container="c-1", inference_geo="eu", speed="fast", workspace_id="w-1", user_profile_id="p-1",
            diagnostics={"previous_message_id": None}),
    ),
    OracleCall(
        "beta parameters",
        hi(betas=["a-1", "b-2"], context_management={"edits": []}, mcp_servers=[]),
        sdk(betas=["a-1", "b-2"], context_management={"edits": []}, mcp_servers=[]),
        beta=True,
    ),
]  # fmt: skip
