"""The official Ollama SDK as the oracle: our body equals its, and our reading of the reply equals its."""

from typing import Any

import ollama
import orjson
import pytest

from connectors.providers.ollama import OllamaCodec
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire
from tests.support.oracle import SCHEMA, TOOL, TURNS, theirs

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
