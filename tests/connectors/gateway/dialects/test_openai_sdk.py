"""The official OpenAI SDK as the oracle of what is written: it reads answers, streams and errors."""

from typing import Any

import openai
import pytest

from connectors.gateway.ports import Problem
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
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'},
}
DELTAS = [
    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"city":'}},
]
LOGPROBS = [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]


def client(gateway: Gateway, **settings: Any) -> openai.AsyncOpenAI:
    made = {"base_url": f"{gateway.url}/v1", "api_key": KEY, "max_retries": 0, **settings}
    return openai.AsyncOpenAI(**made)


def test_an_answer_is_read_whole_with_who_gave_it():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            return await sdk.chat.completions.with_raw_response.create(model="large", messages=HI)

    raw = served(words("Grüße, ", "reader."), use)
    read = raw.parse()

    assert read.choices[0].message.content == "Grüße, reader."
    assert read.choices[0].finish_reason == "stop"
    assert (read.id, read.model, read.object) == ("chatcmpl-1", "echo-1", "chat.completion")
    assert (read.usage.prompt_tokens, read.usage.completion_tokens, read.usage.total_tokens) == (12, 5, 17)
    assert read.usage.prompt_tokens_details.cached_tokens == 4
    assert read._request_id == "req_1"
    weir = {name: value for name, value in raw.headers.items() if name.startswith("x-weir-")}
    assert weir == {
        "x-weir-model": "echo-1",
        "x-weir-provider": "fake",
        "x-weir-attempts": "2",
        "x-weir-fallbacks": "1",
        "x-weir-cost-usd": "0.00012",
        "x-weir-cache": "off",
    }


def test_a_stream_is_read_piece_by_piece_and_its_usage_only_where_asked_for():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            plain = await sdk.chat.completions.create(model="large", messages=HI, stream=True)
            counted = await sdk.chat.completions.create(
                model="large", messages=HI, stream=True, stream_options={"include_usage": True}
            )
            return [piece async for piece in plain], [piece async for piece in counted]

    plain, counted = served(words("Grüße, ", "reader."), use)

    assert [piece.choices[0].delta.content for piece in plain] == ["", "Grüße, ", "reader.", None]
    assert plain[0].choices[0].delta.role == "assistant"
    assert [piece.choices[0].finish_reason for piece in plain] == [None, None, None, "stop"]
    assert {piece.id for piece in plain} == {"chatcmpl-1"}
    assert {piece.model for piece in plain} == {"large"}
    assert plain[-1].model_extra["weir"]["model"] == "echo-1"
    assert counted[-1].choices == []
    assert counted[-1].usage.total_tokens == 17
    assert [piece.usage for piece in counted[:-1]] == [None] * 4


def test_tools_go_round_trip_streamed_and_whole():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            whole = await sdk.chat.completions.create(model="large", messages=HI)
            message = whole.choices[0].message
            results: list[Any] = [{"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"}]
            again = [*HI, message.to_dict(), *results]
            async with sdk.chat.completions.stream(model="large", messages=again) as stream:
                return message, await stream.get_final_completion(), gateway.exchange.asked[-1]

    async def script(request: Any) -> Any:
        if request.stream:
            yield chunk(seq=0, tool_calls=DELTAS)
            yield chunk(seq=1, tool_calls=[{"index": 0, "function": {"arguments": '"Köln"}'}}])
        yield response("", tool_calls=[CALL])

    message, streamed, asked = served(script, use)

    assert message.content is None
    assert message.tool_calls[0].function.arguments == '{"city":"Köln"}'
    assert streamed.choices[0].message.tool_calls[0].function.arguments == '{"city":"Köln"}'
    assert streamed.choices[0].finish_reason == "tool_calls"
    assert [turn.role for turn in asked.messages] == ["user", "assistant", "tool"]
    assert asked.messages[1].tool_calls == [CALL]


