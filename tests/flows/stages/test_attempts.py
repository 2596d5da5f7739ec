"""Entries of the ledger: what a try was, what it used and what it cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages.attempts import (
    UNKNOWN,
    Tried,
    cost_usd,
    estimated_usage,
    failed_attempt,
    good_attempt,
    unknown_attempt,
)
from schemas.calls import Answer, Refused, Throttled
from schemas.records import Record
from schemas.responses import Attempt, Usage
from tests.flows.stages.making import job, route

ROUTE = route("p:m", input_cost_usd=0.001, output_cost_usd=0.01)
TRIED = Tried(2, ROUTE, started_ms=1000, begun_s=50.0)
USAGE = Usage(input_tokens=100, output_tokens=10)


def test_a_good_try_has_the_providers_usage_its_price_and_its_times():
    answer = Answer("yes", "stop", USAGE, {"raw": 1}, status=201)

    assert good_attempt(TRIED, answer, job(), (50.25, 50.1)) == Attempt(
        attempt=2,
        route="p:m",
        provider="p",
        model="m",
        outcome="ok",
        status=201,
        started_ms=1000,
        duration_ms=250,
        first_token_ms=100,
        between_tokens_ms=16.667,
        usage=USAGE,
        usage_raw={"raw": 1},
        cost_usd=0.2,
    )


def test_a_try_that_was_not_streamed_has_no_first_token():
    attempt = good_attempt(TRIED, Answer("", "stop", USAGE), job(), (51.0, None))

    assert (attempt.first_token_ms, attempt.between_tokens_ms) == (None, None)


def test_an_answer_of_one_token_has_no_time_between_two():
    one = Usage(input_tokens=1, output_tokens=1)

    assert good_attempt(TRIED, Answer("", "stop", one), job(), (51.0, 50.5)).between_tokens_ms is None


def test_usage_that_the_provider_did_not_tell_is_estimated_and_says_so():
    asked = job()
    asked.input_tokens = 40
    entry = good_attempt(TRIED, Answer("12345", "stop", None), asked, (51.0, None))

    assert entry.usage == Usage(input_tokens=40, output_tokens=2, counted_by="estimate")
    assert entry.cost_usd == pytest.approx(40 * 0.001 + 2 * 0.01)


@given(text=st.text(max_size=40))
def test_an_estimate_is_a_token_for_every_four_characters_begun(text: str):
    tokens = estimated_usage(job(), Answer(text, "stop", None)).output_tokens

    assert 4 * tokens >= len(text) > 4 * (tokens - 1)


def test_a_failed_try_names_its_outcome_and_keeps_its_reason_short():
    entry = failed_attempt(TRIED, Throttled("x" * 500, status=429), 50.5)

    assert (entry.outcome, entry.status, entry.duration_ms) == ("throttled", 429, 500)
    assert entry.reason == "x" * 300
    assert (entry.usage, entry.cost_usd) == (None, 0.0)
    assert failed_attempt(TRIED, Refused("no"), 50.5).outcome == "refused"


def test_a_clock_that_steps_back_makes_no_negative_time():
    assert failed_attempt(TRIED, Refused("no"), 49.0).duration_ms == 0


@pytest.mark.parametrize(("attempts", "number"), [(3, 3), (0, 1)])
def test_an_unknown_try_has_the_number_that_was_started(attempts: int, number: int):
    entry = unknown_attempt(Record(0, 3, 7, -5, None, b"", attempts=attempts))

    assert (entry.attempt, entry.outcome, entry.route, entry.started_ms) == (number, UNKNOWN, UNKNOWN, 0)


def test_money_is_tokens_times_the_routes_prices():
    assert cost_usd(ROUTE, USAGE) == pytest.approx(0.2)
    assert cost_usd(route("p:free"), USAGE) == 0.0
