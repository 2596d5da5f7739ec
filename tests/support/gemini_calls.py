"""Calls to Gemini side by side: our request in the OpenAI shape, and what to ask of google-generativeai."""

from dataclasses import dataclass
from typing import Any

from schemas.base import JsonObject
from tests.support.oracle import SCHEMA, TOOL, TURNS


@dataclass(frozen=True)
class OracleCall:
    """One call of the table."""

    name: str
    request: dict[str, Any]
    """Ours: the body of a request event."""
    sdk: dict[str, Any]
    """Theirs: `contents`, and settings of the model and of `generate_content`."""
    kind: str = "whole"
    """`whole`, `stream` or `count`."""


def user(*parts: JsonObject) -> JsonObject:
    return {"role": "user", "parts": list(parts)}


def asked(name: str, arguments: str, call_id: str) -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def hi(**fields: Any) -> dict[str, Any]:
    return {"prompt": "Hi.", **fields}


def sdk(**fields: Any) -> dict[str, Any]:
    return {"contents": [user({"text": "Hi."})], **fields}


def calling(mode: str, **fields: Any) -> JsonObject:
    return {"function_calling_config": {"mode": mode, **fields}}


BRIEF: JsonObject = {"parts": [{"text": "Be brief."}]}
KOELN = user({"text": "How is Köln?"})
OWN_TOOL: JsonObject = {
    "function_declarations": [
        {
            "name": "get_weather",
            "description": "Current weather of a city.",
            "parameters": {
                "type": "OBJECT",
                "properties": {"city": {"type": "STRING", "description": "Name."}},
                "required": ["city"],
            },
        }
    ]
}
FORCED = {"type": "function", "function": {"name": "get_weather"}}
RICH: JsonObject = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["a", "b"], "description": "Which."},
        "size": {"type": ["integer", "null"], "format": "int32"},
        "names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        "inner": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
    },
    "required": ["kind"],
}
OWN_RICH: JsonObject = {
    "type": "OBJECT",
    "properties": {
        "kind": {"type": "STRING", "enum": ["a", "b"], "description": "Which."},
        "size": {"type": "INTEGER", "format": "int32", "nullable": True},
        "names": {"type": "ARRAY", "items": {"type": "STRING"}, "min_items": 1, "max_items": 3},
        "inner": {"type": "OBJECT", "properties": {"ok": {"type": "BOOLEAN"}}, "required": ["ok"]},
    },
    "required": ["kind"],
}
JSON = "application/json"
CALLED: JsonObject = {
    "role": "model",
    "parts": [
        {"text": "I look."},
        {"function_call": {"id": "a", "name": "get_weather", "args": {"city": "Köln"}}},
        {"function_call": {"id": "b", "name": "get_weather", "args": {"city": "Bonn", "days": 2}}},
    ],
}
SAFE = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}]

