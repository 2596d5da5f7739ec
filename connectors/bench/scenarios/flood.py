"""All requests at once: throughput, CPU, and how many calls are open at the provider."""

from connectors.bench.options import CLEAN, Defaults, Limit, most, none_of
from connectors.bench.report import Observed
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

OPEN_CALLS = 2000
"""Calls that must be open at once, where they take long enough."""

PATIENCE_S = 60.0
"""How long a run waits for one more answer, beyond the provider's latency."""


def play(run: Run) -> JsonObject:
    """One worker, then the load."""
    run.start_worker()
    run.warm_up()
    run.pour()
    run.wait_all(run.options.latency_ms / 1000 + PATIENCE_S)
    return {}


def more(run: Run, seen: Observed) -> JsonObject:
    """How many open calls are wanted: 2,000 where there are as many and they take 2 s."""
    enough = run.options.requests >= 2 * OPEN_CALLS and run.options.latency_ms >= 2000
    return {"wanted_open": OPEN_CALLS if enough else 0}


def _open_enough(report: JsonObject) -> bool:
    return report["provider_max_open"] is None or report["provider_max_open"] >= report["wanted_open"]


SCENARIO = Scenario(
    name="flood",
    about="All requests at once, one worker: throughput and CPU.",
    play=play,
    defaults=Defaults(requests=20_000, rate=0),
    limits=(
        *CLEAN,
        *none_of("unknown_outcomes", "finished_again"),
        most("cpu_ms_per_request", 0.5),
        Limit(f"provider_max_open >= {OPEN_CALLS}", _open_enough),
    ),
    more=more,
)
