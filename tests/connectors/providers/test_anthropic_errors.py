"""Errors of Claude: known by the status, and by the server's own name for them."""

from typing import Any

import orjson
import pytest

from connectors.providers.anthropic import AnthropicCodec
from schemas.calls import Missing, ProviderError, RateLimit, Refused, Throttled, Unavailable

CODEC = AnthropicCodec()
LIMITS = {
    "date": "Mon, 23 Nov 2026 10:00:00 GMT",
    "anthropic-ratelimit-tokens-limit": "1000",
    "anthropic-ratelimit-tokens-remaining": "0",
    "anthropic-ratelimit-tokens-reset": "2026-11-23T10:00:30Z",
}


def error(status: int, kind: str, message: str = "said so", **fields: Any) -> ProviderError:
    body = {"type": "error", "error": {"type": kind, "message": message, **fields}}
    with pytest.raises(ProviderError) as caught:
        CODEC.decode(status, {"retry-after": "7", **LIMITS}, orjson.dumps(body))
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "leaf"),
    [
        (400, "invalid_request_error", Refused),
        (401, "authentication_error", Missing),
        (402, "billing_error", Missing),
        (403, "permission_error", Missing),
        (404, "not_found_error", Missing),
        (413, "request_too_large", Refused),
        (422, "invalid_request_error", Refused),
        (429, "rate_limit_error", Throttled),
        (500, "api_error", Unavailable),
        (504, "timeout_error", Unavailable),
        (529, "overloaded_error", Unavailable),
        (503, "brand_new_error", Throttled),
        # Where the two disagree: a name that says something beats the status, one that says nothing doesn't.
        (400, "billing_error", Missing),
        (400, "api_error", Refused),
        (500, "invalid_request_error", Unavailable),
        (503, "overloaded_error", Unavailable),
        (500, "rate_limit_error", Throttled),
        (409, "conflict_error", Unavailable),
    ],
)
def test_an_error_is_known_by_its_status_and_its_name(status: int, kind: str, leaf: type[ProviderError]):
    found = error(status, kind)

    assert type(found) is leaf
    assert (found.status, found.reason) == (status, f"{status}: said so")
    assert found.retry_after_s == (7.0 if leaf in (Throttled, Unavailable) else None)
    assert found.limits == (RateLimit("tokens", 1000, 0, 30.0),)


def test_a_used_up_account_is_neither_a_throttle_nor_the_calls_fault():
    credit = "Your credit balance is too low to access the Anthropic API."

    assert type(error(400, "invalid_request_error", credit)) is Missing
    spent = error(429, "rate_limit_error", details={"error_code": "enforced_spend_limit_reached"})
    assert type(spent) is Missing
    assert type(error(429, "rate_limit_error", details={"error_code": "brand_new"})) is Throttled


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": "x"}', b'"x"', b'{"message": "x"}'])
def test_an_error_of_another_shape_is_known_by_its_status(body: bytes):
    with pytest.raises(Refused):
        CODEC.decode(400, {}, body)


def test_an_error_behind_a_good_status_is_one():
    with pytest.raises(Unavailable, match="busy"):
        CODEC.decode(200, {}, b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}')
