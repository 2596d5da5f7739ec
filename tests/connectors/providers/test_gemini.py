"""The codec of Gemini's generateContent: addresses and answers."""

from typing import Any

import orjson
import pytest

from connectors.providers.gemini import GeminiCodec, GeminiStream
from schemas.calls import Malformed, Missing, ProviderError, Refused, Throttled, Unavailable
from schemas.responses import Usage
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire, wire_json

CODEC = GeminiCodec()


def reply(*parts: dict[str, Any], reason: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason, **fields}]}


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def read(value: object) -> Any:
    return CODEC.decode(200, {}, orjson.dumps(value))


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (None, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
        ("http://x", "http://x/v1beta/models/m:generateContent"),
        ("http://x/v1beta/", "http://x/v1beta/models/m:generateContent"),
        ("http://x/v1", "http://x/v1/models/m:generateContent"),
        ("http://x/v1alpha", "http://x/v1alpha/models/m:generateContent"),
        ("http://x/gemini/", "http://x/gemini/v1beta/models/m:generateContent"),
    ],
)
def test_a_call_goes_to_the_routes_address_with_or_without_a_version(base: str | None, expected: str):
    request = CODEC.encode(make_call(route=make_route("gemini", model="m", api_base=base)))

    assert (request.method, request.url) == ("POST", expected)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/m-1", "/v1beta/models/m-1"),
        ("tunedModels/t", "/v1beta/tunedModels/t"),
        ("a b?c#d", "/v1beta/models/a%20b%3Fc%23d"),
    ],
)
def test_a_model_is_a_resource(model: str, path: str):
    request = CODEC.encode(
        make_call(route=make_route("gemini", model=model, api_base="http://x"), stream=True)
    )

    assert request.url == f"http://x{path}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("key", "extra", "expected"),
    [
        ("k-secret\n", {}, {"x-goog-api-key": "k-secret"}),
        ("k-secret", {"X-Goog-Api-Key": "other"}, {"x-goog-api-key": "other"}),
        (
            "k-secret",
            {"Authorization": "Bearer t"},
            {"x-goog-api-key": "k-secret", "authorization": "Bearer t"},
        ),
        (None, {"Authorization": "Bearer t"}, {"authorization": "Bearer t"}),
    ],
)
def test_the_key_goes_in_a_header_and_never_in_the_url(
    key: str | None, extra: dict[str, str], expected: dict[str, str]
):
    route = make_route("gemini", api_key=key, params={"extra_headers": extra})
    for request in (CODEC.encode(make_call(route=route)), CODEC.encode_count(make_call(route=route))):
        assert request.headers == {"content-type": "application/json", "x-request-id": "req-1", **expected}
        assert "secret" not in request.url


def test_a_whole_reply_is_read():
    answer = CODEC.decode(200, {}, wire("gemini_text.reply.json"))

    assert (answer.text, answer.finish_reason, answer.finish_reason_raw) == ("Grüße, reader.", "stop", "STOP")
    assert answer.model == "gemini-2.5-flash-001"
    assert answer.usage == Usage(input_tokens=21, output_tokens=13, cached_tokens=16, reasoning_tokens=4)
    assert answer.usage_raw == wire_json("gemini_text.reply.json")["usageMetadata"]
    assert answer.provider_content is None


def test_calls_are_read_and_get_ids_where_the_api_gives_none():
    answer = CODEC.decode(200, {}, wire("gemini_tools.reply.json"))
    own = read(reply({"functionCall": {"name": "f"}}, {"functionCall": {"name": "g", "id": "own"}}))

    assert answer.finish_reason == "tool_calls"
    assert [(call["id"], call["function"]) for call in answer.tool_calls] == [
        ("call_0", {"name": "get_weather", "arguments": '{"city":"Köln"}'}),
        ("call_1", {"name": "get_weather", "arguments": '{"city":"Bonn","days":2}'}),
    ]
    assert answer.tool_calls[0]["extra_content"] == {"google": {"thought_signature": "c2lnbmF0dXJlLTE="}}
    assert [(call["id"], call["function"]["arguments"]) for call in own.tool_calls] == [
        ("call_0", "{}"),
        ("own", "{}"),
    ]
    assert own.provider_content is None


