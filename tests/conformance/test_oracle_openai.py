"""The official OpenAI SDK as the oracle: our request equals its, and our reading of the reply equals its."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import openai
import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_embed import decode_embeddings, encode_embeddings
from connectors.providers.openai_quirks import QUIRKS
from schemas.calls import Answer, HttpRequest
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Received
from tests.support.openai_calls import CASES, Case
from tests.support.oracle import TURNS, captured, cut_everywhere, cut_twice, fed, in_chunks

CODEC = OpenAICodec()
REPLIES = ["text", "tools", "logprobs", "refusal", "annotated", "thinking", "custom"]
STREAMS = ["text", "tools", "logprobs", "refusal", "thinking", "openrouter", "perplexity"]
LEFT_OUT = {
    "user-agent": "says which program calls: ours is not the SDK",
    "x-request-id": "ours alone: the request's id, for the logs of a server or a proxy",
    "host": "the connection's: set by what moves the bytes",
    "connection": "the connection's",
    "content-length": "the connection's; the bodies themselves are compared",
    "accept-encoding": "the connection's: what it can unpack",
}
"""Headers that are not compared, and why; beside them all `x-stainless-*`: the SDK's telemetry."""
NATIVE_REASONS = {"openrouter": "end_turn"}
"""Why an answer ended in the words of OpenRouter's own provider, which the SDK's merged answer loses."""
SHORT = (
    b'data: {"choices":[{"index":0,"delta":{"content":"\xc3\xbc"}}]}\r\n\r\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


def client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)


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
    assert len(CASES) >= 18


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_call_is_what_the_sdk_sends(case: Case):
    sdk: dict[str, Any] = {"messages": TURNS, **case.sdk}

    async def call(url: str) -> Any:
        async with client(url) as found:
            return await found.chat.completions.create(model=case.model, **sdk)

    stream = "stream" in sdk
    name = "openai_text.stream.sse" if stream else "openai_text.reply.json"
    received, _ = captured(wire(name), "text/event-stream" if stream else "application/json", call)

    route = make_route(model=case.model, api_key="k", **case.route)
    request = {"messages": TURNS, **(case.sdk if case.request is None else case.request)}
    ours = OpenAICodec(QUIRKS[route.provider]).encode(make_call(request, route=route))
    assert_same_request(ours, received)


def called(call: dict[str, Any]) -> tuple[str, str, str, str]:
    asked = call[call["type"]]
    return call["id"], call["type"], asked["name"], asked.get("arguments") or asked.get("input")


def assert_same_message(answer: Answer, choice: Any, raw_reason: str | None = None) -> None:
    message = choice.message
    extras = message.model_extra or {}
    assert answer.text == (message.content or message.refusal or "")
    assert answer.reasoning == (extras.get("reasoning_content") or extras.get("reasoning") or "")
    assert answer.finish_reason_raw == (raw_reason or choice.finish_reason)
    assert answer.finish_reason == ("content_filter" if message.refusal else choice.finish_reason)
    assert list(map(called, answer.tool_calls)) == [
        called(call.to_dict()) for call in message.tool_calls or []
    ]
    found = choice.logprobs.to_dict() if choice.logprobs else None
    if found is None or answer.logprobs is None:
        assert answer.logprobs is found is None
    else:
        assert answer.logprobs.get("content") == found.get("content")
        assert answer.logprobs.get("refusal") == found.get("refusal")


