"""What a scenario is, and how one is run from start to verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.bench.options import CLEAN, Defaults, Limit, Options, broken
from connectors.bench.report import Observed, figures
from connectors.bench.run import WARM, Run, Say
from schemas.base import JsonObject


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story that is played with real workers, and what it must show."""

    name: str
    """Its name on the command line."""
    about: str
    """What happens, in one line."""
    play: Callable[[Run], JsonObject]
    """Plays it; the further figures that it took on the way."""
    defaults: Defaults
    """Options where the caller gives none."""
    limits: tuple[Limit, ...] = CLEAN
    """What must hold of the report."""
    more: Callable[[Run, Observed], JsonObject] = lambda run, seen: {}
    """Further figures, from all that was seen; they win over the common ones."""
    fault_ratio: float = 0.0
    """Share of the requests whose first attempts fail."""
    models: tuple[tuple[str, str], ...] = ()
    """Further models of the workers' configuration: name and provider, at the fake provider's address."""
    plugins: tuple[str, ...] = ()
    """Modules that the workers load."""
    windows: Mapping[str, int] = field(default_factory=dict[str, int])
    """Windows of further models, in tokens."""


def execute(scenario: Scenario, options: Options, say: Say) -> JsonObject:
    """Play a scenario; its report, with `ok` and the limits that `failed`.

    Raises:
        BenchError: When there are no figures.
        KafkaProblem: When the broker is not there.
    """
    run = Run(
        options,
        say,
        fault_ratio=scenario.fault_ratio,
        models=scenario.models,
        plugins=scenario.plugins,
        windows=scenario.windows,
    )
    with run:
        told = scenario.play(run)
        say("reading topics and the provider's log")
        facts = run.facts()
        run.sampler.close()
        stats = run.provider.stats()
        seen = Observed(
            facts, facts.without(WARM), run.stops, run.sampler.samples, stats["max_open"] if stats else None
        )
        report: JsonObject = {"scenario": scenario.name, **figures(seen), **told, **scenario.more(run, seen)}
    failed = broken(scenario.limits, report)
    if failed:
        say(f"not ok: {', '.join(failed)}; logs are in {run.home}")
    else:
        run.forget()
    return {**report, "ok": not failed, "failed": failed}


def by_name(scenarios: Sequence[Scenario]) -> dict[str, Scenario]:
    """The table that the command line is made of."""
    return {scenario.name: scenario for scenario in scenarios}
