"""The official Anthropic SDK as the oracle: our request equals its, and our reading of the reply equals its.

Each call of the table is made twice, and body, path and headers are compared. `OURS`: the SDK is told, by its
own settings, to speak the API version and the key header that the codec speaks (2023-06-01, `x-api-key`), for
left alone it speaks 2026-10-21, which has no temperature, and sends the key as a bearer. `THEIRS`: the SDK is
left alone, and our route is told to speak as it does.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import anthropic
import orjson
import pytest

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.anthropic_body import SAMPLED_VERSION
from schemas.base import JsonObject
from schemas.calls import Answer, HttpRequest, Route
from tests.support.anthropic_calls import CALLS, MODEL, SAMPLING, OracleCall
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Received
from tests.support.oracle import captured, cut_everywhere, cut_twice, fed, in_chunks

CODEC = AnthropicCodec()
NAMES = ["text", "tools", "thinking", "search"]
LEFT_OUT = {
    "user-agent": "says which program calls: ours is not the SDK",
    "x-request-id": "ours alone: the request's id, for the logs of a proxy",
    "host": "the connection's: set by what moves the bytes",
    "connection": "the connection's",
    "content-length": "the connection's; the bodies themselves are compared",
    "accept-encoding": "the connection's: what it can unpack",
}
"""Headers that are not compared, and why; beside them all `x-stainless-*`: the SDK's telemetry."""


def client(url: str, *, sampled: bool = False) -> anthropic.AsyncAnthropic:
    """The SDK untouched; for calls with sampling parameters set to the version that has them."""
    old: dict[str, Any] = {
        "anthropic-version": SAMPLED_VERSION,
        "x-api-key": "k",
        "authorization": anthropic.Omit(),
    }
    headers = old if sampled else {}
    return anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0, default_headers=headers)


def route(**settings: Any) -> Route:
    return make_route("anthropic", model=MODEL, api_key="k", **settings)


def compared(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name not in LEFT_OUT and not name.startswith("x-stainless-")
    }


def assert_same_request(ours: HttpRequest, theirs: Received) -> None:
    assert orjson.loads(ours.body) == orjson.loads(theirs.body)
    assert (ours.method, urlsplit(ours.url).path) == (theirs.method, theirs.path)
    assert compared(ours.headers) == compared(theirs.headers)


def test_the_table_is_long_enough():
    assert len(CALLS) >= 22
    assert len({call.name for call in CALLS}) == len(CALLS)


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_what_the_sdk_sends(case: OracleCall):
    stream = bool(case.request.get("stream"))

    async def call(url: str) -> Any:
        async with client(url, sampled=case.name in SAMPLING) as sdk:
            resource: Any = sdk.beta.messages if case.beta else sdk.messages
            return await resource.create(model=MODEL, **case.sdk)

    name = "anthropic_text.stream.sse" if stream else "anthropic_text.reply.json"
    received, _ = captured(wire(name), "text/event-stream" if stream else "application/json", call)

    ours = CODEC.encode(make_call(case.request, route=route(**case.route)))
    assert_same_request(ours, received)


def test_the_counting_of_tokens_is_what_the_sdk_sends_and_reads():
    case = next(call for call in CALLS if call.name == "tool results in one turn")
    counted = {name: value for name, value in case.sdk.items() if name != "max_tokens"}

    async def call(url: str) -> Any:
        async with client(url) as sdk:
            return await sdk.messages.count_tokens(model=MODEL, **counted)

    received, read = captured(b'{"input_tokens":2095}', "application/json", call)

    assert_same_request(CODEC.encode_count(make_call(case.request, route=route())), received)
    assert CODEC.decode_count(200, {}, b'{"input_tokens":2095}') == read.input_tokens == 2095


def assert_same_answer(answer: Answer, read: Any) -> None:
    calls = [block for block in read.content if block.type == "tool_use"]
    assert answer.text == "".join(block.text for block in read.content if block.type == "text")
    assert answer.reasoning == "".join(block.thinking for block in read.content if block.type == "thinking")
    assert [
        (call["id"], call["function"]["name"], orjson.loads(call["function"]["arguments"]))
        for call in answer.tool_calls
    ] == [(call.id, call.name, call.input) for call in calls]
    assert (answer.finish_reason_raw, answer.model) == (read.stop_reason, read.model)
    told = read.usage
    cached, written = told.cache_read_input_tokens or 0, told.cache_creation_input_tokens or 0
    assert answer.usage is not None
    assert answer.usage.input_tokens == told.input_tokens + cached + written
    assert (answer.usage.cached_tokens, answer.usage.cache_write_tokens) == (cached, written)
    assert answer.usage.output_tokens == told.output_tokens
    details = told.output_tokens_details
    assert answer.usage.reasoning_tokens == (details.thinking_tokens if details else 0)
    assert answer.usage_raw == told.to_dict()
    assert_same_blocks(answer, [block.to_dict() for block in read.content])


def assert_same_blocks(answer: Answer, blocks: list[JsonObject]) -> None:
    """Where the OpenAI shape loses something, all blocks are kept as they are."""
    if all(block["type"] in ("text", "tool_use") and not block.get("citations") for block in blocks):
        assert answer.provider_content is None
    else:
        assert answer.provider_content == {"format": "anthropic", "content": blocks}


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_is_what_the_sdk_reads(name: str):
    body = wire(f"anthropic_{name}.reply.json")

    async def call(url: str) -> Any:
        async with client(url) as sdk:
            return await sdk.messages.create(model=MODEL, max_tokens=5, messages=[])

    _, read = captured(body, "application/json", call)

    assert_same_answer(CODEC.decode(200, {}, body), read)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_what_the_sdk_reads_however_it_is_cut(name: str):
    stream = wire(f"anthropic_{name}.stream.sse")

    async def call(url: str) -> Any:
        async with client(url) as sdk, sdk.messages.stream(
            model=MODEL, max_tokens=5, messages=[]
        ) as events:  # fmt: skip
            return await events.get_final_message()

    _, read = captured(stream, "text/event-stream", call)

    [piece], answer = fed(CODEC, [stream])
    assert_same_answer(answer, read)
    for parts in (*cut_everywhere(stream), *in_chunks(stream)):
        pieces, found = fed(CODEC, parts)
        assert found == answer
        assert "".join(part.text for part in pieces) == piece.text == answer.text
        assert "".join(part.reasoning for part in pieces) == piece.reasoning == answer.reasoning
        assert [delta for part in pieces for delta in part.tool_calls] == list(piece.tool_calls)


def test_a_short_stream_reads_the_same_cut_at_every_two_bytes():
    events: list[JsonObject] = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "ü"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "\n"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ]
    stream = b"".join(b"data:" + orjson.dumps(event) + b"\r\n\r\n" for event in events)
    whole = fed(CODEC, [stream])[1]

    assert whole.text == "ü\n"
    assert all(fed(CODEC, parts)[1] == whole for parts in cut_twice(stream))
