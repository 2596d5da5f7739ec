"""A provider's limits, read from its headers."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.limits import rate_limits
from schemas.calls import RateLimit

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
NAMES = ("requests", "tokens", "input-tokens", "output-tokens")


def anthropic(name: str, limit: str, remaining: str, reset: str) -> dict[str, str]:
    prefix = f"anthropic-ratelimit-{name}"
    return {f"{prefix}-limit": limit, f"{prefix}-remaining": remaining, f"{prefix}-reset": reset}


def test_no_limits_are_told_where_no_header_tells_one():
    assert rate_limits({"date": DATE, "retry-after": "3"}) == ()


def test_anthropics_limits_are_read_with_resets_from_the_replys_date():
    headers = {"date": DATE}
    for place, name in enumerate(NAMES):
        headers |= anthropic(name, f"{place + 1}000", f"{place}", f"2026-11-23T10:00:{place + 10}Z")

    assert rate_limits(headers) == (
        RateLimit("requests", 1000, 0, 10.0),
        RateLimit("tokens", 2000, 1, 11.0),
        RateLimit("input_tokens", 3000, 2, 12.0),
        RateLimit("output_tokens", 4000, 3, 13.0),
    )


def test_openais_limits_are_read_with_resets_as_durations():
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1m30s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "20ms",
    }

    assert rate_limits(headers) == (
        RateLimit("requests", 60, 59, 90.0),
        RateLimit("tokens", 150000, 149984, 0.02),
    )


def test_a_reset_with_an_offset_or_none_is_read_and_one_that_is_over_is_zero():
    def reset_s(text: str) -> float | None:
        [limit] = rate_limits({"date": DATE} | anthropic("tokens", "5", "1", text))
        return limit.reset_s

    assert reset_s("2026-11-23T11:00:05+01:00") == 5.0
    assert reset_s("2026-11-23T10:00:05") == 5.0
    assert reset_s("2026-11-23T09:00:00Z") == 0.0


def test_a_moment_without_the_replys_date_is_unknown():
    assert rate_limits(anthropic("tokens", "5", "1", "2026-11-23T10:00:05Z")) == (
        RateLimit("tokens", 5, 1, None),
    )


def test_what_cannot_be_read_is_none_and_the_rest_counts():
    unreadable = {"date": DATE, **anthropic("tokens", "many", "9" * 5000, "soon")}

    assert rate_limits(unreadable) == (RateLimit("tokens", None, None, None),)
    assert rate_limits({"date": DATE} | anthropic("tokens", "1", "1", "0001-01-01T00:00:00+23:59")) == (
        RateLimit("tokens", 1, 1, 0.0),
    )
    assert rate_limits({"x-ratelimit-reset-tokens": "9" * 400}) == (RateLimit("tokens", None, None, None),)
    assert rate_limits({"x-ratelimit-limit-requests": "7"}) == (RateLimit("requests", 7, None, None),)


@given(st.lists(st.text(max_size=30), min_size=4, max_size=4))
def test_no_header_breaks_the_reading(values: list[str]):
    limit, remaining, reset, date = values
    [found] = rate_limits({"date": date} | anthropic("requests", limit, remaining, reset))

    assert found.name == "requests"
    assert found.reset_s is None or found.reset_s >= 0
