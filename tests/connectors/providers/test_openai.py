"""The codec of OpenAI's chat completions."""

from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from connectors.providers.openai import OpenAICodec, OpenAIStream, usage
from schemas.calls import Malformed, Missing, Piece, ProviderError, Refused, Throttled, Unavailable
from schemas.responses import Usage
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire, wire_json

CODEC = OpenAICodec()


def sent(request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    route = make_route(params=settings.pop("params", {}), model=settings.pop("model", "gpt-4o"))
    return orjson.loads(CODEC.encode(make_call(request, route=route, **settings)).body)


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def delta(text: str = "", finish_reason: str | None = None, **fields: Any) -> bytes:
    return event(
        {"choices": [{"index": 0, "delta": {"content": text, **fields}, "finish_reason": finish_reason}]}
    )


def test_the_fixtures_are_what_the_sdk_knows():
    for name in ("openai_text.reply.json", "openai_tools.reply.json"):
        ChatCompletion.model_validate(wire_json(name), strict=False)
    for name in ("openai_text.stream.sse", "openai_tools.stream.sse"):
        for line in wire(name).splitlines():
            if line.startswith(b"data: {"):
                ChatCompletionChunk.model_validate_json(line[6:])


def test_a_body_holds_every_parameter_and_none_of_weirs_own_fields():
    assert sent(wire_json("full.request.json")) == wire_json("openai_full.body.json")


def test_a_call_goes_to_the_routes_address_with_its_key():
    route = make_route(api_base="http://x/v1", api_key="sk-1")
    request = CODEC.encode(make_call(route=route))

    assert (request.method, request.url) == ("POST", "http://x/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer sk-1"
    assert request.headers["x-request-id"] == "req-1"


def test_unknown_fields_go_out_as_they_are():
    body = sent({"prompt": "hi", "n": 1, "logit_bias": {"1": 5}, "user": "u"})

    assert (body["n"], body["logit_bias"], body["user"]) == (1, {"1": 5}, "u")


def test_the_routes_parameters_fill_gaps_only():
    body = sent(
        {"prompt": "hi", "temperature": 0.1},
        params={"temperature": 0.9, "top_p": 0.5, "stream": True, "model": "x", "extra_headers": {"a": "b"}},
    )

    assert body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.1,
        "top_p": 0.5,
    }


@pytest.mark.parametrize(
    ("request_", "settings", "name"),
    [
        ({"prompt": "hi", "max_tokens": 9}, {}, "max_tokens"),
        ({"prompt": "hi", "max_completion_tokens": 9}, {}, "max_completion_tokens"),
        (
            {"prompt": "hi", "max_tokens": 9},
            {"params": {"max_completion_tokens": 50}},
            "max_completion_tokens",
        ),
        ({"prompt": "hi", "max_tokens": 9}, {"model": "o3-mini"}, "max_completion_tokens"),
        ({"prompt": "hi", "max_tokens": 9}, {"model": "openai/gpt-5-nano"}, "max_completion_tokens"),
        ({"prompt": "hi"}, {"max_tokens": 9, "params": {"max_tokens": 50}}, "max_tokens"),
    ],
)
def test_the_limit_goes_out_once_by_the_name_that_the_model_knows(
    request_: dict[str, Any], settings: dict[str, Any], name: str
):
    body = sent(request_, **settings)

    assert {key: value for key, value in body.items() if "tokens" in key} == {name: 9}


def test_a_stream_asks_for_its_usage():
    body = sent({"prompt": "hi", "stream_options": {"x": 1}}, stream=True)

    assert body["stream"] is True
    assert body["stream_options"] == {"x": 1, "include_usage": True}
    assert "stream_options" not in sent({"prompt": "hi", "stream_options": {"x": 1}})


def test_stream_options_of_a_wrong_type_are_refused():
    with pytest.raises(Refused, match="stream_options"):
        sent({"prompt": "hi", "stream_options": 5}, stream=True)


def test_a_whole_reply_is_read():
    answer = CODEC.decode(200, {}, wire("openai_text.reply.json"))

    assert (answer.text, answer.finish_reason, answer.model) == (
        "Grüße, reader.",
        "stop",
        "gpt-4o-2024-08-06",
    )
    assert answer.usage == Usage(input_tokens=21, output_tokens=9, cached_tokens=16, reasoning_tokens=4)
    assert answer.usage_raw == wire_json("openai_text.reply.json")["usage"]


def test_tool_calls_are_read():
    answer = CODEC.decode(200, {}, wire("openai_tools.reply.json"))

    assert (answer.text, answer.finish_reason) == ("", "tool_calls")
    assert answer.tool_calls[0]["function"] == {"name": "get_weather", "arguments": '{"city":"Köln"}'}


@pytest.mark.parametrize(
    ("message", "reason", "text", "finish_reason"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"text": "b"}]}, "stop", "ab", "stop"),
        ({"content": None, "refusal": "I can't."}, "stop", "I can't.", "content_filter"),
        ({"content": "a"}, "max_tokens", "a", "length"),
        ({"content": "a"}, None, "a", "stop"),
        ({"content": "", "tool_calls": [{"id": "x"}]}, None, "", "tool_calls"),
        ({"content": "a"}, "eos", "a", "stop"),
    ],
)
def test_a_finish_reason_is_one_of_four(
    message: dict[str, Any], reason: str | None, text: str, finish_reason: str
):
    reply = orjson.dumps({"choices": [{"message": message, "finish_reason": reason}]})
    answer = CODEC.decode(200, {}, reply)

    assert (answer.text, answer.finish_reason, answer.usage) == (text, finish_reason, None)


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"choices": [{}]}', b"nothing"])
def test_a_reply_without_an_answer_is_malformed(body: bytes):
    with pytest.raises(Malformed):
        CODEC.decode(200, {}, body)


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        ({"message": "x", "code": 429}, Throttled),
        ({"message": "x", "code": "503"}, Unavailable),
        ({"message": "x", "code": 5}, Unavailable),
        ({"message": "x", "type": "server_error"}, Unavailable),
        ({"message": "x", "type": "invalid_request_error", "code": "model_not_found"}, Missing),
        ({"message": "x", "type": "invalid_request_error", "code": None}, Refused),
        ({"code": "rate_limit_exceeded"}, Throttled),
        ("just text", Unavailable),
    ],
)
def test_an_error_behind_a_good_status_has_the_right_class(error: object, leaf: type[ProviderError]):
    with pytest.raises(ProviderError) as whole:
        CODEC.decode(200, {}, orjson.dumps({"error": error}))
    with pytest.raises(ProviderError) as streamed:
        OpenAIStream().feed(delta("a") + event({"error": error}))

    assert type(whole.value) is type(streamed.value) is leaf


