"""Choosing routes."""

from dataclasses import dataclass

import pytest

from flows.stages.calibrate import Estimate
from flows.stages.catalogue import Catalogue
from flows.stages.content import Content, Measured
from flows.stages.jobs import CallPlan, Failed
from flows.stages.route import ASKED, Windows
from flows.stages.route import route as choose
from schemas.calls import Route
from schemas.codes import Code
from tests.flows.stages.making import failed, job, route

BIG = route("openai:big", "big", max_input_tokens=1000, max_output_tokens=100)
SMALL = route("ollama:small", "small", max_input_tokens=100, params={"max_tokens": 20})
WIDE = route("vllm:wide", "wide")
QUOTES = route("extractive:extractive")
ALL = Catalogue((BIG, SMALL, WIDE, QUOTES), aliases={"nick": "big"}, fallbacks={"big": ("small",)})
BOUNDED = Catalogue((BIG, SMALL, QUOTES))


@dataclass
class Ill:
    """Says that the routes of these names are unhealthy."""

    names: frozenset[str] = frozenset()

    def healthy(self, route: str, now_ms: int) -> bool:
        return route not in self.names


def chosen(
    catalogue: Catalogue = ALL, *, ill: tuple[str, ...] = (), tokens: int = 10, **fields: object
) -> CallPlan | Failed:
    asked = job(**fields)
    asked.measured = Measured({Content.PROSE: tokens}, {Content.PROSE: tokens})
    return choose(asked, catalogue, Ill(frozenset(ill)), 0)


def names(plan: CallPlan | Failed) -> list[str]:
    assert isinstance(plan, CallPlan), plan
    return [planned.route.name for planned in plan.routes]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["openai:big", "ollama:small", "vllm:wide", "extractive:extractive"]),
        ({"model": "big"}, ["openai:big", "ollama:small"]),
        ({"model": "nick"}, ["openai:big", "ollama:small"]),
        ({"model": "big", "fallbacks": []}, ["openai:big"]),
        ({"model": "big", "fallbacks": ["wide", "big", "extractive"]},
         ["openai:big", "vllm:wide", "extractive:extractive"]),
        ({"model": "vllm/wide"}, ["vllm:wide"]),
        ({"model": "extractive"}, ["extractive:extractive"]),
    ],
)  # fmt: skip
def test_routes_of_the_model_come_first_then_those_of_its_fallbacks(
    fields: dict[str, object], expected: list[str]
):
    assert names(chosen(**fields)) == expected


def test_unhealthy_routes_come_last():
    plan = chosen(ill=("openai:big",))

    assert names(plan) == ["ollama:small", "vllm:wide", "extractive:extractive", "openai:big"]


def test_unhealthy_route_is_tried_where_there_is_no_other():
    assert names(chosen(model="wide", ill=("vllm:wide",))) == ["vllm:wide"]


@pytest.mark.parametrize(
    ("fields", "ill", "reason"),
    [
        ({}, (), "first healthy"),
        ({"model": "big"}, (), "named"),
        ({"model": "nick"}, (), "alias nick"),
        ({"model": "big"}, ("openai:big",), "openai:big is unhealthy or too small"),
    ],
)
def test_plan_says_why_its_first_route_is_first(fields: dict[str, object], ill: tuple[str, ...], reason: str):
    plan = chosen(ill=ill, **fields)

    assert isinstance(plan, CallPlan)
    assert plan.reason == reason


