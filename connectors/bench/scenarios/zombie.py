"""One of two workers is stopped beyond its session and then goes on: it must not answer or call again."""

from connectors.bench.options import CLEAN, Defaults, least
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from connectors.bench.scenarios.kill import patience_s
from schemas.base import JsonObject

BEYOND_S = 4.0
"""How much longer than the session the stop lasts."""
AFTER_S = 3.0
"""How long a late second response is waited for."""


def play(run: Run) -> JsonObject:
    """SIGSTOP at a fifth of the load, SIGCONT when the others have its partitions."""
    zombie = run.start_worker()
    run.start_worker()
    run.warm_up()
    load = run.pour()
    load.wait_sent(load.total // 5)
    run.say("SIGSTOP")
    run.stops.append(zombie.freeze(run.options.session_ms / 1000 + BEYOND_S))
    run.say("SIGCONT")
    run.wait_all(patience_s(run))
    run.watch(AFTER_S)
    return {"zombie_exits": len(zombie.exits), "exit_codes": [end.code for end in zombie.exits]}


SCENARIO = Scenario(
    name="zombie",
    about="One of two workers is stopped beyond its session, then woken.",
    play=play,
    defaults=Defaults(requests=6000, rate=200),
    limits=(*CLEAN, least("zombie_exits", 1)),
)
