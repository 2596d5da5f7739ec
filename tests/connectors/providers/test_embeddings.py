"""Vectors through the codecs: what is asked, what is read, who refuses."""

import asyncio
from typing import Any

import orjson
import pytest

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.extractive import Extractive
from connectors.providers.gemini import GeminiCodec
from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from connectors.providers.registry import Registry
from connectors.providers.wire import Codec
from schemas.calls import Answer, Call, Malformed, Refused, Unavailable
from schemas.responses import Usage
from tests.support.calls import always, make_call, make_route
from tests.support.loopback import Loopback, Received, Reply

SECRET = "a secret of four and twenty letters"
VECTORS = ((1.0, 2.0), (3.0, 4.5))
REPLIES: dict[str, tuple[Codec, dict[str, Any], Usage | None]] = {
    "openai": (
        OpenAICodec(),
        {"object": "list", "model": "m", "usage": {"prompt_tokens": 4},
         "data": [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1, 2]}]},
        Usage(input_tokens=4),
    ),
    "ollama": (
        OllamaCodec(),
        {"model": "m", "embeddings": [[1, 2], [3, 4.5]], "prompt_eval_count": 4},
        Usage(input_tokens=4),
    ),
    "gemini": (GeminiCodec(), {"embeddings": [{"values": [1, 2]}, {"values": [3, 4.5]}]}, None),
}  # fmt: skip


def wish(provider: str = "openai", **fields: Any) -> Call:
    route = make_route(provider, model="m", **fields.pop("route", {}))
    return make_call({"model": "m", "input": ["a", "b"], **fields}, route=route)


def asked(codec: Codec, call: Call) -> tuple[str, Any]:
    request = codec.encode(call)
    return request.url, orjson.loads(request.body)


def test_openai_is_asked_for_numbers_whatever_the_response_shall_have():
    url, body = asked(OpenAICodec(), wish(encoding_format="base64", dimensions=2, user="u-1"))

    assert url == "https://api.openai.com/v1/embeddings"
    assert body == {
        "model": "m", "input": ["a", "b"], "dimensions": 2, "user": "u-1", "encoding_format": "float",
    }  # fmt: skip


def test_openai_takes_tokens_and_a_routes_dimensions():
    call = wish(input=[[1, 2], [3]], route={"params": {"dimensions": 8, "temperature": 1}})

    assert asked(OpenAICodec(), call)[1] == {
        "model": "m", "input": [[1, 2], [3]], "dimensions": 8, "encoding_format": "float",
    }  # fmt: skip


def test_ollama_is_told_to_fail_rather_than_to_cut():
    url, body = asked(OllamaCodec(), wish("ollama", input="a", dimensions=2, keep_alive="5m"))

    assert url == "http://127.0.0.1:11434/api/embed"
    assert body == {"model": "m", "input": ["a"], "truncate": False, "dimensions": 2, "keep_alive": "5m"}


def test_gemini_is_asked_for_all_texts_at_once():
    url, body = asked(GeminiCodec(), wish("gemini", dimensions=2, taskType="RETRIEVAL_QUERY", user="u-1"))

    assert url.endswith("/v1beta/models/m:batchEmbedContents")
    shared = {"model": "models/m", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 2}
    assert body == {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in ("a", "b")]}


@pytest.mark.parametrize("name", REPLIES)
def test_vectors_are_read_in_the_order_of_the_inputs(name: str):
    codec, reply, usage = REPLIES[name]

    found = codec.decode(200, {}, orjson.dumps(reply))

    assert (found.embeddings, found.usage, found.finish_reason) == (VECTORS, usage, "stop")


@pytest.mark.parametrize("name", ["ollama", "gemini"])
def test_tokens_and_unknown_parameters_are_refused_by_name_where_they_mean_nothing(name: str):
    codec = REPLIES[name][0]

    with pytest.raises(Refused, match="tokens"):
        codec.encode(wish(name, input=[1, 2]))
    with pytest.raises(Refused, match="`temperature_of`"):
        codec.encode(wish(name, temperature_of=1))
    codec.encode(wish(name, temperature_of=1, route={"drop_params": True}))


def test_who_has_no_embeddings_says_so():
    with pytest.raises(Refused, match="no embeddings"):
        AnthropicCodec().encode(wish("anthropic"))
    with pytest.raises(Refused, match="no embeddings"):
        Extractive().encode(wish("extractive"))


def served(provider: str, status: int, reply: Any) -> Answer:
    """What a provider makes of a reply that comes over HTTP."""

    async def script(_received: Received, out: Reply) -> None:
        await out.whole(status, orjson.dumps(reply))

    async def main() -> Answer:
        async with Loopback(script) as server:
            route = make_route(provider, model="m", api_base=server.url)
            call = make_call({"model": "m", "input": [SECRET, "b"]}, route=route)
            registry = Registry()
            try:
                return await registry.of(route).complete(call, None, None, always)
            finally:
                await registry.close()

    return asyncio.run(main())


def test_vectors_come_through_the_shell_and_an_error_never_quotes_the_texts():
    assert served("openai", 200, REPLIES["openai"][1]).embeddings == VECTORS

    with pytest.raises(Unavailable) as caught:
        served("openai", 500, {"error": {"message": f"bad: {SECRET}"}})
    assert caught.value.reason == "500: bad: [prompt]"


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize("wrong", ["x", [], [["a"]], [None], None, "one"])
def test_what_is_no_vector_for_each_text_is_malformed(name: str, wrong: Any):
    _, reply, _ = REPLIES[name]
    field = "data" if name == "openai" else "embeddings"
    held = reply[field][:1] if wrong == "one" else wrong

    with pytest.raises(Malformed):
        served(name, 200, {**reply, field: held})
