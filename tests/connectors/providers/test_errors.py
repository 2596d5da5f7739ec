"""From status and headers to the error that says what to do next."""

from datetime import UTC, datetime

import pytest

from connectors.providers.errors import conceal, duration_s, failure, http_date, one_line, retry_after_s
from schemas.calls import Malformed, Missing, ProviderError, Refused, Throttled, Unavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (400, Refused), (401, Missing), (402, Missing), (403, Missing), (404, Missing), (405, Missing),
        (408, Unavailable), (409, Unavailable), (410, Missing), (413, Refused), (418, Refused),
        (422, Refused), (425, Unavailable), (429, Throttled), (500, Unavailable), (502, Unavailable),
        (503, Unavailable), (529, Unavailable), (301, Missing), (101, Malformed),
    ],
)  # fmt: skip
def test_each_status_has_one_error(status: int, leaf: type[ProviderError]):
    error = failure(status, {}, "said so")

    assert type(error) is leaf
    assert error.status == status
    assert error.reason == f"{status}: said so"


def test_a_503_that_names_a_time_is_a_throttle():
    error = failure(503, {"retry-after": "7"}, "busy")

    assert isinstance(error, Throttled)
    assert error.retry_after_s == 7


def test_a_503_is_no_throttle_because_of_used_up_limits():
    assert isinstance(failure(503, {"x-ratelimit-reset-requests": "1s"}, ""), Unavailable)


def test_a_refused_call_has_no_time_to_wait_for():
    assert failure(400, {"retry-after": "7"}, "").retry_after_s is None


def test_an_error_without_words_says_so():
    assert failure(500, {}, "").reason == "500 without a message"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "9" * 400}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:20 GMT"}, 20.0),
        ({"retry-after": "Wed, 31 Dec 2025 23:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-reset-requests": "6ms", "x-ratelimit-reset-tokens": "2s"}, 2.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "5m",
                "x-ratelimit-remaining-tokens": "100",
            },
            1.0,
        ),
        ({"x-ratelimit-reset-requests": "later"}, None),
    ],
)
def test_the_wait_is_read_in_all_its_forms(headers: dict[str, str], wait_s: float | None):
    assert retry_after_s(headers, NOW) == wait_s


def test_a_date_needs_a_clock_and_the_replys_own_will_do():
    late = {"retry-after": "Thu, 01 Jan 2026 00:00:20 GMT"}

    assert retry_after_s(late, None) is None
    assert failure(429, {**late, "date": "Thu, 01 Jan 2026 00:00:05 GMT"}, "").retry_after_s == 15


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m30s", 90.0), ("6ms", 0.006), ("1h2m", 3720.0), ("1d", 86400.0), ("2", 2.0), ("", None), ("1x", None),
     ("1m soon", None), ("500us", 0.0005)],
)  # fmt: skip
def test_a_duration_is_read_whole_or_not_at_all(text: str, seconds: float | None):
    assert duration_s(text) == pytest.approx(seconds)


def test_a_date_without_a_zone_is_universal_time():
    assert http_date("Thu, 01 Jan 2026 00:00:00") == NOW
    assert http_date("no date") is None


def test_a_reason_is_one_short_line():
    assert one_line("a\nb\x00c\t d") == "a b c d"
    assert len(one_line("x" * 1000)) == 300


def test_a_reason_never_holds_the_key_or_the_prompt():
    prompt = "The patient is called Erika Mustermann and lives in Berlin."
    error = Refused(f"bad key sk-123; invalid input {prompt!r} at messages.0; also PIN-4711!")

    conceal(error, "sk-123", [prompt, "PIN-4711", "at"])

    assert error.reason == "bad key [key]; invalid input '[prompt]' at messages.0; also [prompt]!"
    assert str(error) == error.reason


def test_an_echo_from_the_end_of_a_long_prompt_is_found():
    secret = "and the last words are these ones"
    error = Refused(f"too long: ...{secret}")

    conceal(error, None, ["x" * 200_000 + secret])

    assert error.reason == "too long: ...[prompt]"
