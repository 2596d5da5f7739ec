"""The codec of Ollama's chat: how answers, streams and errors are read."""

import ollama
import orjson
import pytest

from connectors.providers.ollama import OllamaCodec, OllamaStream
from schemas.calls import Malformed, Missing, Refused, Unavailable
from schemas.responses import Usage
from tests.support.fixtures import wire, wire_json

CODEC = OllamaCodec()
RICH = wire("ollama_rich.stream.ndjson")


def test_the_fixtures_are_what_the_sdk_knows():
    for name in ("ollama_text.reply.json", "ollama_tools.reply.json"):
        ollama.ChatResponse.model_validate(wire_json(name))
    for name in ("ollama_text.stream.ndjson", "ollama_tools.stream.ndjson"):
        for line in wire(name).splitlines():
            ollama.ChatResponse.model_validate_json(line)


def test_a_whole_reply_is_read():
    answer = CODEC.decode(200, {}, wire("ollama_text.reply.json"))

    assert (answer.text, answer.finish_reason, answer.model) == ("Grüße, reader.", "stop", "llama3.2")
    assert answer.usage == Usage(input_tokens=21, output_tokens=9)
    assert answer.usage_raw is not None
    assert answer.usage_raw["total_duration"] == 1000


def test_tool_calls_are_read_in_the_openai_shape():
    answer = CODEC.decode(200, {}, wire("ollama_tools.reply.json"))

    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == (
        {
            "id": "call_0",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'},
        },
    )


def test_an_answer_at_its_limit_says_length():
    body = b'{"message": {"content": "a"}, "done": true, "done_reason": "length"}'
    answer = CODEC.decode(200, {}, body)

    assert (answer.finish_reason, answer.usage, answer.usage_raw) == ("length", None, None)


@pytest.mark.parametrize("body", [b"{}", b'{"done": true}', b'{"message": {"content": "a"}}', b"x"])
def test_a_reply_without_an_answer_is_malformed(body: bytes):
    with pytest.raises(Malformed):
        CODEC.decode(200, {}, body)


@pytest.mark.parametrize("quote", ['"', "'", "`", ""])
def test_a_missing_model_names_the_command_that_gets_it(quote: str):
    body = orjson.dumps({"error": f"model {quote}llama3.2:1b{quote} not found, try pulling it first"})

    with pytest.raises(Missing, match=r"`weir models pull llama3\.2:1b`"):
        CODEC.decode(404, {}, body)


def test_other_errors_go_by_their_status():
    with pytest.raises(Refused, match="400: does not support tools"):
        CODEC.decode(400, {}, b'{"error": "does not support tools"}')


def test_an_error_in_mid_stream_is_unavailable():
    with pytest.raises(Unavailable, match="out of memory"):
        OllamaStream().feed(b'{"message": {"content": "a"}}\n{"error": "out of memory"}\n')


@pytest.mark.parametrize("name", ["ollama_text.stream.ndjson", "ollama_tools.stream.ndjson"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_reads_the_same_wherever_it_is_cut(name: str, line_end: bytes):
    data = wire(name).replace(b"\n", line_end)
    whole = OllamaStream()
    pieces = whole.feed(data)

    for cut in range(len(data) + 1):
        stream = OllamaStream()
        found = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.feed(b"")
        assert stream.done
        assert stream.finish() == whole.finish()
        assert "".join(piece.text for piece in found) == pieces[0].text == whole.finish().text
        assert [part for piece in found for part in piece.tool_calls] == list(pieces[0].tool_calls)


def test_a_stream_cut_before_its_last_object_is_unavailable():
    data = wire("ollama_text.stream.ndjson")

    for cut in range(len(data) - 1):
        stream = OllamaStream()
        stream.feed(data[:cut])
        stream.feed(b"")
        with pytest.raises(Unavailable, match="the stream was cut"):
            stream.finish()


def test_streamed_tool_calls_know_their_places():
    [piece] = OllamaStream().feed(wire("ollama_tools.stream.ndjson"))

    assert [(call["index"], call["id"]) for call in piece.tool_calls] == [(0, "call_0"), (1, "call_b")]


def test_what_follows_the_last_object_does_not_count():
    stream = OllamaStream()
    stream.feed(wire("ollama_text.stream.ndjson"))

    assert stream.feed(b'{"message": {"content": "late"}}\n') == []


def test_a_last_object_without_its_line_end_counts():
    stream = OllamaStream()
    data = wire("ollama_text.stream.ndjson").rstrip()
    stream.feed(data)
    stream.feed(b"")

    assert stream.finish().text == "Grüße, reader."


def test_only_json_and_pages_are_no_streams():
    kinds = ("application/x-ndjson", "", "application/json; charset=utf-8", "text/html")

    assert [CODEC.streams(kind) for kind in kinds] == [True, True, False, False]


def test_thinking_and_log_probabilities_come_as_pieces_and_whole():
    stream = OllamaStream()
    pieces = [piece for line in RICH.splitlines(keepends=True) for piece in stream.feed(line)]
    answer = stream.finish()

    assert answer.reasoning == "".join(piece.reasoning for piece in pieces) == "The sum of 2 and 2."
    assert answer.text == "".join(piece.text for piece in pieces) == "It is 4."
    assert answer.logprobs == {"content": [one for piece in pieces for one in piece.logprobs]}
    assert answer.logprobs["content"][0] == {
        "token": "It",
        "logprob": -0.25,
        "bytes": [73, 116],
        "top_logprobs": [
            {"token": "It", "logprob": -0.25, "bytes": [73, 116]},
            {"token": "4", "logprob": -1.5, "bytes": None},
        ],
    }
    assert answer.logprobs["content"][1]["top_logprobs"] == []
    assert answer.finish_reason_raw == "stop"


def test_fields_that_weir_does_not_know_are_passed_on():
    stream = OllamaStream()
    stream.feed(RICH)

    assert stream.finish().provider_content == {
        "format": "ollama",
        "content": [{"marks": ["AA==", "AQ=="], "mood": "calm and dry", "weight": 2}],
    }


def test_empty_fields_that_weir_does_not_know_are_not_worth_passing_on():
    body = b'{"message": {"content": "a", "images": [], "mood": "", "other": null}, "done": true}'

    assert CODEC.decode(200, {}, body).provider_content is None


def test_the_reason_of_the_end_is_kept_in_ollamas_word():
    for word, reason in (("length", "length"), ("load", "stop"), ("unload", "stop")):
        body = orjson.dumps({"message": {"content": ""}, "done": True, "done_reason": word})
        answer = CODEC.decode(200, {}, body)
        assert (answer.finish_reason, answer.finish_reason_raw) == (reason, word)


def test_empty_lines_between_objects_say_nothing():
    stream = OllamaStream()
    stream.feed(wire("ollama_text.stream.ndjson").replace(b"\n", b"\n\n \n"))

    assert stream.finish().text == "Grüße, reader."
