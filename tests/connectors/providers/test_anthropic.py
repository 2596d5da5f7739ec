"""The codec of Claude: where a call goes, and how a reply and its errors are read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.anthropic_reply import usage
from schemas.calls import (
    Answer,
    Malformed,
    RateLimit,
    Throttled,
)
from schemas.responses import Usage
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire, wire_json

CODEC = AnthropicCodec()
LIMITS = {"anthropic-ratelimit-tokens-limit": "1000", "anthropic-ratelimit-tokens-remaining": "0"}


def headers(request: dict[str, Any] | None = None, **settings: Any) -> dict[str, str]:
    call = make_call(request, route=make_route("anthropic", **settings))
    return dict(CODEC.encode(call).headers)


def reply(*blocks: dict[str, Any], **fields: Any) -> Answer:
    return CODEC.decode(200, {}, orjson.dumps({"content": list(blocks), **fields}))


@pytest.mark.parametrize(
    ("base", "root"),
    [
        (None, "https://api.anthropic.com/v1"),
        ("http://x", "http://x/v1"),
        ("http://x/", "http://x/v1"),
        ("http://x/v1", "http://x/v1"),
        ("http://x/claude/v1/", "http://x/claude/v1"),
    ],
)
def test_a_base_may_end_in_its_version_or_not(base: str | None, root: str):
    call = make_call(route=make_route("anthropic", api_base=base))

    assert CODEC.encode(call).url == f"{root}/messages"
    assert CODEC.encode_count(call).url == f"{root}/messages/count_tokens"


def test_a_call_carries_version_key_and_id():
    assert headers(api_key=" k\n") == {
        "accept": "application/json",
        "anthropic-version": "2026-10-21",
        "authorization": "Bearer k",
        "content-type": "application/json",
        "x-request-id": "req-1",
    }


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_a_call_with_sampling_parameters_speaks_the_version_that_has_them(name: str):
    found = headers(api_key="k", params={name: 1})

    assert (found["anthropic-version"], found["x-api-key"]) == ("2023-06-01", "k")
    assert "authorization" not in found


def test_a_route_may_bring_another_version_and_another_authorization():
    extra = {"Authorization": "Bearer t", "anthropic-version": "2024-01-01"}
    found = headers(api_key="k", params={"extra_headers": extra})

    assert (found["authorization"], found["anthropic-version"]) == ("Bearer t", "2024-01-01")
    assert "x-api-key" not in found


def test_parameters_that_are_headers_go_out_as_such_and_betas_add_up():
    request = {"prompt": "hi", "betas": ["a", "b"], "workspace_id": "w", "user_profile_id": "p"}
    found = headers(request, params={"extra_headers": {"anthropic-beta": "c"}})

    assert found["anthropic-beta"] == "c,a,b"
    assert (found["anthropic-workspace-id"], found["anthropic-user-profile-id"]) == ("w", "p")
    assert headers(request)["anthropic-beta"] == "a,b"
    assert headers(params={"betas": "z"})["anthropic-beta"] == "z"


def test_counting_leaves_out_what_has_no_count():
    call = make_call(
        {"prompt": "hi", "stop": "x", "user": "u", "stream": True, "thinking": {"type": "adaptive"}}
    )

    assert orjson.loads(CODEC.encode_count(call).body) == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "hi"}],
        "thinking": {"type": "adaptive"},
    }


def test_a_count_is_read_and_its_errors_are_those_of_a_call():
    assert CODEC.decode_count(200, {}, b'{"input_tokens": 14}') == 14
    with pytest.raises(Malformed, match="input_tokens"):
        CODEC.decode_count(200, {}, b"{}")
    with pytest.raises(Throttled):
        CODEC.decode_count(429, {}, b"")


def test_text_alone_is_a_plain_answer():
    answer = CODEC.decode(200, LIMITS, wire("anthropic_text.reply.json"))

    assert answer == Answer(
        text="Grüße, reader.",
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=7),
        usage_raw=wire_json("anthropic_text.reply.json")["usage"],
        model="claude-sonnet-4-5-20250929",
        finish_reason_raw="end_turn",
        limits=(RateLimit("tokens", 1000, 0, None),),
    )


def test_tool_calls_have_openais_shape():
    answer = CODEC.decode(200, {}, wire("anthropic_tools.reply.json"))

    assert (answer.text, answer.finish_reason, answer.provider_content) == ("I'll look.", "tool_calls", None)
    assert answer.tool_calls == (
        {
            "id": "toolu_01A",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Köln","days":2}'},
        },
        {"id": "toolu_01B", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
    )


def test_thinking_is_reasoning_and_all_blocks_are_kept():
    answer = CODEC.decode(200, {}, wire("anthropic_thinking.reply.json"))

    assert (answer.text, answer.finish_reason, answer.finish_reason_raw) == ("12231", "stop", "stop_sequence")
    assert answer.reasoning.startswith("She asks for")
    assert answer.usage == Usage(
        input_tokens=2130, output_tokens=90, cached_tokens=2000, cache_write_tokens=100, reasoning_tokens=70
    )
    assert answer.provider_content == {
        "format": "anthropic",
        "content": wire_json("anthropic_thinking.reply.json")["content"],
    }


@pytest.mark.parametrize(
    ("block", "plain"),
    [
        ({"type": "text", "text": "a", "citations": None}, True),
        ({"type": "text", "text": "a", "citations": []}, True),
        ({"type": "text", "text": "a", "citations": [{"type": "char_location"}]}, False),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}}, True),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}, "toolset_name": None}, True),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "code"}}, False),
        ({"type": "redacted_thinking", "data": "E"}, False),
        ({"type": "hologram"}, False),
    ],
)
def test_content_is_kept_where_openais_shape_loses_some_of_it(block: dict[str, Any], plain: bool):
    kept = reply(block).provider_content

    assert kept == (None if plain else {"format": "anthropic", "content": [block]})


def test_an_answer_handed_back_is_what_claude_sent():
    own = CODEC.decode(200, {}, wire("anthropic_search.reply.json")).provider_content
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "no", "provider_content": own},
        {"role": "user", "content": "more"},
    ]
    body = orjson.loads(CODEC.encode(make_call({"messages": turns})).body)

    assert body["messages"][1]["content"] == wire_json("anthropic_search.reply.json")["content"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("compaction", "stop"),
        ("brand_new", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_each_reason_of_an_end_has_its_finish_reason(raw: str, reason: str):
    answer = reply(stop_reason=raw)

    assert (answer.finish_reason, answer.finish_reason_raw) == (reason, raw)


def test_without_a_reason_the_blocks_tell_it():
    assert reply().finish_reason == "stop"
    assert reply({"type": "tool_use", "id": "t", "name": "f", "input": {}}).finish_reason == "tool_calls"


def test_usage_of_another_shape_is_none():
    assert usage(None) is None
    assert usage({"tokens": 5}) is None
    assert usage({"output_tokens": 5, "output_tokens_details": None}) == Usage(output_tokens=5)


@pytest.mark.parametrize("body", [b"{}", b'{"content": 5}', b"[]", b"nothing", b'{"content": "text"}'])
def test_a_reply_without_content_is_malformed(body: bytes):
    with pytest.raises(Malformed):
        CODEC.decode(200, {}, body)


def test_a_stream_has_a_reader_of_its_own():
    one, other = CODEC.decoder(), CODEC.decoder()
    one.feed(wire("anthropic_text.stream.sse"))

    assert (one.done, other.done) == (True, False)


def test_only_json_and_pages_are_no_streams():
    kinds = ("text/event-stream; charset=utf-8", "", "application/json", "text/html")

    assert [CODEC.streams(kind) for kind in kinds] == [True, True, False, False]


TEXTS = st.text(max_size=10)
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, TEXTS),
    st.builds(
        lambda name, keys: {"type": "tool_use", "id": "t", "name": name, "input": keys},
        TEXTS,
        st.dictionaries(TEXTS, st.integers(0, 9), max_size=3),
    ),
    st.builds(lambda text: {"type": "server_tool_use", "name": text}, TEXTS),
)


@given(st.lists(BLOCKS, max_size=6))
def test_nothing_that_claude_said_is_lost(blocks: list[dict[str, Any]]):
    answer = reply(*blocks)

    kept = answer.provider_content
    if kept is not None:
        assert kept == {"format": "anthropic", "content": blocks}
    else:
        assert {block["type"] for block in blocks} <= {"text", "tool_use"}
    assert answer.text == "".join(block["text"] for block in blocks if block["type"] == "text")
    assert [
        {
            "type": "tool_use",
            "id": call["id"],
            "name": call["function"]["name"],
            "input": orjson.loads(call["function"]["arguments"]),
        }
        for call in answer.tool_calls
    ] == [block for block in blocks if block["type"] == "tool_use"]