CALLS: list[OracleCall] = [
    OracleCall("a prompt", hi(), sdk()),
    OracleCall(
        "a system prompt", {"messages": TURNS}, {"contents": [KOELN], "system_instruction": BRIEF}
    ),
    OracleCall(
        "sampling and limits",
        hi(temperature=0.5, top_p=0.25, top_k=3, max_tokens=5, stop=["a", "b"]),
        sdk(generation_config={
            "temperature": 0.5, "top_p": 0.25, "top_k": 3,
            "max_output_tokens": 5, "stop_sequences": ["a", "b"],
        }),
    ),
    OracleCall(
        "penalties and log-probabilities",
        hi(presence_penalty=0.5, frequency_penalty=-0.5, logprobs=True, top_logprobs=2),
        sdk(generation_config={
            "presence_penalty": 0.5, "frequency_penalty": -0.5, "response_logprobs": True, "logprobs": 2,
        }),
    ),
    OracleCall(
        "many turns, those of one speaker as one",
        {"messages": [
            *TURNS,
            {"role": "user", "content": [{"type": "text", "text": "And Bonn?"}]},
            {"role": "assistant", "content": "Fine."},
            {"role": "user", "content": "Good."},
        ]},
        {"system_instruction": BRIEF, "contents": [
            user({"text": "How is Köln?"}, {"text": "And Bonn?"}),
            {"role": "model", "parts": [{"text": "Fine."}]},
            user({"text": "Good."}),
        ]},
    ),
    OracleCall(
        "an image",
        {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ]}]},
        {"contents": [user(
            {"text": "What?"}, {"inline_data": {"mime_type": "image/png", "data": b"\x89PNG\r\n\x1a\n"}}
        )]},
    ),
    OracleCall(
        "sound and a document by its address",
        {"messages": [{"role": "user", "content": [
            {"type": "input_audio", "input_audio": {"data": "AAE=", "format": "mp3"}},
            {"type": "file", "file": {"file_id": "gs://bucket/a.pdf"}},
        ]}]},
        {"contents": [user(
            {"inline_data": {"mime_type": "audio/mp3", "data": b"\x00\x01"}},
            {"file_data": {"mime_type": "application/pdf", "file_uri": "gs://bucket/a.pdf"}},
        )]},
    ),
    OracleCall("a function", hi(tools=[TOOL]), sdk(tools=[OWN_TOOL])),
    OracleCall(
        "some function, whichever",
        hi(tools=[TOOL], tool_choice="required"), sdk(tools=[OWN_TOOL], tool_config=calling("ANY")),
    ),
    OracleCall(
        "a function that must be called",
        hi(tools=[TOOL], tool_choice=FORCED),
        sdk(tools=[OWN_TOOL], tool_config=calling("ANY", allowed_function_names=["get_weather"])),
    ),
    OracleCall(
        "no function though there is one",
        hi(tools=[TOOL], tool_choice="none"), sdk(tools=[OWN_TOOL], tool_config=calling("NONE")),
    ),
    OracleCall(
        "parallel calls and their results",
        {"messages": [
            TURNS[1],
            {"role": "assistant", "content": "I look.", "tool_calls": [
                asked("get_weather", '{"city": "Köln"}', "a"),
                asked("get_weather", '{"city": "Bonn", "days": 2}', "b"),
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "12 °C"},
            {"role": "tool", "tool_call_id": "b", "content": '{"degrees": [11, 13.5]}'},
        ], "tools": [TOOL]},
        {"contents": [KOELN, CALLED, user(
            {"function_response": {"id": "a", "name": "get_weather", "response": {"result": "12 °C"}}},
            {"function_response": {"id": "b", "name": "get_weather", "response": {"degrees": [11, 13.5]}}},
        )], "tools": [OWN_TOOL]},
    ),
    OracleCall(
        "code and its result handed back",
        {"messages": [TURNS[1], {"role": "assistant", "provider_content": {"format": "gemini", "content": [
            {"executableCode": {"language": "PYTHON", "code": "print(6*7)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}},
            {"text": "42."},
        ]}}, {"role": "user", "content": "Sure?"}]},
        {"contents": [KOELN, {"role": "model", "parts": [
            {"executable_code": {"language": "PYTHON", "code": "print(6*7)"}},
            {"code_execution_result": {"outcome": "OUTCOME_OK", "output": "42\n"}},
            {"text": "42."},
        ]}, user({"text": "Sure?"})]},
    ),
    OracleCall(
        "JSON", hi(response_format={"type": "json_object"}),
        sdk(generation_config={"response_mime_type": JSON}),
    ),
    OracleCall(
        "JSON by a schema",
        hi(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}),
        sdk(generation_config={
            "response_mime_type": JSON,
            "response_schema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
        }),
    ),
    OracleCall(
        "JSON by a rich schema",
        hi(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": RICH}}),
        sdk(generation_config={"response_mime_type": JSON, "response_schema": OWN_RICH}),
    ),
    OracleCall("safety", hi(safetySettings=SAFE), sdk(safety_settings=SAFE)),
    OracleCall("tools of Gemini's own", hi(tools=[{"codeExecution": {}}]), sdk(tools="code_execution")),
    OracleCall(
        "Gemini's own settings", hi(generationConfig={"maxOutputTokens": 9, "candidate_count": 1, "topK": 2}),
        sdk(generation_config={"max_output_tokens": 9, "top_k": 2}),
    ),
    OracleCall(
        "a stream", {"messages": TURNS, "stream": True},
        {"contents": [KOELN], "system_instruction": BRIEF}, "stream",
    ),
    OracleCall(
        "a count of tokens", {"messages": TURNS, "tools": [TOOL], "tool_choice": "auto"},
        {
            "contents": [KOELN], "system_instruction": BRIEF, "tools": [OWN_TOOL],
            "tool_config": calling("AUTO"),
        },
        "count",
    ),
]  # fmt: skip