@pytest.mark.parametrize(
    ("model", "asked", "tokens"),
    [
        ("big", {"max_tokens": 50}, 50),
        ("big", {"max_tokens": 500}, 100),
        ("big", {"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ("big", {}, None),
        ("small", {}, 20),
        ("small", {"max_tokens": 30}, 30),
        ("wide", {"max_tokens": 500}, 500),
    ],
)
def test_answer_may_have_what_was_asked_for_or_set_capped_by_the_model(
    model: str, asked: dict[str, object], tokens: int | None
):
    plan = chosen(model=model, **asked)

    assert isinstance(plan, CallPlan)
    assert plan.routes[0].max_tokens == tokens


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
def test_limit_set_on_the_route_is_taken_by_either_name_and_only_as_a_number(key: str):
    catalogue = Catalogue((route("p:n", params={key: 9}), route("p:t", params={key: "9"})))

    plans = [chosen(catalogue, model=model) for model in ("n", "t")]
    assert [plan.routes[0].max_tokens for plan in plans if isinstance(plan, CallPlan)] == [9, None]


UP = {"overflow": "upgrade"}


def test_upgrade_leaves_out_the_routes_whose_window_does_not_fit():
    assert names(chosen(model="small", fallbacks=["big"], tokens=81, **UP)) == ["openai:big"]
    assert names(chosen(model="small", fallbacks=["big"], tokens=80, **UP)) == ["ollama:small", "openai:big"]


def test_compress_keeps_the_first_route_and_tells_each_ones_budget():
    plan = chosen(model="small", fallbacks=["big"], tokens=81, max_tokens=50)

    assert isinstance(plan, CallPlan)
    first, second = plan.routes
    assert (first.route.name, first.budget_tokens, first.input_tokens) == ("ollama:small", 50, 81)
    assert (first.fits, first.near) == (False, True)
    assert (second.budget_tokens, second.fits, second.near) == (950, True, False)


def test_compress_leaves_out_a_route_without_room_for_any_input():
    assert names(chosen(model="small", fallbacks=["big"], tokens=11, max_tokens=90)) == ["openai:big"]
    failure = failed(chosen(model="small", fallbacks=[], tokens=11, max_tokens=90))

    assert failure.code == Code.TOKEN_LIMIT_EXCEEDED


@pytest.mark.parametrize("overflow", ["reject", "upgrade"])
def test_request_that_fits_nowhere_fails_with_the_numbers(overflow: str):
    failure = failed(chosen(BOUNDED, model="big", max_tokens=60, tokens=941, overflow=overflow))

    assert (failure.code, failure.dead_letter) == (Code.TOKEN_LIMIT_EXCEEDED, False)
    assert all(number in failure.message for number in ("941", "60", "1001", "1000", "openai:big"))


def test_reject_fails_where_the_first_route_is_too_small_and_leaves_out_others_that_are():
    fields: dict[str, object] = {"fallbacks": ["big"], "tokens": 81, "overflow": "reject"}
    assert failed(chosen(model="small", **fields)).code == Code.TOKEN_LIMIT_EXCEEDED  # type: ignore[arg-type]
    fields["fallbacks"] = ["small"]
    assert names(chosen(model="big", **fields)) == ["openai:big"]  # type: ignore[arg-type]


def test_auto_does_not_answer_from_its_last_resort_what_is_too_long_for_every_model():
    assert failed(chosen(BOUNDED, tokens=5000, **UP)).code == Code.TOKEN_LIMIT_EXCEEDED
    assert names(chosen(BOUNDED, tokens=5000))[0] == "openai:big"


def test_last_resort_that_the_request_names_takes_what_is_too_long():
    assert names(chosen(BOUNDED, tokens=5000, fallbacks=["extractive"], **UP)) == ["extractive:extractive"]
    assert names(chosen(BOUNDED, tokens=5000, model="extractive")) == ["extractive:extractive"]


@dataclass
class Doubled:
    """Every model counts half as much again, and up to twice our count."""

    def of(self, route: Route, measured: Measured) -> Estimate:
        tokens = measured.text_tokens + measured.flat_tokens
        return Estimate(tokens * 3 // 2, tokens * 2, "calibrated")


@pytest.mark.parametrize(
    ("tokens", "upper", "fits", "near"),
    [(400, 400, True, False), (499, 998, True, True), (501, 1002, False, True)],
)
def test_window_is_judged_by_the_upper_bound_of_its_model(tokens: int, upper: int, fits: bool, near: bool):
    asked = job(model="big", fallbacks=[])
    asked.measured = Measured(
        {Content.PROSE: tokens}, {Content.PROSE: max(tokens, tokens * 2 * (tokens > 400))}
    )
    plan = choose(asked, ALL, Ill(), 0, Windows(Doubled()))

    assert isinstance(plan, CallPlan)
    first = plan.routes[0]
    assert (first.input_tokens, first.fits, first.near) == (upper, fits, near)


@pytest.mark.parametrize(("tokens", "stays"), [(600, True), (700, False)])
def test_who_can_be_asked_stays_in_the_plan_while_it_may_still_fit(tokens: int, stays: bool):
    claude = route("anthropic:c", max_input_tokens=1000)
    asked = job(model="c", overflow="reject")
    asked.measured = Measured({Content.PROSE: tokens}, {Content.PROSE: 5 * tokens})
    plan = choose(asked, Catalogue((claude,)), Ill(), 0, Windows(Doubled(), ASKED))

    assert isinstance(plan, CallPlan) == stays
    assert isinstance(choose(asked, Catalogue((claude,)), Ill(), 0, Windows(Doubled())), Failed)


def test_auto_with_nothing_but_the_last_resort_takes_it():
    assert names(chosen(Catalogue((QUOTES,)), tokens=5000)) == ["extractive:extractive"]


def test_unknown_model_is_unavailable_and_the_known_ones_are_listed():
    failure = failed(chosen(model="gpt-9"))

    assert (failure.code, failure.field) == (Code.MODEL_UNAVAILABLE, "model")
    assert "auto, big, small" in failure.message


def test_unknown_fallback_is_the_requests_fault():
    failure = failed(chosen(model="big", fallbacks=["wide", "nobody"]))

    assert (failure.code, failure.field) == (Code.INVALID_REQUEST, "fallbacks")
    assert "'nobody'" in failure.message


def test_vectors_come_from_the_named_model_and_from_others_only_where_the_request_says_so():
    assert names(chosen(input="a", model="big")) == ["openai:big"]
    assert names(chosen(input="a", model="big", fallbacks=["wide"])) == ["openai:big", "vllm:wide"]
    assert failed(chosen(input="a", model="auto")).field == "model"


def test_vectors_take_nothing_of_the_window():
    plan = chosen(input="a", model="small", tokens=100, max_tokens=50)

    assert isinstance(plan, CallPlan)
    assert plan.routes[0].max_tokens is None


def test_texts_to_be_embedded_are_never_compressed():
    assert failed(chosen(input="a", model="small", tokens=101)).code == Code.TOKEN_LIMIT_EXCEEDED
