"""All requests at once: throughput, CPU, and how many calls are open at the provider."""

from connectors.bench.options import CLEAN, Defaults, Limit, Options, none_of
from connectors.bench.report import Observed
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

OPEN_CALLS = 2000
"""Calls that must be open at once, where they take long enough."""

CPU_MS = 0.5
"""Most CPU milliseconds of a request, where all come at once and a call takes at most `CPU_LATENCY_MS`."""
CPU_LATENCY_MS = 200

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
    """What is wanted of such a run."""
    return wanted(run.options)


def wanted(options: Options) -> JsonObject:
    """2,000 open calls, where there are as many and they take 2 s; little CPU, where they come at once."""
    wide = options.requests >= 2 * OPEN_CALLS and options.latency_ms >= 2000
    busy = not options.rate and options.latency_ms <= CPU_LATENCY_MS
    return {"wanted_open": OPEN_CALLS if wide else 0, "wanted_cpu_ms": CPU_MS if busy else None}


def _cheap_enough(report: JsonObject) -> bool:
    return report["wanted_cpu_ms"] is None or report["cpu_ms_per_request"] <= report["wanted_cpu_ms"]


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
        Limit(f"cpu_ms_per_request <= {CPU_MS:g}", _cheap_enough),
        Limit(f"provider_max_open >= {OPEN_CALLS}", _open_enough),
    ),
    more=more,
)