def test_schema_pictures_and_logprobs_pass_both_ways():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}

    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            turns: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "What?"}, picture]}]
            read = await sdk.chat.completions.create(
                model="large", messages=turns, response_format=form, logprobs=True, top_logprobs=2
            )
            stream = await sdk.chat.completions.create(
                model="large", messages=turns, logprobs=True, stream=True
            )
            return read, [piece async for piece in stream], gateway.exchange.asked[0]

    read, pieces, asked = served(
        says(chunk("Hi", logprobs=LOGPROBS), response("Hi", logprobs={"content": LOGPROBS})), use
    )

    assert read.choices[0].logprobs.content[0].token == "Hi"
    assert pieces[1].choices[0].logprobs.content[0].logprob == -0.1
    assert asked.messages[0].content[1] == picture
    assert asked.response_format == form
    assert asked.model_extra == {"logprobs": True, "top_logprobs": 2}


def test_thinking_and_the_providers_own_content_are_there_and_come_back():
    own = {"format": "anthropic", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}]}

    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            read = await sdk.chat.completions.create(model="large", messages=HI)
            turn: Any = read.choices[0].message.to_dict()
            stream = await sdk.chat.completions.create(model="large", messages=[*HI, turn, *HI], stream=True)
            return read, [piece async for piece in stream], gateway.exchange.asked[-1]

    answer = response("Hi.", reasoning_content="Hm.", provider_content=own)
    read, pieces, asked = served(says(answer), use)

    assert read.choices[0].message.model_extra["reasoning_content"] == "Hm."
    assert pieces[1].choices[0].delta.model_extra["reasoning_content"] == "Hm."
    assert pieces[-1].choices[0].delta.model_extra["provider_content"] == own
    assert asked.messages[1].provider_content == own


def test_completions_of_old_clients_are_read():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            whole = await sdk.completions.create(model="large", prompt="Say hi.")
            stream = await sdk.completions.create(model="large", prompt=["Say hi."], stream=True)
            return whole, [piece async for piece in stream], gateway.exchange.asked[-1]

    whole, pieces, asked = served(words("Grüße, ", "reader."), use)

    assert (whole.choices[0].text, whole.usage.total_tokens) == ("Grüße, reader.", 17)
    assert "".join(piece.choices[0].text for piece in pieces) == "Grüße, reader."
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert asked.prompt == "Say hi."


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_vectors_are_read_as_numbers_and_as_base64(form: Any):
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            read = await sdk.embeddings.create(model="large", input=["a", "b"], dimensions=2, **form)
            raw = await sdk.embeddings.with_raw_response.create(model="large", input=[[1, 2], [3]])
            return read, raw.http_response.json(), gateway.exchange.asked

    packed = ["AACAPwAAAL8=", "AACAPgAAAEA="]
    read, raw, asked = served(says(response(None, embeddings=packed)), use)

    vectors: list[Any] = [[1.0, -0.5], [0.25, 2.0]]
    assert [entry.embedding for entry in read.data] == (
        packed if form.get("encoding_format") == "base64" else vectors
    )
    assert [entry["embedding"] for entry in raw["data"]] in (packed, vectors)
    assert (read.model, read.usage.prompt_tokens, read.usage.total_tokens) == ("echo-1", 12, 17)
    assert [request.encoding_format for request in asked] == ["base64", "base64"]
    assert (asked[0].dimensions, asked[1].input) == (2, [[1, 2], [3]])


def test_models_are_listed_and_found_by_names_with_slashes():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as sdk:
            listed = [model.id async for model in sdk.models.list()]
            one = await sdk.models.retrieve("openai/gpt-5")
            with pytest.raises(openai.NotFoundError) as caught:
                await sdk.models.retrieve("none")
            return listed, one, caught.value.code

    listed, one, code = served(words("x"), use)

    assert listed == ["auto", "large", "openai/gpt-5"]
    assert (one.id, one.owned_by, code) == ("openai/gpt-5", "weir", "model_not_found")


