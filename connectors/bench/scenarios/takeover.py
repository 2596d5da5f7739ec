"""A worker is killed when its window of repeated requests is full: ten minutes at 200 requests a second."""

from connectors.bench import calculate
from connectors.bench.load import PlainItems
from connectors.bench.options import CLEAN, Defaults, most
from connectors.bench.report import Observed
from connectors.bench.run import LOAD, Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

TAKEOVER_S = 5.0
"""Within this time of the kill all partitions must answer again."""
AFTER_RATE = 200.0
AFTER_S = 15
FILL_LATENCY = "latency=5"


def play(run: Run) -> JsonObject:
    """Fill the window as fast as it goes, then kill under a steady load."""
    worker = run.start_worker()
    run.warm_up()
    options = run.options
    fill = PlainItems(f"{LOAD}-fill", options.requests, options.partitions, prompt=FILL_LATENCY)
    run.pour(fill)
    run.wait_all(60)
    load = run.pour(
        PlainItems(f"{LOAD}-after", int(AFTER_RATE * AFTER_S), options.partitions), rate=AFTER_RATE
    )
    load.wait_sent(load.total // 3)
    run.say("kill -9")
    run.stops.append(worker.kill())
    run.wait_all(60)
    return {"window_entries": options.requests}


def more(run: Run, seen: Observed) -> JsonObject:
    """From the kill until every partition answers."""
    after = seen.load.only(f"{LOAD}-after")
    return {"takeover_s": round(calculate.return_s(after.answered, run.stops[0].until_ms), 3)}


SCENARIO = Scenario(
    name="takeover",
    about="A worker with a full 10-minute window is killed and started again by its stable name.",
    play=play,
    defaults=Defaults(requests=120_000, rate=0, static=True),
    limits=(*CLEAN, most("takeover_s", TAKEOVER_S)),
    more=more,
)
