"""Whether a request fits, and what becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages.window import Compress, Fit, Send, TooLarge, decide, place
from schemas.requests import Overflow
from tests.flows.stages.making import route

SMALL = route("openai:small", max_input_tokens=1000, max_output_tokens=400)
LARGE = route("openai:large", max_input_tokens=8000)
ENDLESS = route("ollama:any")


def fits(tokens: int, wanted: int | None = None) -> list[Fit]:
    return [place(each, tokens, wanted) for each in (SMALL, LARGE)]


@pytest.mark.parametrize(
    ("tokens", "wanted", "held"),
    [(1000, None, True), (1001, None, False), (900, 100, True), (901, 100, False), (600, 9999, True)],
)
def test_window_takes_input_and_wanted_output_together(tokens: int, wanted: int | None, held: bool):
    assert place(SMALL, tokens, wanted).fits is held


def test_answer_is_not_wanted_longer_than_the_model_makes_it():
    assert place(SMALL, 1, 9999).output_tokens == 400
    assert place(LARGE, 1, 9999).output_tokens == 9999


def test_unknown_window_fits_everything_and_is_never_near():
    found = place(ENDLESS, 10**9, 10**6)

    assert (found.fits, found.near, found.budget_tokens) == (True, False, None)


@pytest.mark.parametrize(("tokens", "near"), [(810, False), (811, True), (5000, True)])
def test_provider_is_asked_near_the_window(tokens: int, near: bool):
    assert place(SMALL, tokens, 100).near is near


@pytest.mark.parametrize("policy", Overflow)
def test_request_that_fits_is_sent_whatever_the_policy(policy: Overflow):
    assert decide(fits(1000), policy) == Send(place(SMALL, 1000, None))


def test_rejected_request_is_told_the_numbers_of_its_model():
    found = decide(fits(1500, 200), Overflow.REJECT)

    assert found == TooLarge(
        "1500 input tokens and 200 wanted for the answer make 1700; the window of openai:small is 1000; "
        "shorten the input by 700, or name a model with a larger window"
    )


def test_request_is_compressed_to_the_room_that_the_answer_leaves():
    assert decide(fits(1500, 200), Overflow.COMPRESS) == Compress(place(SMALL, 1500, 200), 800)


def test_request_is_upgraded_to_the_first_window_it_fits():
    assert decide(fits(1500), Overflow.UPGRADE) == Send(place(LARGE, 1500, None), upgraded=True)


def test_request_too_large_for_every_window_is_told_of_the_largest():
    found = decide(fits(9000), Overflow.UPGRADE)

    assert isinstance(found, TooLarge)
    assert "the window of openai:large is 8000; shorten the input by 1000" in found.message


def test_no_room_for_input_is_no_budget():
    tiny = route("openai:tiny", max_input_tokens=100)
    found = decide([place(tiny, 50, 100)], Overflow.COMPRESS)

    assert isinstance(found, TooLarge)
    assert "lower `max_tokens`" in found.message


def test_there_must_be_a_route():
    with pytest.raises(ValueError, match="at least one route"):
        decide([], Overflow.REJECT)


@given(
    st.lists(st.sampled_from([SMALL, LARGE, ENDLESS]), min_size=1),
    st.integers(0, 20_000),
    st.integers(0, 9000),
    st.sampled_from(Overflow),
)
def test_whatever_is_sent_fits_and_every_budget_leaves_room_for_the_answer(
    routes: list[object], tokens: int, wanted: int, policy: Overflow
):
    found = decide([place(each, tokens, wanted) for each in routes], policy)  # type: ignore[arg-type]

    if isinstance(found, Send):
        assert found.fit.fits
    elif isinstance(found, Compress):
        assert found.budget_tokens + found.fit.output_tokens == found.fit.window_tokens
        assert found.budget_tokens < tokens
    else:
        assert str(tokens) in found.message
