"""The call machine: its table row by row, then against a model of it."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.jobs import CallPlan, PlannedRoute
from flows.stages.retry import RULES, CallMachine, GiveUp, RetryPolicy, Step, Try
from schemas.calls import Malformed, Missing, ProviderError, Refused, Throttled, Unavailable
from schemas.codes import Code
from tests.flows.stages.call_model import Expected, expect
from tests.flows.stages.making import route

PLAN = CallPlan((PlannedRoute(route("p:a"), 10), PlannedRoute(route("p:b"), None)), "named")
ONE = CallPlan(PLAN.routes[:1], "named")
POLICY = RetryPolicy(retries_per_route=2, base=timedelta(seconds=1), cap=timedelta(seconds=3))
DOWN = Unavailable("down")
NOW_MS = 1000


class LocalError(ProviderError):
    """Worth another try, but here only."""

    outcome = "local"
    retriable = True
    elsewhere = False


def began(
    plan: CallPlan = PLAN, policy: RetryPolicy = POLICY, deadline_ms: int | None = None, first: int = 1
) -> CallMachine:
    machine = CallMachine(plan, policy, deadline_ms, first)
    machine.begin(NOW_MS)
    return machine


def seen(step: Step) -> tuple[object, ...]:
    """A step in short: route, attempt, time; or code."""
    if isinstance(step, GiveUp):
        return (step.code,)
    return (step.route.route.name, step.attempt, step.at_ms)


def test_first_try_is_the_first_route_at_once_for_the_plans_reason():
    assert CallMachine(PLAN, POLICY, None, 4).begin(NOW_MS) == Try(PLAN.routes[0], 4, NOW_MS, "named")


def test_call_that_begins_at_its_deadline_is_too_late():
    assert seen(CallMachine(PLAN, POLICY, NOW_MS).begin(NOW_MS)) == (Code.DEADLINE_EXCEEDED,)


def test_attempts_of_earlier_owners_count():
    policy = RetryPolicy(max_attempts=3)

    assert seen(CallMachine(PLAN, policy, None, 3).begin(NOW_MS)) == ("p:a", 3, NOW_MS)
    assert seen(CallMachine(PLAN, policy, None, 4).begin(NOW_MS)) == (Code.MODEL_UNAVAILABLE,)
    assert seen(began(policy=policy, first=3).failed(DOWN, NOW_MS, 0.0)) == (Code.MODEL_UNAVAILABLE,)


def test_waits_double_up_to_the_cap_and_are_a_random_share_of_that():
    machine = began(policy=RetryPolicy(retries_per_route=4, base=POLICY.base, cap=POLICY.cap))

    waits_ms = [machine.failed(DOWN, NOW_MS, jitter) for jitter in (0.5, 0.5, 0.5, 0.0)]
    assert [seen(step)[2] for step in waits_ms] == [NOW_MS + 500, NOW_MS + 1000, NOW_MS + 1500, NOW_MS]


def test_wait_is_at_least_the_least_wait():
    policy = RetryPolicy(min_wait=timedelta(seconds=2))

    assert seen(began(policy=policy).failed(DOWN, NOW_MS, 0.0)) == ("p:a", 2, NOW_MS + 2000)


@pytest.mark.parametrize(("asked_s", "wait_ms"), [(0.0, 0), (1.0004, 1001), (30.0, 30_000), (-1.0, 0)])
def test_server_is_obeyed_to_the_millisecond(asked_s: float, wait_ms: int):
    policy = RetryPolicy(min_wait=timedelta(seconds=2))
    step = began(policy=policy).failed(Throttled("slow", retry_after_s=asked_s), NOW_MS, 0.9)

    assert seen(step) == ("p:a", 2, NOW_MS + wait_ms)


def test_server_that_asks_for_too_long_sends_the_call_elsewhere():
    assert seen(began().failed(Throttled("", retry_after_s=30.1), NOW_MS, 0.0)) == ("p:b", 2, NOW_MS)


def test_server_that_asks_for_long_is_obeyed_where_there_is_no_other_route():
    slow = Throttled("", retry_after_s=60.0)

    assert seen(began(ONE).failed(slow, NOW_MS, 0.0)) == ("p:a", 2, NOW_MS + 60_000)
    assert seen(began(ONE, deadline_ms=NOW_MS + 60_001).failed(slow, NOW_MS, 0.0))[0] == "p:a"
    assert seen(began(ONE, deadline_ms=NOW_MS + 60_000).failed(slow, NOW_MS, 0.0)) == (
        Code.DEADLINE_EXCEEDED,
    )


def test_wait_beyond_the_deadline_sends_the_call_elsewhere():
    step = began(deadline_ms=NOW_MS + 500).failed(DOWN, NOW_MS, 0.5)

    assert seen(step) == ("p:b", 2, NOW_MS)


def test_failure_at_the_deadline_ends_the_call():
    assert seen(began(deadline_ms=NOW_MS + 5).failed(DOWN, NOW_MS + 5, 0.0)) == (Code.DEADLINE_EXCEEDED,)


def test_used_up_retries_go_to_the_next_route_and_then_end():
    machine = began()

    steps = [seen(machine.failed(DOWN, NOW_MS, 0.0)) for _ in range(6)]
    routes = [("p:a", 2), ("p:a", 3), ("p:b", 4), ("p:b", 5), ("p:b", 6)]
    assert steps == [*((*where, NOW_MS) for where in routes), (Code.MODEL_UNAVAILABLE,)]


@pytest.mark.parametrize("error", [Missing("no such model"), Malformed("not JSON"), ProviderError("odd")])
def test_error_that_stays_here_goes_to_the_next_route_at_once(error: ProviderError):
    machine = began()

    assert seen(machine.failed(error, NOW_MS, 0.9)) == ("p:b", 2, NOW_MS)
    assert seen(machine.failed(error, NOW_MS, 0.9)) == (Code.MODEL_UNAVAILABLE,)


def test_refused_call_ends_at_once_even_after_the_deadline():
    step = began(deadline_ms=NOW_MS + 1).failed(Refused("too hot"), NOW_MS + 9, 0.0)

    assert step == GiveUp(Code.REFUSED, "too hot")


def test_error_that_nobody_else_can_help_is_retried_here_only():
    machine = began()

    steps = [seen(machine.failed(LocalError("x"), NOW_MS, 0.0)) for _ in range(3)]
    assert steps == [("p:a", 2, NOW_MS), ("p:a", 3, NOW_MS), (Code.MODEL_UNAVAILABLE,)]


def test_reasons_say_what_happened():
    machine = began(policy=RetryPolicy(retries_per_route=1))

    steps = [machine.failed(error, NOW_MS, 0.0) for error in (Throttled("slow"), DOWN)]
    assert [step.reason for step in steps if isinstance(step, Try)] == [
        "retry after throttled",
        "fallback after unavailable",
    ]


def test_message_names_each_route_with_its_tries_and_last_reason():
    machine = began(policy=RetryPolicy(retries_per_route=1))
    for error in (Throttled("slow"), DOWN, Missing("no such model")):
        step = machine.failed(error, NOW_MS, 0.0)

    assert step == GiveUp(
        Code.MODEL_UNAVAILABLE, "no route could answer: p:a (2x): down; p:b (1x): no such model"
    )


def test_message_is_bounded():
    plan = CallPlan(tuple(PlannedRoute(route(f"p:{number}"), None) for number in range(8)), "named")
    machine = began(plan)
    for _ in range(8):
        step = machine.failed(Missing("x" * 10_000), NOW_MS, 0.0)

    assert isinstance(step, GiveUp)
    assert len(step.message) == 1000


def test_every_kind_of_error_has_a_rule():
    assert set(RULES) == {
        (retriable, elsewhere) for retriable in (True, False) for elsewhere in (True, False)
    }


ERRORS = st.one_of(
    st.builds(Throttled, st.just("t"), retry_after_s=st.sampled_from([None, 0.0, 0.3, 1.0, 2.0, 5.0, 40.0])),
    st.builds(Unavailable, st.just("u"), retry_after_s=st.sampled_from([None, None, 0.7])),
    st.sampled_from([Missing("m"), Malformed("f"), ProviderError("p"), LocalError("l"), Refused("r")]),
)
POLICIES = st.builds(
    RetryPolicy,
    retries_per_route=st.integers(0, 3),
    max_attempts=st.integers(1, 6),
    base=st.sampled_from([timedelta(0), timedelta(milliseconds=400)]),
    factor=st.sampled_from([1.0, 2.0, 3.0]),
    cap=st.sampled_from([timedelta(milliseconds=500), timedelta(seconds=2)]),
    min_wait=st.sampled_from([timedelta(0), timedelta(milliseconds=100)]),
    max_wait=st.sampled_from([timedelta(seconds=1), timedelta(seconds=4)]),
)
FAILURES = st.lists(
    st.tuples(ERRORS, st.sampled_from([0, 1, 250, 1000]), st.sampled_from([0.0, 0.5, 0.999])), max_size=12
)


@settings(max_examples=1500, deadline=None)
@given(
    routes=st.integers(1, 3),
    policy=POLICIES,
    deadline_ms=st.none() | st.sampled_from([0, 1, 300, 1000, 2000, 6000]),
    first=st.integers(1, 3),
    failures=FAILURES,
)
def test_machine_takes_the_steps_of_its_model(
    routes: int,
    policy: RetryPolicy,
    deadline_ms: int | None,
    first: int,
    failures: list[tuple[ProviderError, int, float]],
):
    plan = CallPlan(tuple(PlannedRoute(route(f"p:{number}"), None) for number in range(routes)), "named")
    machine = CallMachine(plan, policy, deadline_ms, first)
    past: list[tuple[ProviderError, int, float]] = []
    now_ms = 0
    step = machine.begin(now_ms)

    assert in_short(step) == expect(routes, policy, deadline_ms, first, past)
    for error, took_ms, jitter in failures:
        if isinstance(step, GiveUp):
            break
        now_ms = step.at_ms + took_ms
        past.append((error, now_ms, jitter))
        step = machine.failed(error, now_ms, jitter)
        assert in_short(step) == expect(routes, policy, deadline_ms, first, past)
        assert isinstance(step, GiveUp) or step.at_ms >= now_ms
        assert isinstance(step, GiveUp) or deadline_ms is None or step.at_ms < deadline_ms
        assert isinstance(step, GiveUp) or step.attempt <= policy.max_attempts


def in_short(step: Step) -> Expected:
    if isinstance(step, GiveUp):
        return Expected(code=step.code)
    return Expected(int(step.route.route.model), step.attempt, step.at_ms, step.reason)