FAILURES = [
    (failure(Code.INVALID_REQUEST, "`seed` is wrong", "seed"), openai.BadRequestError, 1, "invalid_request"),
    (failure(Code.TOKEN_LIMIT_EXCEEDED), openai.BadRequestError, 1, "context_length_exceeded"),
    (failure(Code.MODEL_UNAVAILABLE, where="model"), openai.NotFoundError, 1, "model_not_found"),
    (failure(Code.MODEL_UNAVAILABLE), openai.InternalServerError, 3, "model_unavailable"),
    (failure(Code.BUDGET_EXCEEDED), openai.RateLimitError, 1, "budget_exceeded"),
    (failure(Code.DEADLINE_EXCEEDED), openai.InternalServerError, 1, "deadline_exceeded"),
    (failure(Code.CANCELLED), openai.APIStatusError, 1, "cancelled"),
    (failure(Code.REFUSED), openai.BadRequestError, 1, "refused"),
    (failure(Code.UNKNOWN_OUTCOME), openai.InternalServerError, 1, "unknown_outcome"),
    (failure(Code.INTERNAL), openai.InternalServerError, 1, "internal"),
]


@pytest.mark.parametrize("stream", [False, True])
def test_failures_raise_the_right_class_and_are_retried_only_where_that_may_help(stream: bool):
    async def use(gateway: Gateway) -> Any:
        met: list[tuple[type[Exception], int, object]] = []
        async with client(gateway, max_retries=2) as sdk:
            sdk._calculate_retry_timeout = lambda *_args, **_kwargs: 0.0
            for failed, *_ in FAILURES:
                gateway.exchange.script, before = says(failed), len(gateway.exchange.asked)
                with pytest.raises(openai.APIStatusError) as caught:
                    await sdk.chat.completions.create(model="large", messages=HI, stream=stream)
                assert (caught.value.request_id or "").startswith("req_")
                tries = len(gateway.exchange.asked) - before
                met.append((type(caught.value), tries, caught.value.code))
        return met

    assert served(words("x"), use) == [tuple(row[1:]) for row in FAILURES]


PROBLEMS = [
    (Problem(403, "forbidden", "no"), openai.PermissionDeniedError, 1),
    (Problem(413, "too_large", "no"), openai.APIStatusError, 1),
    (Problem(422, "conflict", "no"), openai.UnprocessableEntityError, 1),
    (Problem(429, "rate_limited", "no", headers={"retry-after-ms": "5"}), openai.RateLimitError, 3),
    (Problem(503, "overloaded", "no", headers={"retry-after-ms": "5"}), openai.InternalServerError, 3),
]


def test_problems_of_the_gateway_raise_the_right_class():
    async def use(gateway: Gateway) -> Any:
        met: list[tuple[type[Exception], int]] = []
        async with client(gateway, max_retries=2) as sdk:
            for problem, *_ in PROBLEMS:
                gateway.exchange.problems, before = [problem] * 3, len(gateway.exchange.asked)
                with pytest.raises(openai.APIStatusError) as caught:
                    await sdk.chat.completions.create(model="large", messages=HI)
                met.append((type(caught.value), len(gateway.exchange.asked) - before))
                assert caught.value.code == problem.code
        async with client(gateway, api_key="lk_bad") as sdk:
            with pytest.raises(openai.AuthenticationError) as caught:
                await sdk.chat.completions.create(model="large", messages=HI)
            assert caught.value.code == "invalid_api_key"
        return met

    assert served(words("x"), use) == [row[1:] for row in PROBLEMS]


def test_a_failure_in_mid_stream_is_an_error_and_never_an_end():
    failed = [failure(Code.UNKNOWN_OUTCOME, "nobody knows"), chunk("new", attempt=2)]

    async def use(gateway: Gateway) -> Any:
        codes: list[object] = []
        async with client(gateway) as sdk:
            for end in failed:
                gateway.exchange.script = says(chunk("old"), end, response("new"))
                stream = await sdk.chat.completions.create(model="large", messages=HI, stream=True)
                with pytest.raises(openai.APIError) as caught:
                    _ = [piece async for piece in stream]
                codes.append(caught.value.code)
                await gateway.exchange.answers[-1].closed.wait()
        return codes, [answers.cancelled for answers in gateway.exchange.answers]

    codes, cancelled = served(words("x"), use)

    assert codes == ["unknown_outcome", "stream_restarted"]
    assert cancelled == [False, True]