def assert_same_usage(answer: Answer, told: Any) -> None:
    into, out = told.prompt_tokens_details, told.completion_tokens_details
    cached = (into.cached_tokens if into else 0) or (told.model_extra or {}).get("prompt_cache_hit_tokens", 0)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
        told.prompt_tokens,
        told.completion_tokens,
    )
    assert answer.usage.cached_tokens == cached
    assert answer.usage.cache_write_tokens == ((into.cache_write_tokens if into else 0) or 0)
    assert answer.usage.reasoning_tokens == ((out.reasoning_tokens if out else 0) or 0)
    assert answer.usage_raw == told.to_dict()


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_read_as_the_sdk_reads_it(name: str):
    body = wire(f"openai_{name}.reply.json")

    async def call(url: str) -> Any:
        async with client(url) as found:
            return await found.chat.completions.create(model="gpt-4o", messages=TURNS)  # type: ignore[arg-type]

    _, read = captured(body, "application/json", call)

    answer = CODEC.decode(200, {}, body)
    assert_same_message(answer, read.choices[0])
    assert_same_usage(answer, read.usage)
    assert answer.model == read.model
    if answer.provider_content is not None:
        assert answer.provider_content["content"] == [read.choices[0].message.to_dict()]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as_the_sdk_reads_it(name: str):
    body = wire(f"openai_{name}.stream.sse")

    async def call(url: str) -> Any:
        state: Any = ChatCompletionStreamState()
        async with client(url) as found:
            async for chunk in await found.chat.completions.create(
                model="gpt-4o",
                messages=TURNS,  # type: ignore[arg-type]
                stream=True,
            ):
                state.handle_chunk(chunk)
        return state.current_completion_snapshot

    _, read = captured(body, "text/event-stream", call)

    pieces, answer = fed(CODEC, [body])
    assert_same_message(answer, read.choices[0], NATIVE_REASONS.get(name))
    assert_same_usage(answer, read.usage)
    assert answer.model == read.model
    assert "".join(piece.text for piece in pieces) == answer.text
    assert "".join(piece.reasoning for piece in pieces) == answer.reasoning


@pytest.mark.parametrize("name", [*STREAMS, "mistral"])
def test_a_stream_reads_the_same_in_every_chunking(name: str):
    body = wire(f"openai_{name}.stream.sse")
    pieces, answer = fed(CODEC, [body])

    for parts in (*cut_everywhere(body), *in_chunks(body)):
        found, same = fed(CODEC, parts)
        assert same == answer
        assert "".join(piece.text for piece in found) == answer.text
        assert "".join(piece.reasoning for piece in found) == answer.reasoning
        assert [part for piece in found for part in piece.tool_calls] == [
            part for piece in pieces for part in piece.tool_calls
        ]
        assert [part for piece in found for part in piece.logprobs] == [
            part for piece in pieces for part in piece.logprobs
        ]


def test_a_short_stream_reads_the_same_in_every_chunking_of_three():
    _, answer = fed(CODEC, [SHORT])

    assert answer.text == "ü"
    for parts in cut_twice(SHORT):
        assert fed(CODEC, parts)[1] == answer


VECTORS = orjson.dumps(
    {
        "object": "list",
        "model": "embed",
        "data": [
            {"object": "embedding", "index": 1, "embedding": "AADAPwAAAMA="},
            {"object": "embedding", "index": 0, "embedding": "AACAPgAAAAA="},
        ],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
)


@pytest.mark.parametrize("fields", [{"input": ["a", "b"], "dimensions": 2, "user": "u"}, {"input": "a"}])
def test_embeddings_are_what_the_sdk_sends_and_reads(fields: dict[str, Any]):
    async def call(url: str) -> Any:
        async with client(url) as found:
            return await found.embeddings.create(model="embed", **fields)

    received, read = captured(VECTORS, "application/json", call)

    # Left alone the SDK asks for base64, which not every server knows; it is read all the same.
    wish = {**fields, "encoding_format": "base64"}
    ours = encode_embeddings(make_route(model="embed", api_key="k"), "req-1", wish)
    assert_same_request(ours, received)
    answer = decode_embeddings(200, {}, VECTORS)
    assert sorted(answer.vectors) == sorted(tuple(entry.embedding) for entry in read.data)
    assert answer.vectors == ((0.25, 0.0), (1.5, -2.0))
    assert answer.model == read.model
    assert answer.usage is not None
    assert answer.usage.input_tokens == read.usage.prompt_tokens
