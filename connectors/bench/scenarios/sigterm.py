"""A worker is asked to end under load: it finishes what it has begun, and its successor goes on there."""

from connectors.bench.options import CLEAN, Defaults, Limit, none_of
from connectors.bench.report import Observed
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from connectors.bench.scenarios.kill import patience_s
from connectors.bench.scenarios.rebalance import LEAVE_S
from schemas.base import JsonObject


def play(run: Run) -> JsonObject:
    """SIGTERM at half of the load; the supervisor starts it again."""
    worker = run.start_worker()
    run.warm_up()
    load = run.pour()
    load.wait_sent(load.total // 2)
    run.say("SIGTERM")
    code = worker.terminate(LEAVE_S)
    run.wait_all(patience_s(run))
    return {"exit_codes": [code]}


def more(run: Run, seen: Observed) -> JsonObject:
    """Calls beyond one for each request."""
    ids = {call.request_id for call in seen.load.calls}
    return {"repeated_calls": len(seen.load.calls) - len(ids)}


SCENARIO = Scenario(
    name="sigterm",
    about="A worker ends by SIGTERM under load and is started again.",
    play=play,
    defaults=Defaults(requests=4000, rate=200),
    limits=(
        *CLEAN,
        *none_of("unknown_outcomes", "finished_again", "repeated_calls"),
        Limit("exit_codes are 0", lambda report: set(report["exit_codes"]) == {0}),
    ),
    more=more,
)
