"""The official Anthropic SDK as the oracle of what is written: it reads answers, streams and errors."""

from typing import Any

import anthropic
import pytest

from connectors.gateway.ports import Problem
from connectors.providers.anthropic_reply import answer
from schemas.codes import Code
from tests.connectors.gateway.dialects.serving import (
    KEY,
    Gateway,
    chunk,
    failure,
    response,
    says,
    served,
    words,
)

HI: list[Any] = [{"role": "user", "content": "Hi."}]
TOOLS: list[Any] = [{"name": "get_weather", "description": "Now.", "input_schema": {"type": "object"}}]
BLOCKS: list[Any] = [
    {"type": "thinking", "thinking": "Hm, so.", "signature": "EqQB"},
    {"type": "redacted_thinking", "data": "xyz"},
    {"type": "text", "text": "One moment."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln"}},
    {"type": "tool_use", "id": "toolu_2", "name": "get_time", "input": {}},
]
CHUNKS = [
    chunk(reasoning_content="Hm, "),
    chunk(seq=1, reasoning_content="so."),
    chunk("One ", seq=2),
    chunk("moment.", seq=3, tool_calls=[{"index": 0, "id": "toolu_1", "function": {"name": "get_weather"}}]),
    chunk(seq=4, tool_calls=[{"index": 0, "function": {"arguments": '{"city":'}}]),
    chunk(seq=5, tool_calls=[
        {"index": 0, "function": {"arguments": '"Köln"}'}},
        {"index": 1, "id": "toolu_2", "function": {"name": "get_time", "arguments": "{}"}},
    ]),
]  # fmt: skip


def client(gateway: Gateway, **settings: Any) -> anthropic.AsyncAnthropic:
    made = {"base_url": gateway.url, "api_key": KEY, "max_retries": 0, **settings}
    return anthropic.AsyncAnthropic(**made)


def claude_answer() -> Any:
    """The response to what Claude said in `BLOCKS`, as the worker makes it."""
    read = answer(BLOCKS, {"stop_reason": "tool_use"})
    return response(
        read.text,
        tool_calls=list(read.tool_calls),
        reasoning_content=read.reasoning,
        provider_content=read.provider_content,
        finish_reason_raw="tool_use",
    )


def test_an_answer_is_read_whole():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            return await sdk.messages.create(model="large", messages=HI, max_tokens=9)

    read = served(words("Grüße, ", "reader."), use)

    assert [block.to_dict() for block in read.content] == [{"type": "text", "text": "Grüße, reader."}]
    assert (read.id, read.model, read.stop_reason) == ("msg_1", "echo-1", "end_turn")
    assert (read.usage.input_tokens, read.usage.output_tokens) == (6, 5)
    assert (read.usage.cache_read_input_tokens, read.usage.cache_creation_input_tokens) == (4, 2)
    assert read._request_id == "req_1"


def test_a_stream_is_read_event_by_event():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            raw = await sdk.messages.create(model="large", messages=HI, max_tokens=9, stream=True)
            kinds = [event.type async for event in raw]
            async with sdk.messages.stream(model="large", messages=HI, max_tokens=9) as stream:
                texts = [text async for text in stream.text_stream]
                return kinds, texts, await stream.get_final_message()

    kinds, texts, final = served(words("Grüße, ", "reader."), use)

    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert texts == ["Grüße, ", "reader."]
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (6, 5, "end_turn")


def test_thinking_keeps_its_signature_and_tools_their_input_streamed_as_whole():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            whole = await sdk.messages.create(model="large", messages=HI, max_tokens=9, tools=TOOLS)
            async with sdk.messages.stream(model="large", messages=HI, max_tokens=9, tools=TOOLS) as stream:
                return whole, await stream.get_final_message()

    async def script(request: Any) -> Any:
        for each in CHUNKS if request.stream else ():
            yield each
        yield claude_answer()

    whole, streamed = served(script, use)

    assert [block.to_dict() for block in whole.content] == BLOCKS
    by_place = [BLOCKS[place] for place in (0, 2, 3, 4, 1)]
    assert [block.to_dict() for block in streamed.content] == by_place
    assert whole.stop_reason == streamed.stop_reason == "tool_use"


def test_an_answer_of_another_provider_is_said_in_blocks_and_comes_back():
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'},
    }

    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            read = await sdk.messages.create(model="large", messages=HI, max_tokens=9)
            said: Any = [block.to_dict() for block in read.content]
            result: Any = [{"type": "tool_result", "tool_use_id": "call_1", "content": "12 degrees"}]
            turns: list[Any] = [
                *HI,
                {"role": "assistant", "content": said},
                {"role": "user", "content": result},
            ]
            await sdk.messages.create(model="large", messages=turns, max_tokens=9)
            return said, gateway.exchange.asked[-1].messages

    said, turns = served(says(response("Hi.", reasoning_content="Hm.", tool_calls=[call])), use)

    assert said == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Hi."},
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Köln"}},
    ]
    assert [turn.role for turn in turns] == ["user", "assistant", "tool"]
    assert (turns[1].reasoning_content, turns[1].provider_content) == ("Hm.", None)
    assert turns[1].tool_calls == [call]
    assert (turns[2].tool_call_id, turns[2].content) == ("call_1", "12 degrees")


