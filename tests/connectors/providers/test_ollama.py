"""The codec of Ollama's chat."""

from typing import Any

import ollama
import orjson
import pytest

from connectors.providers.ollama import OllamaCodec, OllamaStream
from schemas.calls import Malformed, Missing, Refused, Unavailable
from schemas.responses import Usage
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire, wire_json

CODEC = OllamaCodec()


def sent(request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    names = ("params", "drop_params", "max_input_tokens")
    route = make_route(
        "ollama", model="llama3.2", **{name: settings.pop(name) for name in names if name in settings}
    )
    return orjson.loads(CODEC.encode(make_call(request, route=route, **settings)).body)


def test_the_fixtures_are_what_the_sdk_knows():
    for name in ("ollama_text.reply.json", "ollama_tools.reply.json"):
        ollama.ChatResponse.model_validate(wire_json(name))
    for name in ("ollama_text.stream.ndjson", "ollama_tools.stream.ndjson"):
        for line in wire(name).splitlines():
            ollama.ChatResponse.model_validate_json(line)


def test_a_body_holds_every_parameter_in_ollamas_words():
    assert sent(wire_json("full.request.json")) == wire_json("ollama_full.body.json")


def test_a_call_goes_to_the_chat_of_the_routes_server():
    request = CODEC.encode(make_call(route=make_route("ollama", api_base="http://x:1/")))

    assert request.url == "http://x:1/api/chat"
    assert CODEC.encode(make_call()).url == "http://127.0.0.1:11434/api/chat"


@pytest.mark.parametrize(
    ("input_tokens", "max_tokens", "window", "num_ctx"),
    [
        (10, 10, None, 2048),
        (1948, 100, None, 2048),
        (1949, 100, None, 4096),
        (5000, None, None, 8192),
        (5000, 100, 6000, 6000),
        (10, 10, 1024, 1024),
        (40000, 100, 131072, 65536),
    ],
)
def test_the_window_fits_input_and_answer(
    input_tokens: int, max_tokens: int | None, window: int | None, num_ctx: int
):
    body = sent({"prompt": "hi"}, input_tokens=input_tokens, max_tokens=max_tokens, max_input_tokens=window)

    assert body["options"]["num_ctx"] == num_ctx


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

    assert set(body) == {"model", "messages", "stream", "options"}


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

    with pytest.raises(Missing, match=r"`ollama pull llama3\.2:1b`"):
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
