"""The official OpenAI SDK as the oracle of `/v1/responses`: created, streamed, refused."""

from typing import Any

import openai
import pytest

from schemas.codes import Code
from tests.connectors.gateway.dialects.serving import Gateway, chunk, failure, response, says, served, words
from tests.connectors.gateway.dialects.test_openai_sdk import client

TOOLS: list[Any] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'},
}
OTHER = {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
OWN = {"format": "anthropic", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}]}
SEALED: list[Any] = ["reasoning.encrypted_content"]
CHUNKS = [
    chunk(reasoning_content="Hm."),
    chunk("One ", seq=1),
    chunk("moment.", seq=2, tool_calls=[{**CALL, "index": 0, "function": {"name": "get_weather"}}]),
    chunk(
        seq=3, tool_calls=[{**OTHER, "index": 1}, {"index": 0, "function": {"arguments": '{"city":"Köln"}'}}]
    ),
]


async def thoughtful(request: Any) -> Any:
    for each in CHUNKS if request.stream else ():
        yield each
    yield response("One moment.", reasoning_content="Hm.", tool_calls=[CALL, OTHER], provider_content=OWN)


def test_an_answer_is_read_whole_and_says_that_nothing_is_stored():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            read = await sdk.responses.create(
                model="large", input="Hi.", instructions="Be brief.", max_output_tokens=9,
                reasoning={"effort": "low"}, text={"verbosity": "low"}, metadata={"a": "b"},
            )  # fmt: skip
            return read, gateway.exchange.asked[0]

    read, asked = served(words("Grüße, ", "reader."), use)

    assert (read.output_text, read.status, read.store) == ("Grüße, reader.", "completed", False)
    assert (read.usage.input_tokens, read.usage.output_tokens_details.reasoning_tokens) == (12, 1)
    assert (read.instructions, read.metadata, read.max_output_tokens) == ("Be brief.", {"a": "b"}, 9)
    assert [(turn.role, turn.content) for turn in asked.messages] == [
        ("system", "Be brief."),
        ("user", "Hi."),
    ]
    assert asked.output_limit_tokens == 9
    assert asked.model_extra == {"reasoning_effort": "low", "verbosity": "low"}


def test_a_stream_makes_the_same_items_as_the_whole_answer():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            whole = await sdk.responses.create(model="large", input="Hi.", tools=TOOLS)
            async with sdk.responses.stream(model="large", input="Hi.", tools=TOOLS) as stream:
                events = [event async for event in stream]
                return whole, events, await stream.get_final_response()

    whole, events, final = served(thoughtful, use)

    kept = ("reasoning", "message", "function_call", "function_call")
    assert tuple(item.type for item in final.output) == tuple(item.type for item in whole.output) == kept
    assert final.output_text == whole.output_text == "One moment."
    assert [item.arguments for item in final.output[2:]] == ['{"city":"Köln"}', "{}"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    done = [event.item.id for event in events if event.type == "response.output_item.done"]
    assert sorted(done) == sorted(item.id for item in final.output)


def test_thinking_comes_back_sealed_and_tools_round_trip():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            async with sdk.responses.stream(
                model="large", input="Hi.", tools=TOOLS, include=SEALED
            ) as stream:
                read = await stream.get_final_response()
            said: list[Any] = [item.to_dict() for item in read.output]
            result: Any = {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}
            turns: list[Any] = [{"role": "user", "content": "Hi."}, *said, result]
            await sdk.responses.create(model="large", input=turns, include=SEALED, tools=TOOLS)
            return gateway.exchange.asked[-1].messages

    turns = served(thoughtful, use)

    assert [turn.role for turn in turns] == ["user", "assistant", "tool"]
    assert turns[1].content == [{"type": "text", "text": "One moment."}]
    assert turns[1].tool_calls == [CALL, OTHER]
    assert (turns[1].reasoning_content, turns[1].provider_content) == ("Hm.", OWN)


def test_an_answer_that_was_cut_is_incomplete():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            read = await sdk.responses.create(model="large", input="Hi.")
            stream = await sdk.responses.create(model="large", input="Hi.", stream=True)
            return read, [event async for event in stream][-1]

    read, last = served(says(response("Hi", finish_reason="length")), use)

    assert (read.status, read.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (last.type, last.response.output_text) == ("response.incomplete", "Hi")


def test_a_failure_has_its_status_before_the_stream_and_is_an_error_within():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            with pytest.raises(openai.BadRequestError):
                await sdk.responses.create(model="large", input="Hi.", stream=True)
            gateway.exchange.script = says(chunk("Hi"), failure(Code.INTERNAL))
            stream = await sdk.responses.create(model="large", input="Hi.", stream=True)
            with pytest.raises(openai.APIError) as caught:
                _ = [event async for event in stream]
            return caught.value.code

    assert served(says(failure(Code.REFUSED)), use) == "internal"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.type"),
        ({"input": [{"type": "reasoning", "id": "x", "summary": [], "encrypted_content": "gAAA"}]},
         "input.0.encrypted_content"),
    ],
)  # fmt: skip
def test_what_cant_be_honoured_is_refused_by_name(fields: dict[str, Any], param: str):
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            with pytest.raises(openai.BadRequestError) as caught:
                await sdk.responses.create(**{"model": "large", "input": "Hi.", **fields})
            return caught.value.param, len(gateway.exchange.asked)

    assert served(words("x"), use) == (param, 0)
