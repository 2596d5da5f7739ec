"""Usage, limits and errors of OpenAI's format, and the joining of what a stream cut."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_reply import joined, usage
from schemas.calls import Missing, ProviderError, RateLimit, Refused
from schemas.responses import Usage
from tests.support.fixtures import wire

CODEC = OpenAICodec()
LIMITS = {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "9"}
READ_LIMITS = (RateLimit("requests", 10, 9, None),)


@pytest.mark.parametrize(
    ("raw", "read_"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(input_tokens=5, output_tokens=2)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
            Usage(input_tokens=9, cached_tokens=4, cache_write_tokens=3),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(input_tokens=9, cached_tokens=4)),
        ({"prompt_tokens": 9, "cached_tokens": 4}, Usage(input_tokens=9, cached_tokens=4)),
        ({"prompt_tokens": 9, "cache_creation_input_tokens": 4}, Usage(input_tokens=9, cache_write_tokens=4)),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "reasoning_tokens": 3},
            Usage(input_tokens=9, output_tokens=5, reasoning_tokens=3),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input_tokens=9, output_tokens=8, reasoning_tokens=3),
        ),
        ({"prompt_tokens": 9, "prompt_tokens_details": "none"}, Usage(input_tokens=9)),
        ({"total_tokens": 9}, None),
        ("many", None),
    ],
)
def test_usage_is_read_in_all_its_dialects(raw: object, read_: Usage | None):
    assert usage(raw) == read_


def test_limits_are_told_by_answers_and_by_errors():
    answer = CODEC.decode(200, LIMITS, wire("openai_text.reply.json"))
    with pytest.raises(ProviderError) as error:
        CODEC.decode(429, LIMITS, b'{"error": {"message": "slow down"}}')
    with pytest.raises(Missing) as account:
        CODEC.decode(429, LIMITS, b'{"error": {"message": "no quota", "code": "insufficient_quota"}}')

    assert answer.limits == error.value.limits == account.value.limits == READ_LIMITS


@pytest.mark.parametrize(
    ("status", "error", "leaf"),
    [
        (400, {"message": "Incorrect API key provided: xa***"}, Missing),
        (400, {"message": "x", "type": "invalid_model"}, Missing),
        (400, {"message": "x", "code": "model_not_found"}, Missing),
        (400, {"message": "the text says: incorrect", "type": "invalid_request_error"}, Refused),
        (422, {"message": "Incorrect API key in the text"}, Refused),
    ],
)
def test_a_bad_status_that_another_route_may_mend_is_told_apart(
    status: int, error: dict[str, Any], leaf: type[ProviderError]
):
    with pytest.raises(leaf, match=str(status)):
        CODEC.decode(status, {}, orjson.dumps({"error": error}))


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


@given(st.text(max_size=12), st.text(max_size=12), st.lists(st.integers(0, 99), max_size=4))
def test_joining_mends_what_a_stream_cut(text: str, other: str, places: list[int]):
    pieces = [
        {
            "id": "a",
            "index": 0,
            "text": part,
            "none": None,
            "parts": [{"index": 1, "text": part}, {"index": 0, "text": part, "last": place}],
            "plain": [part],
            "object": {"text": part, "other": other if not place else None},
            "number": place,
        }
        for place, part in enumerate(cut(text, places))
    ]

    assert joined(pieces) == {
        "id": "a",
        "index": 0,
        "text": text,
        "none": None,
        "parts": [{"index": 1, "text": text}, {"index": 0, "text": text, "last": len(places)}],
        "plain": cut(text, places),
        "object": {"text": text, "other": other},
        "number": len(places),
    }
