"""The official OpenAI SDK as the oracle: our body equals its, and our reading of the reply equals its."""

from typing import Any

import openai
import orjson
import pytest

from connectors.providers.openai import OpenAICodec
from schemas.calls import Answer
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire
from tests.support.oracle import SCHEMA, TOOL, TURNS, theirs

FORCED = {"type": "function", "function": {"name": "get_weather"}}
SHAPE = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
ASKED = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OPENAI_CALLS: list[dict[str, Any]] = [
    {"messages": TURNS},
    {"messages": TURNS, "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a"], "seed": 1},
    {"messages": TURNS, "max_completion_tokens": 5, "n": 1, "logit_bias": {"1": 2}, "user": "u"},
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