def test_signed_and_unknown_parts_are_kept_as_they_came():
    body = wire_json("gemini_rich.reply.json")
    parts = body["candidates"][0]["content"]["parts"]
    answer = CODEC.decode(200, {}, orjson.dumps(body))
    thoughts = {"text": parts[0]["text"] + parts[1]["text"], "thought": True}

    assert (answer.text, answer.reasoning) == ("It is 42.", thoughts["text"])
    assert answer.provider_content == {
        "format": "gemini",
        "content": [thoughts, *parts[2:]],
        "metadata": {"groundingMetadata": body["candidates"][0]["groundingMetadata"]},
    }
    assert answer.usage is not None
    assert answer.usage.input_tokens == 21 + 5


@pytest.mark.parametrize(
    "part",
    [
        {"text": "a", "thoughtSignature": "cw=="},
        {"functionCall": {"name": "f"}, "thoughtSignature": "cw=="},
        {"functionCall": {"name": "f", "made_up": 1}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"made_up": 1},
    ],
)
def test_any_part_that_openais_shape_cannot_hold_is_kept(part: dict[str, Any]):
    assert read(reply({"text": "b"}, part)).provider_content == {
        "format": "gemini",
        "content": [{"text": "b"}, part],
    }


def test_what_was_kept_goes_back_as_it_was():
    answer = CODEC.decode(200, {}, wire("gemini_tools.reply.json"))
    turns = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": list(answer.tool_calls),
            "provider_content": answer.provider_content,
        },
        {"role": "tool", "tool_call_id": answer.tool_calls[1]["id"], "content": "1"},
    ]
    first, second = orjson.loads(CODEC.encode(make_call({"messages": turns})).body)["contents"]

    assert first["parts"] == wire_json("gemini_tools.reply.json")["candidates"][0]["content"]["parts"]
    assert second["parts"] == [{"functionResponse": {"name": "get_weather", "response": {"result": "1"}}}]


def test_log_probabilities_have_openais_shape():
    answer = CODEC.decode(200, {}, wire("gemini_rich.reply.json"))
    bare = read(
        reply({"text": "a"}, logprobsResult={"chosenCandidates": [{"token": "ü", "logProbability": -1}]})
    )

    assert answer.logprobs is not None
    first, second = answer.logprobs["content"]
    assert (first["token"], first["logprob"], first["bytes"]) == ("It is ", -0.25, list(b"It is "))
    assert [other["token"] for other in second["top_logprobs"]] == ["42.", "43."]
    assert bare.logprobs == {
        "content": [{"token": "ü", "logprob": -1, "bytes": [195, 188], "top_logprobs": []}]
    }


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("STOP", "stop"), ("MAX_TOKENS", "length"), ("CONTINUATION", "length"), ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"), ("BLOCKLIST", "content_filter"), ("SPII", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"), ("IMAGE_SAFETY", "content_filter"),
        ("LANGUAGE", "content_filter"), ("OTHER", "stop"), ("MADE_UP", "stop"), (None, "stop"),
    ],
)  # fmt: skip
def test_a_finish_reason_is_one_of_four(reason: str | None, finish_reason: str):
    answer = read(reply({"text": "a"}, reason=reason))

    assert (answer.finish_reason, answer.finish_reason_raw) == (finish_reason, reason)


