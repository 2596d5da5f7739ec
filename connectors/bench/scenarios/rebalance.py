"""Two workers; a third joins, one is killed, and the others are restarted one after the other by SIGTERM."""

from connectors.bench.options import CLEAN, Defaults, Limit
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from connectors.bench.scenarios.kill import GAP, more, patience_s
from schemas.base import JsonObject

LEAVE_S = 45.0
"""Longest wait for a worker to end after SIGTERM: the drain and a little."""


def play(run: Run) -> JsonObject:
    """Join at 15 %, kill at 30 %, restarts at 60 and 75 % of the load."""
    first, second = run.start_worker(), run.start_worker()
    run.warm_up()
    load = run.pour()
    load.wait_sent(load.total * 15 // 100)
    run.say("a third worker joins")
    run.start_worker()
    load.wait_sent(load.total * 30 // 100)
    run.say("kill -9 of the first")
    run.stops.append(first.kill())
    codes: list[int | None] = []
    for share, worker in ((60, second), (75, run.workers[2])):
        load.wait_sent(load.total * share // 100)
        run.say("SIGTERM of the next")
        codes.append(worker.terminate(LEAVE_S))
    run.wait_all(patience_s(run))
    return {"exit_codes": codes}


SCENARIO = Scenario(
    name="rebalance",
    about="Two workers, a third joins, one is killed, the others restart by SIGTERM.",
    play=play,
    defaults=Defaults(requests=12_000, rate=200),
    limits=(*CLEAN, GAP, Limit("exit_codes are 0", lambda report: set(report["exit_codes"]) == {0})),
    more=more,
)
