"""One worker is killed at half of the load and started again."""

from collections.abc import Sequence

from connectors.bench import calculate
from connectors.bench.facts import Facts, Stop
from connectors.bench.options import CLEAN, Defaults, Limit
from connectors.bench.report import Observed
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

STATIC_GAP_S = 1.5
"""Longest silence after a kill where workers have stable names."""
BEYOND_SESSION_S = 3.0
"""How much longer than the session the silence may last where they have none."""


def play(run: Run) -> JsonObject:
    """Kill at half, with load before and after."""
    worker = run.start_worker()
    run.warm_up()
    load = run.pour()
    load.wait_sent(load.total // 2)
    run.say("kill -9")
    run.stops.append(worker.kill())
    run.wait_all(patience_s(run))
    return {"exit_codes": [end.code for end in worker.exits]}


def more(run: Run, seen: Observed) -> JsonObject:
    """The longest silence, and what it may be."""
    return gap(run, seen.load, seen.stops)


def gap(run: Run, load: Facts, stops: Sequence[Stop]) -> JsonObject:
    """Longest silence of a partition after a kill and before the next, whole and less the provider's part.

    The first answer after a kill is that of a call made after it, so the provider's latency is in `gap_s`.
    """
    kills = [stop.at_ms for stop in stops]
    ends = [*kills[1:], float("inf")]
    gaps = [
        calculate.silence_s(load.asked, load.answered, at, until)
        for at, until in zip(kills, ends, strict=True)
    ]
    gap_s, latency_s = max(gaps, default=0.0), run.options.latency_ms / 1000
    bound_s = STATIC_GAP_S if run.options.static else run.options.session_ms / 1000 + BEYOND_SESSION_S
    return {
        "gap_s": round(gap_s, 3),
        "gaps_s": [round(each, 3) for each in gaps],
        "gap_bound_s": bound_s,
        "provider_latency_s": latency_s,
        "gap_less_latency_s": round(max(0.0, gap_s - latency_s), 3),
    }


def patience_s(run: Run) -> float:
    """How long a run waits for one more answer: takeover, retries and a call."""
    return 2 * run.options.session_ms / 1000 + run.options.latency_ms / 1000 + 45


GAP = Limit("gap_s <= gap_bound_s", lambda report: report["gap_s"] <= report["gap_bound_s"])

SCENARIO = Scenario(
    name="kill",
    about="One worker is killed at half of the load and started again.",
    play=play,
    defaults=Defaults(requests=4000, rate=200),
    limits=(*CLEAN, GAP),
    more=more,
)
