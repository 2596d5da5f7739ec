"""The broker is killed for 10 seconds under load."""

import time

from connectors.bench import calculate
from connectors.bench.options import CLEAN, Defaults, most, none_of
from connectors.bench.report import Observed
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

DOWN_S = 10.0
RETURN_S = 3.0
"""Within this time of the broker's return all partitions must answer again."""


def play(run: Run) -> JsonObject:
    """Kill it at a third; the load goes on meanwhile."""
    broker = run.own_broker()
    run.start_worker()
    run.warm_up()
    load = run.pour()
    load.wait_sent(load.total // 3)
    run.say(f"killing the broker for {DOWN_S:g} s")
    broker.kill()
    time.sleep(DOWN_S)
    broker.start()
    run.marks["broker_back_ms"] = time.time_ns() / 1e6
    run.say("the broker is back")
    run.wait_all(90)
    return {}


def more(run: Run, seen: Observed) -> JsonObject:
    """Time from the broker's return to answers on all partitions; a restarted worker is an exit too many."""
    exits = [end for worker in run.workers for end in worker.exits]
    back_ms = run.marks["broker_back_ms"]
    return {
        "broker_return_s": round(calculate.return_s(seen.load.answered, back_ms), 3),
        "worker_exits": len(exits),
    }


SCENARIO = Scenario(
    name="broker",
    about="The broker is killed for 10 s under load.",
    play=play,
    defaults=Defaults(requests=8000, rate=200),
    limits=(*CLEAN, *none_of("worker_exits", "finished_again"), most("broker_return_s", RETURN_S)),
    more=more,
)
