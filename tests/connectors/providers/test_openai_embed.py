"""The codec of OpenAI's embeddings."""

from typing import Any

import orjson
import pytest

from connectors.providers.openai_embed import decode_embeddings, encode_embeddings
from connectors.providers.openai_quirks import QUIRKS
from schemas.calls import Malformed, Missing, RateLimit, Refused, Throttled
from schemas.responses import Usage
from tests.support.calls import make_route


def reply(*data: object, **fields: Any) -> bytes:
    return orjson.dumps({"object": "list", "data": list(data), "model": "embed", **fields})


def test_a_wish_goes_to_the_routes_model_and_address():
    route = make_route("vllm", model="bge", api_key="k")
    wish = {"input": ["a"], "model": "some", "dimensions": 2}
    request = encode_embeddings(route, "req-1", wish, QUIRKS["vllm"])

    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8000/v1/embeddings")
    assert request.headers["authorization"] == "Bearer k"
    assert orjson.loads(request.body) == {
        "input": ["a"],
        "model": "bge",
        "dimensions": 2,
        "encoding_format": "float",
    }


@pytest.mark.parametrize("given", [None, "", [], 5, {"a": 1}])
def test_a_wish_without_an_input_is_refused(given: object):
    with pytest.raises(Refused, match="`input`"):
        encode_embeddings(make_route(), "req-1", {"input": given})


def test_a_route_without_an_address_is_missing():
    with pytest.raises(Missing, match="api_base"):
        encode_embeddings(make_route("openai_like"), "req-1", {"input": "a"}, QUIRKS["openai_like"])


def test_vectors_stand_in_the_order_of_the_inputs():
    body = reply(
        {"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}, usage={"prompt_tokens": 4}
    )
    found = decode_embeddings(200, {"x-ratelimit-limit-tokens": "9"}, body)

    assert found.vectors == ((1.0, 2.0), (3.0, 4.0))
    assert (found.model, found.usage) == ("embed", Usage(input_tokens=4))
    assert found.usage_raw == {"prompt_tokens": 4}
    assert found.limits == (RateLimit("tokens", 9, None, None),)


def test_vectors_without_a_place_stand_as_they_came():
    found = decode_embeddings(200, {}, reply({"embedding": [1]}, {"embedding": "AACAPg=="}))

    assert found.vectors == ((1.0,), (0.25,))
    assert found.usage is found.usage_raw is None


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        reply(),
        reply("a"),
        reply({}),
        reply({"embedding": "%"}),
        reply({"embedding": "AAA="}),
        reply({"embedding": ["a"]}),
        reply({"embedding": [1], "index": "a"}),
        b'{"data": [{"embedding": [1], "index": 1e999}]}',
    ],
)
def test_a_reply_without_vectors_is_malformed(body: bytes):
    with pytest.raises(Malformed):
        decode_embeddings(200, {}, body)


def test_a_bad_status_and_an_error_behind_a_good_one_are_told():
    with pytest.raises(Throttled):
        decode_embeddings(429, {}, b"")
    with pytest.raises(Refused, match="too long"):
        decode_embeddings(200, {}, b'{"error": {"message": "too long", "type": "invalid_request_error"}}')
