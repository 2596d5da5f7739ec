"""What a run is asked to do, and what a scenario is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.bench.provider_faults import Habits
from connectors.process.stack import worker_command
from schemas.base import JsonObject


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one run, the scenario's defaults filled in."""

    requests: int
    """Requests of the load."""
    rate: float
    """Requests per second; 0 for all at once."""
    latency_ms: float
    """Time at the fake provider, in milliseconds."""
    session_ms: int = 10_000
    """Session timeout of the workers' group, in milliseconds."""
    seed: int = 1
    """Seed of faults and of hostile records."""
    partitions: int = 12
    """P."""
    size_bytes: int = 500
    """Length of a request's value."""
    static: bool = False
    """Whether workers have stable names."""
    spare: bool = True
    """Whether workers with stable names have a spare, as under `weir up`."""
    hold_ms: int = 60_000
    """Time of the one long call of `kill-twice`, in milliseconds."""
    slices: int = 5
    """Slices of `paced`, each followed by one of the echo."""
    bootstrap: str | None = None
    """A broker to use instead of an embedded one of our own."""
    provider_url: str | None = None
    """A provider to use instead of the fake one."""
    worker: tuple[str, ...] = worker_command()
    """The worker's command; `--config FILE` is appended, and `--standby` for the spare."""

    def habits(self, fault_ratio: float) -> Habits:
        """How the fake provider behaves."""
        return Habits(latency_ms=self.latency_ms, fault_ratio=fault_ratio, seed=self.seed)


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that a run must show. A figure that could not be measured (`None`) breaks no limit."""

    name: str
    """What must hold, as text: it stands in `failed` when it doesn't."""
    holds: Callable[[JsonObject], bool]
    """Whether it holds of a report."""


def most(field: str, bound: float) -> Limit:
    """The figure is at most `bound`."""
    return Limit(f"{field} <= {bound:g}", lambda report: report[field] is None or report[field] <= bound)


def least(field: str, bound: float) -> Limit:
    """The figure is at least `bound`."""
    return Limit(f"{field} >= {bound:g}", lambda report: report[field] is None or report[field] >= bound)


def none_of(*fields: str) -> tuple[Limit, ...]:
    """Each of the figures is 0."""
    return tuple(most(field, 0) for field in fields)


SAFE = none_of(
    "lost",
    "duplicate_responses",
    "stray_responses",
    "repaid_calls",
    "unstarted_calls",
    "unflagged_unknowns",
)
"""What holds whatever happens to workers and brokers."""
CLEAN = (*SAFE, *none_of("errors"))
"""The same, where every request can be answered."""


def broken(limits: tuple[Limit, ...], report: JsonObject) -> list[str]:
    """Names of the limits that a report does not keep."""
    return [limit.name for limit in limits if not limit.holds(report)]


@dataclass(frozen=True, slots=True)
class Defaults:
    """Options where the caller gives none."""

    requests: int
    """Requests of the load."""
    rate: float
    """Requests per second; 0 for all at once."""
    latency_ms: float = 200.0
    """Time at the fake provider, in milliseconds."""
    static: bool = False
    """Whether workers have stable names."""

    def filled(self, given: Mapping[str, object]) -> JsonObject:
        """The options that were given (not `None`), and the defaults for the rest."""
        own: JsonObject = {
            "requests": self.requests,
            "rate": self.rate,
            "latency_ms": self.latency_ms,
            "static": self.static,
        }
        return own | {name: value for name, value in given.items() if value is not None}
