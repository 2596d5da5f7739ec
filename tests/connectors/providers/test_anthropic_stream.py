"""The reader of Claude's streams."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.anthropic_stream import AnthropicStream
from schemas.calls import (
    Answer,
    Malformed,
    Missing,
    Piece,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from schemas.responses import Usage
from tests.support.fixtures import wire, wire_json

NAMES = ["text", "tools", "thinking", "search"]


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def begin(**usage: int) -> bytes:
    return event("message_start", message={"model": "claude", "content": [], "usage": usage})


def block(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, **fields})


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def end(reason: str | None = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage) + event("message_stop")


def read(*parts: bytes) -> tuple[list[Piece], Answer]:
    stream = AnthropicStream()
    pieces = [piece for part in parts for piece in stream.feed(part)]
    return pieces + stream.feed(b""), stream.finish()


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_says_what_the_whole_reply_says(name: str):
    whole = AnthropicCodec().decode(200, {}, wire(f"anthropic_{name}.reply.json"))

    [piece], streamed = read(wire(f"anthropic_{name}.stream.sse"))

    assert (
        (piece.text, piece.reasoning) == (streamed.text, streamed.reasoning) == (whole.text, whole.reasoning)
    )
    assert (streamed.finish_reason, streamed.usage) == (whole.finish_reason, whole.usage)
    assert streamed.provider_content == whole.provider_content
    assert [orjson.loads(call["function"]["arguments"]) for call in streamed.tool_calls] == [
        orjson.loads(call["function"]["arguments"]) for call in whole.tool_calls
    ]


def test_pieces_of_tool_calls_make_up_the_calls_of_the_answer():
    pieces, answer = read(*wire("anthropic_tools.stream.sse").splitlines(keepends=True))

    made: dict[int, dict[str, Any]] = {}
    for part in (part for piece in pieces for part in piece.tool_calls):
        call = made.setdefault(part["index"], {"function": {"name": "", "arguments": ""}})
        call |= {name: part[name] for name in ("id", "type") if name in part}
        for name, text in part["function"].items():
            call["function"][name] += text
    assert list(made.values()) == list(answer.tool_calls)
    assert [call["function"]["arguments"] for call in answer.tool_calls] == [
        '{"city": "Köln", "days": 2}',
        "{}",
    ]


def test_blocks_are_rebuilt_as_a_whole_reply_holds_them():
    _, answer = read(wire("anthropic_search.stream.sse"))

    assert answer.provider_content == {
        "format": "anthropic",
        "content": wire_json("anthropic_search.reply.json")["content"],
    }


def test_pings_and_unknown_events_and_pieces_are_passed_over_and_unknown_blocks_are_kept():
    pieces, answer = read(
        b": a comment\nretry: 5\n\n" + begin() + event("ping") + event("weather", index=7),
        block(0, "hologram", shape="cube") + delta(0, "hologram_delta", shape="ball") + stop(0),
        block(1, "text", text="a") + delta(1, "smell_delta", smell="rose") + delta(1, "text_delta", text="b"),
        end(),
    )

    assert [piece.text for piece in pieces] == ["ab"]
    assert answer.provider_content == {
        "format": "anthropic",
        "content": [{"type": "hologram", "shape": "cube"}, {"type": "text", "text": "ab"}],
    }


def test_text_of_a_block_that_is_none_is_kept_and_not_shown():
    pieces, answer = read(
        begin(),
        block(0, "note", text="x")
        + delta(0, "text_delta", text="y")
        + delta(0, "thinking_delta", thinking="z"),
        block(1, "compaction") + delta(1, "compaction_delta", content="short", encrypted_content="E"),
        end(),
    )

    assert (pieces, answer.text, answer.reasoning) == ([], "", "")
    assert answer.provider_content is not None
    assert answer.provider_content["content"] == [
        {"type": "note", "text": "xy", "thinking": "z"},
        {"type": "compaction", "content": "short", "encrypted_content": "E"},
    ]


def test_what_a_block_begins_with_is_shown_too():
    pieces, answer = read(
        begin() + block(0, "thinking", thinking="h", signature="") + delta(0, "thinking_delta", thinking="m"),
        block(1, "tool_use", id="t", name="f", input={"a": 1}) + stop(1) + stop(9) + end("tool_use"),
    )

    assert pieces[0] == Piece(reasoning="hm")
    assert pieces[1].tool_calls[1] == {"index": 0, "function": {"arguments": '{"a":1}'}}
    assert answer.tool_calls[0]["function"]["arguments"] == '{"a":1}'


def test_input_that_the_limit_cut_goes_out_as_it_came():
    _, answer = read(
        begin() + block(0, "tool_use", id="t", name="f", input={}),
        delta(0, "input_json_delta", partial_json='{"a": ') + stop(0),
        block(1, "thinking", thinking="", signature="s") + end("max_tokens"),
    )

    assert answer.finish_reason == "length"
    assert answer.tool_calls[0]["function"]["arguments"] == '{"a": '
    assert answer.provider_content is not None
    assert answer.provider_content["content"][0]["input"] == {}


def test_usage_is_cumulative_and_what_the_end_leaves_out_stands():
    _, answer = read(
        begin(input_tokens=10, output_tokens=1, cache_read_input_tokens=5),
        end("end_turn", input_tokens=12, output_tokens=30, cache_read_input_tokens=None),
    )

    assert answer.usage == Usage(input_tokens=17, output_tokens=30, cached_tokens=5)
    assert answer.usage_raw == {"input_tokens": 12, "output_tokens": 30, "cache_read_input_tokens": 5}


@pytest.mark.parametrize(
    ("kind", "leaf"),
    [
        ("overloaded_error", Unavailable),
        ("api_error", Unavailable),
        ("timeout_error", Unavailable),
        ("brand_new_error", Unavailable),
        ("rate_limit_error", Throttled),
        ("invalid_request_error", Refused),
        ("request_too_large", Refused),
        ("authentication_error", Missing),
        ("permission_error", Missing),
        ("not_found_error", Missing),
        ("billing_error", Missing),
    ],
)
def test_an_error_in_mid_stream_is_known_by_its_name(kind: str, leaf: type[ProviderError]):
    stream = AnthropicStream()
    stream.feed(begin() + block(0, "text", text="a"))

    with pytest.raises(ProviderError, match=r"^said so$") as caught:
        stream.feed(event("error", error={"type": kind, "message": "said so"}))
    assert type(caught.value) is leaf


def test_an_error_without_a_shape_is_unavailable():
    with pytest.raises(Unavailable, match="an error without a message"):
        AnthropicStream().feed(event("error", error={}))
    with pytest.raises(Unavailable, match="just text"):
        AnthropicStream().feed(b'data: {"error": "just text"}\n\n')


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_is_cut_before_the_reason_of_its_end_is_unavailable(name: str):
    data = wire(f"anthropic_{name}.stream.sse")
    # The last event but one tells the reason; without its blank line it still counts, when all of it came.
    enough = data.index(b"\n\n", data.index(b"event: message_delta"))

    for cut in range(enough):
        stream = AnthropicStream()
        stream.feed(data[:cut])
        stream.feed(b"")
        with pytest.raises(Unavailable, match=r"^the stream was cut$"):
            stream.finish()
    for cut in (enough, len(data) - 3):
        stream = AnthropicStream()
        stream.feed(data[:cut])
        stream.feed(b"")
        assert stream.finish() == read(data)[1]


def test_a_stream_is_done_with_its_stop_and_what_follows_does_not_count():
    stream = AnthropicStream()
    stream.feed(
        begin() + block(0, "text", text="a") + event("message_delta", delta={"stop_reason": "end_turn"})
    )
    assert not stream.done

    assert stream.feed(event("message_stop") + delta(0, "text_delta", text="late")) == []
    assert stream.done
    assert stream.finish().text == "a"


def test_a_stop_without_a_reason_is_an_answer_and_without_a_message_malformed():
    assert read(begin() + block(0, "text", text="a") + end(None))[1].finish_reason == "stop"
    with pytest.raises(Malformed, match="message_start"):
        read(end())


def test_a_piece_of_a_block_that_never_began_is_malformed():
    with pytest.raises(Malformed, match="never began"):
        AnthropicStream().feed(begin() + delta(3, "text_delta", text="a"))


@pytest.mark.parametrize("line", [b"data: \xff\xfe\n\n", b"data: {nothing}\n\n", b"data: [1]\n\n"])
def test_an_event_that_is_no_object_is_malformed(line: bytes):
    with pytest.raises(Malformed):
        AnthropicStream().feed(line)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_every_end_of_line_and_data_on_many_lines_is_read(line_end: bytes):
    data = wire("anthropic_text.stream.sse").replace(b'"delta":{"type"', b'\ndata:"delta":{"type"')

    assert read(data.replace(b"\n", line_end))[1] == read(wire("anthropic_text.stream.sse"))[1]


WORDS = st.lists(st.text(min_size=1, max_size=8), max_size=6)


@given(
    st.lists(st.tuples(st.sampled_from(["text", "thinking", "tool_use"]), WORDS), max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_pieces_are_the_answer_whatever_its_blocks_and_cuts(
    blocks: list[tuple[str, list[str]]], sizes_bytes: list[int]
):
    data = begin(output_tokens=1)
    for index, (kind, words) in enumerate(blocks):
        if kind == "tool_use":
            data += block(index, kind, id=f"t{index}", name="f", input={})
            data += b"".join(delta(index, "input_json_delta", partial_json=word) for word in words)
        else:
            data += block(index, kind, **{kind: ""})
            data += b"".join(delta(index, f"{kind}_delta", **{kind: word}) for word in words)
        data += stop(index)
    data += end()
    parts, place = [], 0
    while place < len(data):
        size = sizes_bytes[len(parts) % len(sizes_bytes)]
        parts.append(data[place : place + size])
        place += size

    pieces, answer = read(*parts)

    assert answer.text == "".join("".join(words) for kind, words in blocks if kind == "text")
    assert answer.reasoning == "".join("".join(words) for kind, words in blocks if kind == "thinking")
    assert [call["function"]["arguments"] for call in answer.tool_calls] == [
        "".join(words) or "{}" for kind, words in blocks if kind == "tool_use"
    ]
    assert "".join(piece.text for piece in pieces) == answer.text
    assert "".join(piece.reasoning for piece in pieces) == answer.reasoning
    assert (answer.provider_content is None) == all(kind != "thinking" for kind, _ in blocks)
