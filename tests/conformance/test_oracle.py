"""The official SDKs as the oracle: our body equals theirs, and our reading of the reply equals theirs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ollama
import openai
import orjson
import pytest

from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from schemas.calls import Answer
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Loopback, Received, Reply

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name."}},
            "required": ["city"],
        },
    },
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How is Köln?"},
]


def theirs(body: bytes, kind: str, call: Callable[[str], Awaitable[Any]]) -> tuple[dict[str, Any], Any]:
    """What an SDK sends to a server that answers with `body`, and what it reads."""

    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(200, body, kind=kind)

    async def main() -> tuple[dict[str, Any], Any]:
        async with Loopback(script) as server:
            read = await call(server.url)
            return orjson.loads(server.received[0].body), read

    return asyncio.run(main())


FORCED = {"type": "function", "function": {"name": "get_weather"}}
SHAPE = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
ASKED = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OPENAI_CALLS: list[dict[str, Any]] = [
    {"messages": TURNS},
    {"messages": TURNS, "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a"], "seed": 1},
    {"messages": TURNS, "max_completion_tokens": 5, "n": 2, "logit_bias": {"1": 2}, "user": "u"},
    {"messages": TURNS, "tools": [TOOL], "tool_choice": "required"},
    {"messages": TURNS, "tools": [TOOL], "tool_choice": FORCED},
    {"messages": TURNS, "response_format": SHAPE},
    {
        "messages": [
            {"role": "user", "content": [IMAGE]},
            {"role": "assistant", "content": None, "tool_calls": [ASKED]},
            {"role": "tool", "tool_call_id": "x", "content": "12 °C"},
        ]
    },
]


@pytest.mark.parametrize("fields", OPENAI_CALLS)
@pytest.mark.parametrize("name", ["openai_text.reply.json", "openai_tools.reply.json"])
def test_a_call_is_what_the_openai_sdk_sends_and_reads(fields: dict[str, Any], name: str):
    async def call(url: str) -> Any:
        async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
            return await client.chat.completions.create(model="gpt-4o", **fields)

    body, read = theirs(wire(name), "application/json", call)

    ours = OpenAICodec().encode(make_call(fields, route=make_route(model="gpt-4o")))
    assert orjson.loads(ours.body) == body
    assert_same_as_openai(OpenAICodec().decode(200, {}, wire(name)), read.choices[0].message, read)


def assert_same_as_openai(answer: Answer, message: Any, read: Any) -> None:
    assert answer.text == (message.content or "")
    assert answer.model == read.model
    assert answer.finish_reason == read.choices[0].finish_reason
    assert [(call["id"], call["function"]) for call in answer.tool_calls] == [
        (call.id, call.function.model_dump()) for call in message.tool_calls or []
    ]
    assert answer.usage is not None
    assert answer.usage.input_tokens == read.usage.prompt_tokens
    assert answer.usage.output_tokens == read.usage.completion_tokens


@pytest.mark.parametrize("name", ["openai_text.stream.sse", "openai_tools.stream.sse"])
def test_a_stream_is_what_the_openai_sdk_sends_and_reads(name: str):
    async def call(url: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="gpt-4o",
                messages=TURNS,  # type: ignore[arg-type]
                stream=True,
                stream_options={"include_usage": True},
            )
            return [chunk async for chunk in stream]

    body, chunks = theirs(wire(name), "text/event-stream", call)

    ours = OpenAICodec().encode(make_call({"messages": TURNS}, route=make_route(model="gpt-4o"), stream=True))
    decoder = OpenAICodec().decoder()
    [piece] = decoder.feed(wire(name))
    answer = decoder.finish()
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert orjson.loads(ours.body) == body
    assert answer.text == "".join(delta.content or "" for delta in deltas)
    assert [part["index"] for part in piece.tool_calls] == [
        part.index for delta in deltas for part in delta.tool_calls or []
    ]
    assert answer.usage is not None
    assert answer.usage.input_tokens == chunks[-1].usage.prompt_tokens


OLLAMA_CALLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"messages": TURNS}, {"options": {"num_ctx": 2048}}),
    (
        {"messages": TURNS, "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": "a", "seed": 1},
        {
            "options": {
                "num_ctx": 2048, "num_predict": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a"], "seed": 1,
            }
        },
    ),
    ({"messages": TURNS, "tools": [TOOL]}, {"tools": [TOOL], "options": {"num_ctx": 2048}}),
    (
        {"messages": TURNS, "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        {"format": SCHEMA, "options": {"num_ctx": 2048}},
    ),
    (
        {"messages": TURNS, "keep_alive": "5m", "reasoning_effort": "high"},
        {"keep_alive": "5m", "think": "high", "options": {"num_ctx": 2048}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "settings"), OLLAMA_CALLS)
@pytest.mark.parametrize("name", ["ollama_text.reply.json", "ollama_tools.reply.json"])
def test_a_call_is_what_the_ollama_sdk_sends_and_reads(
    fields: dict[str, Any], settings: dict[str, Any], name: str
):
    async def call(url: str) -> Any:
        client = ollama.AsyncClient(host=url)
        try:
            return await client.chat(model="llama3.2", messages=TURNS, **settings)
        finally:
            await client.close()

    body, read = theirs(wire(name), "application/json", call)

    ours = OllamaCodec().encode(make_call(fields, route=make_route("ollama", model="llama3.2")))
    answer = OllamaCodec().decode(200, {}, wire(name))
    # The SDK sends an empty list where no tools are; the server takes both alike.
    assert orjson.loads(ours.body) == {key: value for key, value in body.items() if value != []}
    assert answer.text == read.message.content
    assert [orjson.loads(call["function"]["arguments"]) for call in answer.tool_calls] == [
        call.function.arguments for call in read.message.tool_calls or []
    ]
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
        read.prompt_eval_count,
        read.eval_count,
    )


@pytest.mark.parametrize("name", ["ollama_text.stream.ndjson", "ollama_tools.stream.ndjson"])
def test_a_stream_is_what_the_ollama_sdk_sends_and_reads(name: str):
    async def call(url: str) -> list[Any]:
        client = ollama.AsyncClient(host=url)
        try:
            stream = await client.chat(
                model="llama3.2", messages=TURNS, options={"num_ctx": 2048}, stream=True
            )
            return [part async for part in stream]
        finally:
            await client.close()

    body, parts = theirs(wire(name), "application/x-ndjson", call)

    route = make_route("ollama", model="llama3.2")
    ours = OllamaCodec().encode(make_call({"messages": TURNS}, route=route, stream=True))
    decoder = OllamaCodec().decoder()
    decoder.feed(wire(name))
    assert orjson.loads(ours.body) == {key: value for key, value in body.items() if value != []}
    assert decoder.finish().text == "".join(part.message.content for part in parts)
    assert len(decoder.finish().tool_calls) == sum(len(part.message.tool_calls or []) for part in parts)
