"""One worker is killed at half of the load and started again."""

from connectors.bench import calculate
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
    bound_s = STATIC_GAP_S if run.options.static else run.options.session_ms / 1000 + BEYOND_SESSION_S
    return {"gap_s": gap_s(seen), "gap_bound_s": bound_s}


def gap_s(seen: Observed) -> float:
    """Longest silence of any partition after a kill and before the next, in seconds."""
    kills = [stop.at_ms for stop in seen.stops]
    ends = [*kills[1:], float("inf")]
    answered = seen.load.answered
    gaps = [calculate.silence_s(answered, at, until) for at, until in zip(kills, ends, strict=False)]
    return round(max(gaps, default=0.0), 3)


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
