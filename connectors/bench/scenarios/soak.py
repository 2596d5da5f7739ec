"""A long load: memory, threads and open files must not grow."""

from connectors.bench.options import CLEAN, Defaults, most, none_of
from connectors.bench.report import Observed, growth
from connectors.bench.run import Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

GROWTH_RATIO = 0.05


def play(run: Run) -> JsonObject:
    """One worker, then the load."""
    run.start_worker()
    run.warm_up()
    run.pour()
    run.wait_all(60)
    return {}


def more(run: Run, seen: Observed) -> JsonObject:
    """Growth after the first quarter."""
    return growth(seen.load.answered, seen.samples, run.options.requests // 4)


SCENARIO = Scenario(
    name="soak",
    about="200,000 requests: memory, threads and open files stay flat.",
    play=play,
    defaults=Defaults(requests=200_000, rate=1000),
    limits=(
        *CLEAN,
        *none_of("unknown_outcomes", "finished_again"),
        most("rss_growth_ratio", GROWTH_RATIO),
        most("threads_growth_ratio", GROWTH_RATIO),
        most("fds_growth_ratio", GROWTH_RATIO),
    ),
    more=more,
)
