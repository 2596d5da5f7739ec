"""The codec of Gemini's streams."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.gemini import MAX_STRAY_BYTES, GeminiCodec, GeminiStream
from schemas.calls import Answer, Malformed, Piece, ProviderError, Unavailable
from schemas.responses import Usage
from tests.support.fixtures import wire, wire_json
from tests.support.oracle import fed

CODEC = GeminiCodec()
STREAMS = ("gemini_text.stream.sse", "gemini_tools.stream.sse", "gemini_rich.stream.sse")


def reply(*parts: dict[str, Any], reason: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason, **fields}]}


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as_its_whole_reply(name: str):
    pieces, answer = fed(CODEC, [wire(name)])
    whole = CODEC.decode(200, {}, wire(name.replace("stream.sse", "reply.json")))

    assert (answer.text, answer.reasoning, answer.tool_calls) == (
        whole.text,
        whole.reasoning,
        whole.tool_calls,
    )
    assert (answer.logprobs, answer.finish_reason) == (whole.logprobs, whole.finish_reason)
    assert "".join(piece.text for piece in pieces) == answer.text
    assert "".join(piece.reasoning for piece in pieces) == answer.reasoning
    assert [part for piece in pieces for part in piece.tool_calls] == [
        {"index": place, **call} for place, call in enumerate(answer.tool_calls)
    ]
    if name != "gemini_tools.stream.sse":
        assert (answer.usage, answer.provider_content) == (whole.usage, whole.provider_content)


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_a_stream_is_the_same_wherever_it_is_cut(name: str, data: st.DataObject):
    stream = wire(name)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    pieces, answer = fed(CODEC, [part for part in parts if part])

    assert answer == fed(CODEC, [stream])[1]
    assert "".join(piece.text for piece in pieces) == answer.text
    assert [token for piece in pieces for token in piece.logprobs] == (answer.logprobs or {}).get(
        "content", []
    )


def test_pieces_that_came_together_are_one():
    decoder = GeminiStream()

    assert decoder.feed(
        event(reply({"text": "a"}, reason=None)) + event(reply({"text": "b"}, reason=None))
    ) == [Piece("ab")]
    assert decoder.feed(event(reply({"text": ""}, reason=None))) == []


def test_a_stream_is_over_when_its_usage_came_with_the_reason():
    decoder = GeminiStream()
    decoder.feed(event(reply({"text": "a"})))
    assert not decoder.done

    decoder.feed(event({"usageMetadata": {"promptTokenCount": 3}}))
    assert decoder.done
    usage = decoder.finish().usage
    assert usage is not None
    assert usage.input_tokens == 3


WRONG = st.sampled_from([None, 5, -1, 1e300, "x", True, [], {}, [5], {"a": 1}, [[]], "STOP"])


def spoilt(value: Any, draw: Any) -> Any:
    """The value with one of its inner values put in another's place."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 3)):
        found: Any = dict(value) if isinstance(value, dict) else list(value)
        place = draw(st.sampled_from(sorted(found))) if isinstance(found, dict) else len(found) - 1
        found[place] = spoilt(found[place], draw)
        return found
    return draw(WRONG)


@pytest.mark.parametrize("name", [f"gemini_{name}.reply.json" for name in ("tools", "rich", "blocked")])
@given(data=st.data())
def test_a_reply_with_wrong_fields_is_an_answer_or_an_error(name: str, data: st.DataObject):
    body = spoilt(wire_json(name), data.draw)
    for read in (lambda: CODEC.decode(200, {}, orjson.dumps(body)), lambda: fed(CODEC, [event(body)])[1]):
        with suppress(ProviderError):
            assert isinstance(read(), Answer)


@pytest.mark.parametrize("parts", [5, [5], [{"text": 5}], [{"text": "a", "thought": True}, {"text": [1]}]])
def test_an_answer_with_a_field_of_a_wrong_type_is_malformed(parts: object):
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    with pytest.raises(Malformed, match="wrong type: "):
        CODEC.decode(200, {}, orjson.dumps(body))
    with pytest.raises(Malformed, match="wrong type: "):
        fed(CODEC, [event(body)])


def test_usage_adds_up_over_the_events_and_the_newest_number_holds():
    first = {"promptTokenCount": 8, "cachedContentTokenCount": 5, "candidatesTokenCount": 1}
    last = {"promptTokenCount": 8, "candidatesTokenCount": 2}
    begun = event({**reply({"text": "a"}, reason=None), "usageMetadata": first})
    answer = fed(CODEC, [begun, event({**reply({"text": "b"}), "usageMetadata": last})])[1]

    assert answer.usage == Usage(input_tokens=8, output_tokens=2, cached_tokens=5)
    assert answer.usage_raw == {**first, **last}


def test_a_stream_may_end_by_its_bytes_alone():
    _, answer = fed(CODEC, [event(reply({"text": "a"})).rstrip()])

    assert (answer.text, answer.usage) == ("a", None)


def test_a_stream_without_a_reason_was_cut():
    for stream in ([event(reply({"text": "a"}, reason=None))], [b""], [event(reply({"text": "a"}))[:-9]]):
        with pytest.raises(Unavailable, match="the stream was cut"):
            fed(CODEC, stream)


def test_an_error_in_mid_stream_is_raised_as_an_event_or_bare():
    begun = event(reply({"text": "a"}, reason=None))
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    for tail in (event(error), orjson.dumps(error), orjson.dumps(error, option=orjson.OPT_INDENT_2) + b"\n"):
        with pytest.raises(Unavailable, match="503: overloaded"):
            fed(CODEC, [begun, tail])
    with pytest.raises(Unavailable, match="the stream was cut"):
        fed(CODEC, [begun, b"{}"])


def test_what_is_no_event_is_passed_over_in_bounded_memory():
    decoder = GeminiStream()
    for _ in range(3):
        decoder.feed(b"x" * MAX_STRAY_BYTES + b"\n")
    decoder.feed(b": ping\nevent: x\nid: 1\nretry: 5\n\n" + event(reply({"text": "a"})))

    assert len(b"".join(decoder._stray)) <= MAX_STRAY_BYTES  # pyright: ignore[reportPrivateUsage]
    assert decoder.feed(b"") == []
    assert decoder.finish().text == "a"


def test_data_over_several_lines_is_one_event():
    lines = orjson.dumps(reply({"text": "a"}), option=orjson.OPT_INDENT_2).splitlines()

    assert fed(CODEC, [b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"])[1].text == "a"


def test_citations_of_a_stream_add_up_and_of_all_else_the_last_holds():
    def cited(uri: str) -> bytes:
        metadata = {"citationSources": [{"uri": uri}]}
        return event(reply({"text": "a"}, citationMetadata=metadata, groundingMetadata={"of": uri}))

    content = fed(CODEC, [cited("u"), cited("v")])[1].provider_content
    assert content is not None
    assert content["content"] == [{"text": "aa"}]
    assert content["metadata"] == {
        "citationMetadata": {"citationSources": [{"uri": "u"}, {"uri": "v"}]},
        "groundingMetadata": {"of": "v"},
    }
