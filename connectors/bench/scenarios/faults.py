"""The provider fails by seed: the first one to three attempts of 12 % of the requests."""

from connectors.bench.options import CLEAN, Defaults, least, none_of
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

FAULT_RATIO = 0.12


def play(run: Run) -> JsonObject:
    """One worker, then the load."""
    run.start_worker()
    run.warm_up()
    run.pour()
    run.wait_all(60)
    again = sum(1 for call in run.provider.calls() if call.end == "fault")
    return {"faults": again}


SCENARIO = Scenario(
    name="faults",
    about="5xx, 429, resets and cut answers on the first attempts of 12 % of the requests.",
    play=play,
    defaults=Defaults(requests=5000, rate=0),
    limits=(*CLEAN, *none_of("unknown_outcomes", "finished_again"), least("faults", 1)),
    fault_ratio=FAULT_RATIO,
)