@pytest.mark.parametrize(
    ("reason", "leaf"),
    [
        ("MALFORMED_FUNCTION_CALL", Unavailable), ("UNEXPECTED_TOOL_CALL", Unavailable),
        ("NO_IMAGE", Unavailable), ("MISSING_THOUGHT_SIGNATURE", Refused), ("PUP_LIMITED_DISABLED", Missing),
    ],
)  # fmt: skip
def test_an_end_that_is_no_answer_is_an_error(reason: str, leaf: type[ProviderError]):
    with pytest.raises(leaf, match=f"ended the answer with {reason}: print\\(f\\)$"):
        read(reply({"text": "a"}, reason=reason, finishMessage="print(f)"))


@pytest.mark.parametrize("parts", [[], [{"text": ""}]])
def test_an_unknown_end_without_content_is_an_error(parts: list[Any]):
    with pytest.raises(Unavailable, match=r"ended the answer with OTHER$"):
        read(reply(*parts, reason="OTHER"))

    assert read(reply(*parts)).text == ""


def test_an_answer_that_was_blocked_is_filtered():
    answer = CODEC.decode(200, {}, wire("gemini_safety.reply.json"))

    assert (answer.text, answer.finish_reason, answer.finish_reason_raw) == ("", "content_filter", "SAFETY")


def test_a_blocked_prompt_is_refused_with_its_reason_and_categories():
    body = wire_json("gemini_blocked.reply.json")
    with pytest.raises(Refused, match=r"blocked the prompt: SAFETY \(HARM_CATEGORY_DANGEROUS_CONTENT\)$"):
        read(body)
    with pytest.raises(Refused, match="SAFETY"):
        GeminiStream().feed(event(body))
    with pytest.raises(Refused, match=r"blocked the prompt: OTHER: not here$"):
        read({"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "not here"}})

    assert read({**reply({"text": "a"}), "promptFeedback": {"safetyRatings": []}}).text == "a"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "no `candidates`"),
        (b'{"candidates": []}', "no `candidates`"),
        (b"nothing", "not JSON"),
        (b"[nothing", "not JSON"),
        (b"5", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"[5]", "not a JSON object"),
        (orjson.dumps(reply({"functionCall": {}})), "no name"),
        (orjson.dumps(reply({"functionCall": {"name": "f", "args": [1]}})), "no arguments"),
    ],
)
def test_what_is_no_answer_is_malformed(body: bytes, reason: str):
    with pytest.raises(Malformed, match=reason):
        CODEC.decode(200, {}, body)


def test_an_error_is_raised_by_its_name_whatever_the_status():
    with pytest.raises(Throttled) as caught:
        CODEC.decode(429, {}, wire("gemini_quota.error.json"))
    with pytest.raises(Throttled):
        CODEC.decode(200, {}, wire("gemini_quota.error.json"))
    with pytest.raises(Unavailable, match="500: broken"):
        CODEC.decode(200, {}, b'{"error": "broken"}')

    assert caught.value.retry_after_s == 36.5


def test_only_the_first_candidate_is_read():
    body = {
        "candidates": [
            {"index": 1, "content": {"parts": [{"text": "b"}]}},
            *reply({"text": "a"})["candidates"],
        ]
    }

    assert read(body).text == "a"


def test_a_type_says_whether_a_reply_is_a_stream():
    assert CODEC.streams("text/event-stream; charset=utf-8")
    assert not CODEC.streams("application/json")
    assert not CODEC.streams("text/html")


def test_tokens_are_counted_by_the_whole_call():
    route = make_route("gemini", model="m", api_base="http://x")
    call = make_call(
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]}, route=route
    )
    request = CODEC.encode_count(call)

    assert request.url == "http://x/v1beta/models/m:countTokens"
    assert orjson.loads(request.body) == {
        "generateContentRequest": {"model": "models/m", **orjson.loads(CODEC.encode(call).body)}
    }
    assert CODEC.decode_count(200, {}, b'{"totalTokens": 31, "cachedContentTokenCount": 3}') == 31
    with pytest.raises(Malformed, match="no `totalTokens`"):
        CODEC.decode_count(200, {}, b"{}")
    with pytest.raises(Throttled):
        CODEC.decode_count(429, {}, b"")
