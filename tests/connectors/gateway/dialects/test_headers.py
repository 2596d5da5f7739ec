"""Headers of answers: ids, who answered, what is left of a limit."""

import pytest

from connectors.gateway.dialects.headers import id_headers, limit_headers, trace_of, weir_facts, weir_headers
from tests.connectors.gateway.dialects.serving import attempt, response

LIMITS = {"requests": (60, 12, 29.2), "input_tokens": (1000, 0, 0.5)}
NOW_S = 1_800_000_000.0


def test_limits_are_said_as_openai_says_them_and_as_the_ietf_does():
    assert limit_headers(LIMITS, "openai", NOW_S) == {
        "ratelimit-policy": '"requests";q=60;w=60, "input_tokens";q=1000;w=60',
        "ratelimit": '"requests";r=12;t=30, "input_tokens";r=0;t=1',
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "29.200s",
        "x-ratelimit-limit-input_tokens": "1000",
        "x-ratelimit-remaining-input_tokens": "0",
        "x-ratelimit-reset-input_tokens": "0.500s",
    }


def test_limits_are_said_as_anthropic_says_them_with_the_moment_they_are_whole():
    made = limit_headers(LIMITS, "anthropic", NOW_S)

    assert made["anthropic-ratelimit-requests-limit"] == "60"
    assert made["anthropic-ratelimit-requests-remaining"] == "12"
    assert made["anthropic-ratelimit-requests-reset"] == "2027-01-15T08:00:30Z"
    assert made["anthropic-ratelimit-input-tokens-remaining"] == "0"
    assert made["ratelimit"] == '"requests";r=12;t=30, "input_tokens";r=0;t=1'


def test_without_limits_nothing_is_said_of_them():
    assert limit_headers({}, "openai", NOW_S) == {}


@pytest.mark.parametrize(
    ("own", "back"), [("mine-1", "mine-1"), ("", None), ("a b", None), ("ä", None), ("x" * 129, None)]
)
def test_the_callers_own_id_comes_back_where_it_is_sound(own: str, back: str | None):
    made = id_headers("req_1", {"x-request-id": own})

    assert (made["x-request-id"], made["request-id"]) == ("req_1", "req_1")
    assert made.get("x-client-request-id") == back


def test_a_sound_trace_context_is_taken():
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    assert trace_of({"traceparent": trace}) == trace
    assert trace_of({"traceparent": "00-zz"}) is None
    assert trace_of({}) is None


def test_the_facts_of_an_answer_leave_out_what_nobody_knows():
    facts = weir_facts(response("Hi", model=None, provider=None, attempts=[]))

    assert facts == {"attempts": 0, "fallbacks": 0, "cost_usd": 0.00012, "cache": "off"}


def test_tries_of_one_route_are_no_fallbacks_and_no_cost_is_a_zero():
    made = weir_headers(response("Hi", attempts=[attempt(1), attempt(2)], cost_usd=0.0))

    assert (made["x-weir-attempts"], made["x-weir-fallbacks"], made["x-weir-cost-usd"]) == ("2", "0", "0")
