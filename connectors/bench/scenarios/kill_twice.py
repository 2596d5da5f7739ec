"""Two kills while one long call holds the watermark: no answer from before the first may be forgotten."""

from connectors.bench.load import PlainItems
from connectors.bench.options import CLEAN, Defaults
from connectors.bench.report import Observed
from connectors.bench.run import LOAD, Run
from connectors.bench.scenario import Scenario
from connectors.bench.scenarios.kill import GAP, gap, patience_s
from schemas.base import JsonObject

HELD = f"{LOAD}-held"
"""Prefix of the id of the one long call."""


def play(run: Run) -> JsonObject:
    """The long call first, then the load with a kill at a quarter and at three."""
    worker = run.start_worker()
    run.warm_up()
    held = PlainItems(HELD, 1, run.options.partitions, prompt=f"latency={run.options.hold_ms}")
    run.pour(held, rate=0).join()
    load = run.pour()
    for part in (1, 3):
        load.wait_sent(load.total * part // 4)
        run.say("kill -9")
        run.stops.append(worker.kill())
    run.wait_all(patience_s(run) + run.options.hold_ms / 1000)
    return {"exit_codes": [end.code for end in worker.exits]}


def more(run: Run, seen: Observed) -> JsonObject:
    """The longest silence of partitions that owed other answers than that of the long call."""
    return gap(run, seen.load.without(HELD), seen.stops)


SCENARIO = Scenario(
    name="kill-twice",
    about="Two kills while one 60 s call holds the watermark.",
    play=play,
    defaults=Defaults(requests=8000, rate=200),
    limits=(*CLEAN, GAP),
    more=more,
)
