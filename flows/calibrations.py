"""What all workers learnt of how models count, and what this one adds to it.

One record for each model and worker, so that no two workers write the same; what is known of a model is the
sum of its records. Of a flood a sample is enough: what one model teaches is bounded a second. Short calls
teach nothing: what a provider adds around a text drowns the text there.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flows.stages.calibrate import Calibration, Defaults, Estimate
from flows.stages.calibration_record import from_bytes, to_bytes
from flows.stages.catalogue import LAST_RESORT
from flows.stages.content import Content, Measured
from flows.stages.count import family_of, flat_tokens_of
from flows.stages.jobs import Ended
from flows.stages.pictures import Family
from schemas.calls import Route
from schemas.responses import CountKind

LEAST_TOKENS = 200
"""Least text of a call that teaches."""
LESSONS_PER_S = 20
"""Most calls of one model that teach in a second."""
MAX_WORKERS = 64
"""Workers whose records of a model are added up: the newest."""
MAX_MODELS = 1000
"""Models that records are kept of; those of others are counted and skipped."""
SEPARATOR = "/"
"""Between the model and the worker in a record's key; workers' names have none."""


@dataclass(slots=True)
class _Model:
    """One model's records."""

    defaults: Defaults
    own: Calibration = field(init=False)
    """What this worker learnt, in this life and earlier ones."""
    others: dict[str, Calibration] = field(default_factory=dict[str, Calibration])
    """What other workers wrote, the newest last."""
    known: Calibration = field(init=False)
    """All of it together."""
    single: dict[Content, tuple[float, CountKind]] = field(
        default_factory=dict[Content, tuple[float, CountKind]]
    )
    """Factor and kind of texts of one class, as far as they were asked for since `known` changed."""
    changed: bool = False
    """Whether `own` was not written since it changed."""
    second: int = 0
    lessons: int = 0

    def __post_init__(self) -> None:
        self.own = self.known = Calibration(defaults=self.defaults)

    def add_up(self) -> None:
        """Make `known` anew."""
        self.known = self.own
        for other in self.others.values():
            self.known = self.known.plus(other)
        self.single.clear()


class Calibrations:
    """How models count. From any thread."""

    def __init__(self, worker: str, assumed: Callable[[str], Defaults]) -> None:
        self._worker = worker.replace(SEPARATOR, "_")
        self._assumed = assumed
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}
        self._read = False
        self.unreadable = 0
        """Records that were skipped: no calibration, or of more models than are kept."""

    def of(self, route: Route, measured: Measured) -> Estimate:
        """What the route's model will count, with an upper bound."""
        return self._known(route).estimate(measured)

    def likely(self, route: Route, measured: Measured) -> tuple[int, CountKind]:
        """The likeliest number alone, and how far it can be trusted; cheap for texts of one class."""
        if len(measured.tokens) != 1:
            found = self.of(route, measured)
            return found.tokens, found.kind
        ((kind, tokens),) = measured.tokens.items()
        with self._lock:
            model = self._models.get(route.name)
            known = None if model is None else model.single.get(kind)
            if known is None:
                model = self._model(route.name, route.provider)
                scale = 1_000_000
                found = model.known.estimate(Measured({kind: scale}, {kind: scale}))
                known = model.single[kind] = (found.tokens / scale, found.kind)
        return round(tokens * known[0]) + measured.flat_tokens, known[1]

    def observe(self, route: Route, measured: Measured, provider_tokens: int, now_s: float) -> None:
        """Learn from a count of the provider's; `now_s` is on a clock that only goes forward."""
        if measured.text_tokens < LEAST_TOKENS or provider_tokens <= 0:
            return
        with self._lock:
            model = self._model(route.name, route.provider)
            if model.second != int(now_s):
                model.second, model.lessons = int(now_s), 0
            model.lessons += 1
            if model.lessons > LESSONS_PER_S:
                return
            model.own = model.own.observe(measured, provider_tokens)
            model.known = model.known.observe(measured, provider_tokens)
            model.single.clear()
            model.changed = True

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take in a record, newest last."""
        try:
            name, _, worker = (key or b"").decode().rpartition(SEPARATOR)
            if not name or not worker:
                raise ValueError("no key of a calibration")
            with self._lock:
                self._take(name, worker, value)
        except ValueError:
            self.unreadable += 1

    def _take(self, name: str, worker: str, value: bytes | None) -> None:
        if value is None:
            if name in self._models:
                self._models[name].others.pop(worker, None)
                self._models[name].add_up()
            return
        if name not in self._models and len(self._models) >= MAX_MODELS:
            raise ValueError(f"more than {MAX_MODELS} models")
        model = self._model(name, name.partition(":")[0])
        found = from_bytes(value, model.defaults)
        if worker != self._worker:
            model.others.pop(worker, None)
            model.others[worker] = found
            if len(model.others) > MAX_WORKERS:
                del model.others[next(iter(model.others))]
        elif not self._read:
            # An earlier life of this worker: with it goes what was learnt since the start.
            model.own = found.plus(model.own)
        model.add_up()

    def caught_up(self) -> None:
        """All records that there were at the start are taken in: from now on our own may be written."""
        self._read = True

    def changes(self) -> list[tuple[bytes, bytes]]:
        """Key and value of each record of ours that changed since it was last asked for."""
        if not self._read:
            return []
        with self._lock:
            found = [(name, model) for name, model in self._models.items() if model.changed]
            for _, model in found:
                model.changed = False
                model.add_up()
            return [
                (f"{name}{SEPARATOR}{self._worker}".encode(), to_bytes(model.own)) for name, model in found
            ]

    def _known(self, route: Route) -> Calibration:
        with self._lock:
            return self._model(route.name, route.provider).known

    def _model(self, name: str, provider: str) -> _Model:
        model = self._models.get(name)
        if model is None:
            model = _Model(self._assumed(provider))
            if len(self._models) < MAX_MODELS:
                self._models[name] = model
        return model


def learn(ended: Ended, calibrations: Calibrations, now_s: float) -> None:
    """Learn from an answer's usage, and say on the job what was expected of the model.

    `now_s` is on a clock that only goes forward.
    """
    job, route = ended.job, ended.route
    if job is None or job.plan is None:
        return
    if route is None:
        route = job.plan.routes[0].route
    fitted = job.fitted.get(route.name)
    measured = job.measured if fitted is None else fitted.measured
    if (family := family_of(route.provider)) is not Family.OPENAI and fitted is None:
        measured = measured.with_flat(flat_tokens_of(job, family))
    job.estimated_tokens, job.estimate_kind = calibrations.likely(route, measured)
    if fitted is not None and fitted.exact_tokens is not None:
        job.estimated_tokens, job.estimate_kind = fitted.exact_tokens, "exact"
    usage = None if ended.answer is None else ended.answer.usage
    if usage is not None and usage.counted_by == "provider" and route.provider != LAST_RESORT:
        calibrations.observe(route, measured, usage.input_tokens, now_s)
