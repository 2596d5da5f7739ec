"""Gemini's errors, by whose fault they are."""

from typing import Any

import orjson
import pytest

from connectors.providers.gemini_errors import error_in, error_of, error_of_reply
from schemas.calls import Malformed, Missing, ProviderError, Refused, Throttled, Unavailable
from tests.support.fixtures import wire


def reply(status: str | None = None, *details: Any, code: Any = None) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": "said so", "status": status, "details": details}})


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}


@pytest.mark.parametrize(
    ("status", "name", "leaf"),
    [
        (400, "INVALID_ARGUMENT", Refused),
        (400, "FAILED_PRECONDITION", Missing),
        (400, "OUT_OF_RANGE", Refused),
        (401, "UNAUTHENTICATED", Missing),
        (403, "PERMISSION_DENIED", Missing),
        (404, "NOT_FOUND", Missing),
        (409, "ABORTED", Unavailable),
        (429, "RESOURCE_EXHAUSTED", Throttled),
        (499, "CANCELLED", Unavailable),
        (500, "INTERNAL", Unavailable),
        (501, "UNIMPLEMENTED", Missing),
        (503, "UNAVAILABLE", Unavailable),
        (504, "DEADLINE_EXCEEDED", Unavailable),
        (400, None, Refused),
        (418, "MADE_UP", Refused),
        (700, "INTERNAL", Malformed),
    ],
)
def test_each_status_has_its_error(status: int, name: str | None, leaf: type[ProviderError]):
    error = error_of_reply(status, {}, reply(name))

    assert type(error) is leaf
    assert (error.reason, error.status) == (f"{status}: said so", status)


@pytest.mark.parametrize(
    ("status", "reason", "leaf"),
    [
        (400, "API_KEY_INVALID", Missing),
        (403, "SERVICE_DISABLED", Missing),
        (403, "RATE_LIMIT_EXCEEDED", Throttled),
        (400, "MADE_UP", Refused),
    ],
)
def test_a_reason_goes_before_the_status(status: int, reason: str, leaf: type[ProviderError]):
    body = reply("INVALID_ARGUMENT", {"links": []}, {"reason": reason})

    assert type(error_of_reply(status, {}, body)) is leaf


def test_a_bad_key_is_missing():
    error = error_of_reply(400, {}, wire("gemini_bad_key.error.json"))

    assert type(error) is Missing
    assert error.reason == "400: API key not valid. Please pass a valid API key."


def test_a_quota_in_a_list_carries_the_servers_wish():
    error = error_of_reply(429, {"date": "x"}, wire("gemini_quota.error.json"))

    assert type(error) is Throttled
    assert error.retry_after_s == 36.5


@pytest.mark.parametrize(
    ("headers", "details", "wait_s"),
    [
        ({"retry-after": "7"}, [RETRY], 7.0),
        ({"retry-after-ms": "7000"}, [RETRY], 7.0),
        ({"Other": "x"}, [{"links": []}, RETRY], 2.5),
        ({}, [{"retryDelay": "99999s"}], 3600.0),
        ({}, [{"retryDelay": "soon"}], None),
        ({}, [5, "x"], None),
    ],
)
def test_a_header_goes_before_the_details(headers: dict[str, str], details: list[Any], wait_s: float | None):
    assert error_of_reply(429, headers, reply("RESOURCE_EXHAUSTED", *details)).retry_after_s == wait_s


def test_an_overload_that_says_how_long_is_a_throttle():
    error = error_of_reply(503, {}, reply("UNAVAILABLE", RETRY))

    assert (type(error), error.retry_after_s) == (Throttled, 2.5)


@pytest.mark.parametrize(
    ("found", "leaf", "status"),
    [
        ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, Throttled, 429),
        ({"status": "NOT_FOUND"}, Missing, 404),
        ({"status": "UNAVAILABLE", "code": 14}, Unavailable, 503),
        ({"status": 5, "details": 5}, Unavailable, 500),
        ({"code": 400}, Refused, 400),
        ({}, Unavailable, 500),
    ],
)
def test_an_error_in_a_stream_has_a_status_of_its_own(
    found: dict[str, Any], leaf: type[ProviderError], status: int
):
    error = error_of(found)

    assert (type(error), error.status) == (leaf, status)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b"[5]", b"{}", b'{"error": 5}', b"<html>", b'[{"error": null}]']
)
def test_what_is_no_error_object_goes_by_the_http_status(body: bytes):
    assert error_in(body) is None
    assert type(error_of_reply(500, {}, body)) is Unavailable
