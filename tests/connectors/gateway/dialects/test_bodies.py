"""Bodies and their bounds, and the APIs' parameters that are refused by name."""

from typing import Any

import orjson
import pytest

from connectors.gateway.dialects.bodies import MAX_BODY_BYTES, MAX_DEPTH, MAX_TURNS, read_json
from connectors.gateway.dialects.dialect import Dialect
from connectors.gateway.dialects.openai_chat import OpenAIChat
from connectors.gateway.dialects.openai_completions import OpenAICompletions
from connectors.gateway.dialects.openai_embeddings import OpenAIEmbeddings
from connectors.gateway.dialects.openai_responses import OpenAIResponses
from connectors.gateway.ports import Problem

HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi."}]}


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"[1]", 400),
        (b"{", 400),
        (b'{"a": 1} x', 400),
        (nested(MAX_DEPTH + 1), 400),
        (nested(100_000), 400),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
def test_what_is_no_object_or_too_much_of_one_is_turned_away(data: bytes, status: int):
    with pytest.raises(Problem) as caught:
        read_json(data)

    assert caught.value.status == status


def test_a_body_may_be_as_deep_as_the_bound():
    assert "a" in read_json(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    ("dialect", "fields", "param"),
    [
        (OpenAIChat(), {}, "messages"),
        (OpenAIChat(), {"prompt": "Hi."}, "prompt"),
        (OpenAIChat(), {**HI, "input": "Hi."}, "input"),
        (OpenAIChat(), {"messages": {}}, "messages"),
        (OpenAIChat(), {"messages": []}, "messages"),
        (OpenAIChat(), {"messages": [{}] * (MAX_TURNS + 1)}, "messages"),
        (OpenAIChat(), {"messages": [{"role": "boss", "content": "Hi."}]}, "messages.0.role"),
        (OpenAIChat(), {**HI, "n": 2}, "n"),
        (OpenAIChat(), {**HI, "stream": True, "modalities": ["text", "audio"]}, "modalities"),
        (OpenAIChat(), {**HI, "stream_options": "yes"}, "stream_options"),
        (OpenAIChat(), {**HI, "temperature": 3}, "temperature"),
        (OpenAIChat(), {**HI, "temprature": 1}, "temprature"),
        (OpenAIChat(), {**HI, "reply_topic": "x"}, "reply_topic"),
        (OpenAIChat(), {**HI, "tenant": "other"}, "tenant"),
        (OpenAIChat(), {**HI, "request_id": "mine"}, "request_id"),
        (OpenAIChat(), {**HI, "api_key": "sk-secret"}, "api_key"),
        (OpenAICompletions(), {}, "prompt"),
        (OpenAICompletions(), {"prompt": ["a", "b"]}, "prompt"),
        (OpenAICompletions(), {"prompt": [1, 2]}, "prompt"),
        (OpenAICompletions(), {"prompt": ""}, "prompt"),
        (OpenAICompletions(), {"prompt": "a", "echo": True}, "echo"),
        (OpenAICompletions(), {"prompt": "a", "logprobs": 3}, "logprobs"),
        (OpenAICompletions(), {"prompt": "a", "best_of": 2}, "best_of"),
        (OpenAICompletions(), {**HI, "prompt": "a"}, "messages"),
        (OpenAIEmbeddings(), {"model": "m"}, "input"),
        (OpenAIEmbeddings(), {"input": "a"}, "model"),
        (OpenAIEmbeddings(), {"input": [], "model": "m"}, "input"),
        (OpenAIEmbeddings(), {"input": "a", "model": "m", "stream": True}, "stream"),
        (OpenAIEmbeddings(), {"input": "a", "model": "m", "dimensions": 0}, "dimensions"),
        (OpenAIEmbeddings(), {"input": "a", "model": "m", **HI}, "messages"),
        (OpenAIResponses(), {}, "input"),
        (OpenAIResponses(), {"input": 1}, "input"),
        (OpenAIResponses(), {"input": [{"role": "boss", "content": "a"}]}, "input.0.role"),
        (OpenAIResponses(), {"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input.0.content.0"),
        (OpenAIResponses(), {"input": [{"type": "function_call", "name": "f"}]}, "input.0.call_id"),
        (OpenAIResponses(), {"input": "a", "instructions": []}, "instructions"),
        (OpenAIResponses(), {"input": "a", "include": "all"}, "include"),
        (OpenAIResponses(), {"input": "a", "tool_choice": {"type": "mcp"}}, "tool_choice"),
        (OpenAIResponses(), {"input": "a", **HI}, "messages"),
    ],
)
def test_what_cant_be_honoured_is_an_error_that_names_it(
    dialect: Dialect, fields: dict[str, Any], param: str
):
    with pytest.raises(Problem) as caught:
        dialect.read(fields, {})

    assert (caught.value.status, caught.value.param) == (400, param)
    assert "sk-secret" not in caught.value.message


def test_nulls_are_absent_and_an_openai_body_is_a_request_as_it_stands():
    body = {
        **HI,
        "model": "large",
        "stream": None,
        "temperature": None,
        "top_logprobs": 2,
        "n": 1,
        "context": "c",
    }

    asked = OpenAIChat().read(body, {})

    assert orjson.loads(asked.request.to_bytes()) == {
        **HI, "model": "large", "top_logprobs": 2, "context": "c", "context_encoding": "text",
        "stream": False, "priority": "standard", "tenant": "default", "overflow": "compress",
    }  # fmt: skip


def test_items_of_every_kind_become_turns():
    picture = "data:image/png;base64,iVBORw0KGgo="
    body: dict[str, Any] = {
        "input": [
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "What?"},
                {"type": "input_image", "image_url": picture, "detail": "low"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
                {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
            ]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "assistant", "content": "Well."},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c",
             "output": [{"type": "input_text", "text": "12"}]},
            {"type": "function_call", "call_id": "d", "name": "f"},
        ],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}},
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": None}],
        "tool_choice": {"type": "function", "name": "f"},
        "top_logprobs": 2,
    }  # fmt: skip

    request = OpenAIResponses().read(body, {}).request
    turns = request.messages or []

    assert [turn.role for turn in turns] == [
        "developer", "user", "assistant", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert turns[1].content == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": picture, "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
    ]
    assert turns[2].content == [{"type": "refusal", "refusal": "No."}]
    assert (turns[3].content, len(turns[3].tool_calls or ())) == ("Well.", 1)
    assert (turns[4].tool_call_id, turns[4].content) == ("c", [{"type": "text", "text": "12"}])
    assert request.response_format == {
        "type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True},
    }  # fmt: skip
    assert request.tools == [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert request.tool_choice == {"type": "function", "function": {"name": "f"}}
    assert request.model_extra == {"top_logprobs": 2, "logprobs": True}


def test_a_plain_json_object_is_asked_for_as_it_is():
    request = OpenAIResponses().read({"input": "a", "text": {"format": {"type": "json_object"}}}, {}).request

    assert request.response_format == {"type": "json_object"}