def test_tokens_are_counted_here():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            bare = await sdk.messages.count_tokens(model="large", messages=HI)
            more = await sdk.messages.count_tokens(
                model="large", messages=HI, system="Be brief.", tools=TOOLS
            )
            return bare.input_tokens, more.input_tokens, len(gateway.exchange.asked)

    assert served(words("x"), use) == (8, 8 + 6 + 1 + 8 + 346, 0)


def test_models_have_anthropics_shape_for_its_clients():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            pages = [model.id async for model in sdk.models.list(limit=1)]
            back = await sdk.models.list(limit=1, before_id="large")
            one = await sdk.models.retrieve("openai/gpt-5")
            return pages, [model.id for model in back.data], one

    pages, back, one = served(words("x"), use)

    assert pages == ["auto", "large", "openai/gpt-5"]
    assert back == ["auto"]
    assert (one.display_name, one.created_at.year) == ("openai/gpt-5", 2023)


FAILURES = [
    (failure(Code.INVALID_REQUEST, "`seed` is wrong", "seed"), anthropic.BadRequestError, 1),
    (failure(Code.TOKEN_LIMIT_EXCEEDED, "9 > 8"), anthropic.BadRequestError, 1),
    (failure(Code.MODEL_UNAVAILABLE, where="model"), anthropic.NotFoundError, 1),
    (failure(Code.MODEL_UNAVAILABLE), anthropic.OverloadedError, 3),
    (failure(Code.BUDGET_EXCEEDED), anthropic.RateLimitError, 1),
    (failure(Code.DEADLINE_EXCEEDED), anthropic.GatewayTimeoutError, 1),
    (failure(Code.REFUSED), anthropic.BadRequestError, 1),
    (failure(Code.UNKNOWN_OUTCOME), anthropic.InternalServerError, 1),
    (failure(Code.INTERNAL), anthropic.InternalServerError, 1),
    (Problem(403, "forbidden", "no"), anthropic.PermissionDeniedError, 1),
    (Problem(413, "too_large", "no"), anthropic.ContentTooLargeError, 1),
    (Problem(422, "conflict", "no"), anthropic.UnprocessableEntityError, 1),
    (Problem(429, "rate_limited", "no", headers={"retry-after-ms": "5"}), anthropic.RateLimitError, 3),
    (Problem(503, "overloaded", "no", headers={"retry-after-ms": "5"}), anthropic.OverloadedError, 3),
]


@pytest.mark.parametrize("stream", [False, True])
def test_failures_raise_the_right_class_and_are_retried_only_where_that_may_help(stream: bool):
    async def use(gateway: Gateway) -> Any:
        met: list[tuple[type[Exception], int]] = []
        async with client(gateway, max_retries=2) as sdk:
            sdk._calculate_retry_timeout = lambda *_args, **_kwargs: 0.0
            for failed, *_ in FAILURES:
                if isinstance(failed, Problem):
                    gateway.exchange.problems = [failed] * 3
                else:
                    gateway.exchange.script = says(failed)
                before = len(gateway.exchange.asked)
                with pytest.raises(anthropic.APIStatusError) as caught:
                    await sdk.messages.create(model="large", messages=HI, max_tokens=9, stream=stream)
                gateway.exchange.problems = []
                assert (caught.value.request_id or "").startswith("req_")
                met.append((type(caught.value), len(gateway.exchange.asked) - before))
        return met

    assert served(words("x"), use) == [row[1:] for row in FAILURES]


def test_a_wrong_key_and_a_too_long_prompt_are_said_as_anthropic_says_them():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway, api_key="lk_bad") as sdk:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await sdk.messages.create(model="large", messages=HI, max_tokens=9)
        async with client(gateway) as sdk:
            with pytest.raises(anthropic.BadRequestError) as long:
                await sdk.messages.create(model="large", messages=HI, max_tokens=9)
        return refused.value.body, long.value.body

    refused, long = served(says(failure(Code.TOKEN_LIMIT_EXCEEDED, "9 > 8")), use)

    assert refused["type"] == "error"
    assert refused["error"] == {"type": "authentication_error", "message": "the key is not known"}
    assert refused["request_id"].startswith("req_")
    assert long["error"] == {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}


def test_a_failure_in_mid_stream_is_an_error_and_never_an_end():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            stream = await sdk.messages.create(model="large", messages=HI, max_tokens=9, stream=True)
            with pytest.raises(anthropic.APIStatusError) as caught:
                _ = [event async for event in stream]
            return caught.value.body

    body = served(says(chunk("old"), chunk("new", attempt=2), response("new")), use)

    assert (body["type"], body["error"]["type"]) == ("error", "api_error")
    assert "began anew" in body["error"]["message"]