def test_a_used_up_account_is_no_throttle():
    body = orjson.dumps({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})

    with pytest.raises(Missing, match="quota"):
        CODEC.decode(429, {"retry-after": "1"}, body)


def test_an_answer_that_ended_with_an_error_is_unavailable():
    with pytest.raises(Unavailable):
        CODEC.decode(200, {}, b'{"choices": [{"message": {"content": "a"}, "finish_reason": "error"}]}')
    with pytest.raises(Unavailable):
        OpenAIStream().feed(delta("a", "error"))


@pytest.mark.parametrize("name", ["openai_text.stream.sse", "openai_tools.stream.sse"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_wherever_it_is_cut(name: str, line_end: bytes):
    data = wire(name).replace(b"\n", line_end)
    whole = OpenAIStream()
    pieces = whole.feed(data)

    for cut in range(len(data) + 1):
        stream = OpenAIStream()
        found = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.feed(b"")
        assert stream.done
        assert stream.finish() == whole.finish()
        assert "".join(piece.text for piece in found) == pieces[0].text == whole.finish().text
        assert [part for piece in found for part in piece.tool_calls] == list(pieces[0].tool_calls)


@pytest.mark.parametrize("name", ["openai_text.stream.sse", "openai_tools.stream.sse"])
def test_a_stream_cut_before_its_finish_reason_is_unavailable(name: str):
    data = wire(name)
    enough = data.index(b"\n", data.index(b'"finish_reason": "'))

    for cut in range(enough + 1):
        stream = OpenAIStream()
        stream.feed(data[:cut])
        if cut < enough:
            stream.feed(b"")
            with pytest.raises(Unavailable, match="the stream was cut"):
                stream.finish()


def test_a_finish_reason_ends_a_stream_without_a_done():
    stream = OpenAIStream()
    stream.feed(delta("a", "length") + b'data: {"usage": {"prompt_to')
    stream.feed(b"")

    assert not stream.done
    assert (stream.finish().text, stream.finish().finish_reason, stream.finish().usage) == (
        "a",
        "length",
        None,
    )


def test_a_done_without_a_choice_is_malformed():
    stream = OpenAIStream()
    stream.feed(b"data: [DONE]\n\n")

    with pytest.raises(Malformed):
        stream.finish()


def test_what_follows_the_done_and_other_choices_do_not_count():
    stream = OpenAIStream()
    other = event({"choices": [{"index": 1, "delta": {"content": "no"}}]})
    pieces = stream.feed(delta("a") + other + b"event: x\nid: 1\ndata: [DONE]\n\n" + delta("late"))

    assert pieces == [Piece("a")]
    assert stream.finish().text == "a"


def test_a_last_event_without_its_blank_line_counts():
    stream = OpenAIStream()
    pieces = stream.feed(delta("a", "stop").rstrip()) + stream.feed(b"")

    assert pieces == [Piece("a")]
    assert stream.finish().finish_reason == "stop"


def test_a_streamed_refusal_is_filtered_text():
    stream = OpenAIStream()
    stream.feed(delta("", refusal="I can't.") + delta("", "stop"))

    assert (stream.finish().text, stream.finish().finish_reason) == ("I can't.", "content_filter")


def test_tool_calls_without_places_are_told_apart_by_their_ids():
    stream = OpenAIStream()
    for part in (
        {"id": "a", "function": {"name": "f", "arguments": "{"}},
        {"function": {"arguments": "}"}},
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
    ):
        stream.feed(delta("", tool_calls=[part]))
    stream.feed(delta("", "tool_calls"))

    assert [(call["id"], call["function"]) for call in stream.finish().tool_calls] == [
        ("a", {"name": "f", "arguments": "{}"}),
        ("b", {"name": "g", "arguments": "{}"}),
    ]


@pytest.mark.parametrize("line", [b"data: \xff\xfe\n\n", b"data: {nothing}\n\n", b"data: [1]\n\n"])
def test_an_event_that_is_no_object_is_malformed(line: bytes):
    with pytest.raises(Malformed):
        OpenAIStream().feed(line)


def test_only_json_and_pages_are_no_streams():
    kinds = ("text/event-stream", "", "application/json", "text/html")

    assert [CODEC.streams(kind) for kind in kinds] == [True, True, False, False]


def test_usage_of_another_shape_is_none():
    assert usage(None) is None
    assert usage({"total_tokens": 5}) is None
