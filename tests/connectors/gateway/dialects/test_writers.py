"""Writers of streams and whole answers: what the SDKs don't show."""

from typing import Any

import orjson
import pytest

from connectors.gateway.dialects.anthropic_messages import AnthropicMessages
from connectors.gateway.dialects.dialect import Asked, Dialect, Head, Writer
from connectors.gateway.dialects.openai_chat import OpenAIChat
from connectors.gateway.dialects.openai_completions import OpenAICompletions
from connectors.gateway.dialects.openai_embeddings import OpenAIEmbeddings
from connectors.gateway.dialects.openai_responses import OpenAIResponses
from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.requests import Request
from tests.connectors.gateway.dialects.serving import chunk, response

HEAD = Head("req_01", 1_800_000_000, "large")
ASKED = Asked(Request(prompt="-"), {"include": []})
CUT = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "K'}}
PROBLEM = Problem(502, "answer_lost", "a gap")
STREAMING: list[Dialect] = [OpenAIChat(), OpenAICompletions(), OpenAIResponses(), AnthropicMessages()]
for_each_api = pytest.mark.parametrize("dialect", STREAMING, ids=lambda each: type(each).__name__)


def writer_of(dialect: Dialect, asked: Asked = ASKED) -> Writer:
    writer = dialect.writer(asked, HEAD)
    assert writer is not None
    return writer


def events(data: bytes) -> list[Any]:
    """The JSON values of all events."""
    lines = [line for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [orjson.loads(line[6:]) for line in lines if line != b"data: [DONE]"]


@for_each_api
def test_an_event_for_silence_is_whole_and_shows_nothing(dialect: Dialect):
    data = writer_of(dialect).idle()

    assert data.endswith(b"\n\n")
    assert len(events(data)) == 1
    assert b"error" not in data.replace(b'"error":null', b"")


@for_each_api
def test_a_failure_is_told_with_its_reason_and_not_as_an_end(dialect: Dialect):
    data = writer_of(dialect).fail(PROBLEM)

    assert b"a gap" in data
    assert b"[DONE]" not in data
    assert b"message_stop" not in data
    assert events(data)[0].get("error")


@for_each_api
def test_an_empty_answer_is_an_answer(dialect: Dialect):
    writer = writer_of(dialect)

    data = writer.open() + writer.end(response(""))

    assert events(data)[-1].get("error") is None
    assert data.endswith(b"\n\n")


@for_each_api
def test_no_line_of_a_stream_names_an_id_or_a_time_to_retry(dialect: Dialect):
    writer = writer_of(dialect)
    calls = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "id: 1\nretry: 2\n\n"}}]

    data = b"".join(
        (
            writer.open(),
            writer.piece(chunk("id: 1\n\nretry: 5\n", reasoning_content="\n: hb\n\n", tool_calls=calls)),
            writer.heartbeat,
            writer.idle(),
            writer.end(response("id: 1")),
        )
    )

    starts = {line.partition(b":")[0] for line in data.split(b"\n") if line}
    assert starts <= {b"data", b"event", b""}


def test_there_are_no_streams_of_vectors():
    assert OpenAIEmbeddings().writer(ASKED, HEAD) is None


def test_the_providers_own_fields_stand_on_a_chats_message():
    own: JsonObject = {
        "format": "openai", "server": "openai",
        "content": [{"role": "assistant", "content": "Hi", "audio": {"id": "a"}, "annotations": [1]}],
    }  # fmt: skip
    choice = OpenAIChat().whole(ASKED, HEAD, response("Hi", provider_content=own))["choices"][0]

    assert choice["message"]["audio"] == {"id": "a"}
    assert choice["message"]["annotations"] == [1]
    assert choice["message"]["content"] == "Hi"
    odd = response("Hi", provider_content={"format": "openai", "content": ["x"]})
    assert OpenAIChat().whole(ASKED, HEAD, odd)["choices"][0]["message"]["content"] == "Hi"


def test_arguments_that_the_limit_cut_are_an_empty_input_and_the_reason_says_why():
    cut = response("", tool_calls=[CUT], finish_reason="length")
    made = AnthropicMessages().whole(ASKED, HEAD, cut)

    assert made["content"] == [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]
    assert made["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    ("raw", "reason", "told"),
    [
        ("stop_sequence", "stop", "stop_sequence"),
        ("pause_turn", "stop", "pause_turn"),
        ("STOP", "stop", "end_turn"),
        ("SAFETY", "content_filter", "refusal"),
        (None, "tool_calls", "tool_use"),
        (None, None, "end_turn"),
    ],
)
def test_the_reason_of_the_end_is_claudes_own_or_the_nearest(raw: str | None, reason: str | None, told: str):
    made = AnthropicMessages().whole(ASKED, HEAD, response("x", finish_reason=reason, finish_reason_raw=raw))

    assert made["stop_reason"] == told


def test_an_answer_without_usage_has_our_own_count():
    bare = response("x", usage=None, estimated_input_tokens=9)

    assert OpenAIChat().whole(ASKED, HEAD, bare)["usage"]["prompt_tokens"] == 9
    assert AnthropicMessages().whole(ASKED, HEAD, bare)["usage"]["input_tokens"] == 9


def test_thinking_that_was_never_shown_is_sealed_in_an_item_of_its_own():
    own: JsonObject = {"format": "anthropic", "content": [{"type": "redacted_thinking", "data": "x"}]}
    sealing = Asked(ASKED.request, {"include": ["reasoning.encrypted_content"]})
    writer = writer_of(OpenAIResponses(), sealing)

    made = events(
        writer.open() + writer.piece(chunk("Hi")) + writer.end(response("Hi", provider_content=own))
    )

    output = made[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "reasoning"]
    assert output[1]["summary"] == []
    assert output[1]["encrypted_content"]
    done = [event["item"] for event in made if event["type"] == "response.output_item.done"]
    assert sorted(item["id"] for item in done) == sorted(item["id"] for item in output)


def test_log_probabilities_without_text_make_no_empty_delta():
    probable = [{"token": "a", "logprob": -1}]
    writer = writer_of(OpenAIResponses())

    made = events(writer.piece(chunk(logprobs=probable)) + writer.end(response("")))

    assert "response.output_text.delta" not in [event["type"] for event in made]
    assert made[-1]["response"]["output"][0]["content"][0]["logprobs"] == probable


def test_a_late_piece_of_an_earlier_tool_call_goes_to_its_own_block():
    writer = writer_of(AnthropicMessages())
    first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a":'}}
    second = {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}
    late = {"index": 0, "function": {"arguments": "1}"}}

    made = events(writer.piece(chunk(tool_calls=[first, second, late])))

    deltas = [(each["index"], each["delta"]["partial_json"]) for each in made if "delta" in each]
    assert deltas == [(0, '{"a":'), (1, "{}"), (0, "1}")]
