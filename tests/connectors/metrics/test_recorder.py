"""What a worker counts, and the snapshots it publishes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.metrics import recorder as module
from connectors.metrics.recorder import BOUNDS_MS, Publisher, Recorder
from schemas.arrivals import Outcome
from schemas.codes import Code
from schemas.metrics import Series, Snapshot
from schemas.records import Outgoing, Record
from schemas.responses import Attempt, ErrorInfo, Latency, Response, RouteChoice, Usage

RECORD = Record(0, 3, 7, 1, None, b"{}")


def outcome(
    total_ms: float = 5,
    tenant: str = "t",
    route: str | None = "p:m",
    code: Code | None = None,
    **fields: object,
) -> Outcome:
    choice = None if route is None else RouteChoice(asked="auto", route=route, reason="named")
    error = None if code is None else ErrorInfo(code=code, message="no")
    latency = Latency(queue_ms=0, routing_ms=0, provider_ms=0, total_ms=total_ms)
    values = {"request_id": "r", "tenant": tenant, "latency": latency, "route": choice, "error": error}
    return Outcome(RECORD, None, Response.model_validate(values | fields))


def series_of(*outcomes: Outcome) -> dict[tuple[str, str], Series]:
    recorder = Recorder("w", "worker")
    for each in outcomes:
        recorder.observe(each)
    return {(one.route, one.tenant): one for one in recorder.snapshot({}, {}).series}


def test_requests_failures_tokens_and_money_are_counted_by_route_and_tenant():
    usage = Usage(input_tokens=10, output_tokens=4)
    found = series_of(
        outcome(usage=usage, cost_usd=0.5),
        outcome(usage=usage, cost_usd=0.25),
        outcome(tenant="u"),
        outcome(route=None, code=Code.REFUSED),
        outcome(route=None, code=Code.REFUSED),
        outcome(route=None, code=Code.INTERNAL),
    )

    good = found["p:m", "t"]
    assert (good.requests, good.input_tokens, good.output_tokens, good.cost_usd) == (2, 20, 8, 0.75)
    assert found["p:m", "u"].requests == 1
    assert found["-", "t"].failures == {"refused": 2, "internal": 1}
    assert len(found) == 3


def test_the_times_of_streams_are_counted_and_those_of_the_answering_try_only():
    tries = [
        Attempt(
            attempt=at + 1,
            route="p:m",
            provider="p",
            model="m",
            outcome="ok",
            started_ms=0,
            duration_ms=9,
            first_token_ms=first_ms,
            between_tokens_ms=between_ms,
        )
        for at, (first_ms, between_ms) in enumerate([(900, 90), (150, 15), (30, None), (None, None)])
    ]
    found = series_of(*(outcome(attempts=attempts) for attempts in (tries[:2], tries[2:3], tries[3:], [])))

    series = found["p:m", "t"]
    assert series.first_token is not None
    assert series.between_tokens is not None
    assert (series.first_token.sum_ms, sum(series.first_token.counts)) == (180, 2)
    assert (series.between_tokens.sum_ms, sum(series.between_tokens.counts)) == (15, 1)
    assert series.between_tokens.counts[BOUNDS_MS.index(20)] == 1


def test_without_streams_there_are_no_times_of_them():
    series = series_of(outcome())["p:m", "t"]

    assert (series.first_token, series.between_tokens) == (None, None)


def test_moves_and_repeats_are_not_counted():
    assert series_of(Outcome(RECORD, None)) == {}


@given(
    latencies_ms=st.lists(st.one_of(st.sampled_from(BOUNDS_MS), st.floats(0, 1e6)), min_size=1, max_size=20)
)
def test_each_latency_falls_into_the_first_bucket_whose_bound_it_does_not_exceed(latencies_ms: list[float]):
    sketch = series_of(*(outcome(ms) for ms in latencies_ms))["p:m", "t"].latency

    bounds = [*BOUNDS_MS, float("inf")]
    wanted = [0] * len(bounds)
    for ms in latencies_ms:
        wanted[next(at for at, bound in enumerate(bounds) if ms <= bound)] += 1
    assert sketch.counts == wanted
    assert sketch.bounds_ms == list(BOUNDS_MS)
    assert sketch.sum_ms == pytest.approx(sum(latencies_ms), abs=1e-3)


def test_tenants_over_the_bound_are_counted_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_SERIES", 2)
    found = series_of(*(outcome(tenant=tenant) for tenant in "abcda"))

    assert {key: one.requests for key, one in found.items()} == {
        ("p:m", "a"): 2,
        ("p:m", "b"): 1,
        ("p:m", "-"): 2,
    }


def test_a_snapshot_says_whose_it_is_and_keeps_what_was_counted():
    recorder = Recorder("w", "worker")
    recorder.observe(outcome())
    first = recorder.snapshot({"settled": 3}, {"under_way": 1.5})
    recorder.observe(outcome())

    assert (first.process, first.role, first.counters, first.gauges) == (
        "w",
        "worker",
        {"settled": 3},
        {"under_way": 1.5},
    )
    assert first.at_ms >= first.started_ms > 0
    assert first.series[0].requests == 1
    assert recorder.snapshot({}, {}).series[0].requests == 2


def test_snapshots_are_published_while_it_runs_and_once_more_at_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    sent: list[Outgoing] = []
    recorder = Recorder("w", "worker")
    publisher = Publisher("x.llm.metrics", lambda: recorder.snapshot({}, {}), sent.append)
    publisher.start()
    end_s = time.monotonic() + 5
    while len(sent) < 2 and time.monotonic() < end_s:
        time.sleep(0.005)
    recorder.observe(outcome())
    publisher.stop()

    assert {(one.topic, one.partition, one.key) for one in sent} == {("x.llm.metrics", 0, b"w")}
    assert Snapshot.model_validate_json(sent[0].value or b"").series == []
    assert Snapshot.model_validate_json(sent[-1].value or b"").series[0].requests == 1
    assert len(sent) >= 3
