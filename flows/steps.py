"""The steps of the serving flow: pure stages, bound to the clock and the ports."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kafka.partitioner.default import murmur2

from flows.calibrations import Calibrations, learn
from flows.counting import Counting
from flows.fitter import Fitter
from flows.orchestrate import Rule, Waiting
from flows.ports import Answers, Counter, Door
from flows.recalling import Recalling
from flows.stages.admit import AdmitPolicy, admit, deadline_ms, reply_fault
from flows.stages.batch import batch
from flows.stages.cache import cache
from flows.stages.catalogue import Catalogue
from flows.stages.count import count_batch
from flows.stages.decode import decode
from flows.stages.estimates import AsCounted
from flows.stages.forward import forward
from flows.stages.health import Health
from flows.stages.jobs import Ended, Failed, Job, Work
from flows.stages.limits import Limits
from flows.stages.recall import recall
from flows.stages.respond import respond
from flows.stages.route import Windows, route
from schemas.arrivals import Arrival, Outcome
from schemas.cluster import Cluster
from schemas.codes import Code
from schemas.records import Record

Submit = Callable[[list[Job], Callable[[Ended], None]], None]
"""Begins calls; see `flows.calling.Calls.submit`."""
Observe = Callable[[Outcome], None]
"""Counts an outcome that is about to be written."""


@dataclass(frozen=True, slots=True)
class StepPorts:
    """What the steps need from outside."""

    door: Door
    """Who may go on."""
    counter: Counter
    """Counts tokens."""
    submit: Submit
    """Begins calls."""
    answers: Answers
    """Writes outcomes."""
    reply_topics: Callable[[], Mapping[str, int]]
    """Topics that may be named as reply topics, and their number of partitions."""
    observe: Observe
    """Counts outcomes."""
    recalling: Recalling | None = None
    """Fetches what requests need from outside; `None` where nothing can be fetched."""
    counting: Counting | None = None
    """Counts long texts; `None` where the flow's thread counts all."""
    fitter: Fitter | None = None
    """Fits what is near a window; `None` where everything is sent as it is."""
    calibrations: Calibrations | None = None
    """How models count; `None` where our own count holds for all."""


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """What the steps go by."""

    cluster: Cluster
    """Number of partitions and prefix."""
    catalogue: Catalogue
    """The routes."""
    limits: Limits
    """Sizes and times."""
    reply_prefixes: tuple[str, ...]
    """Prefixes a reply topic may have."""
    asked: frozenset[str] = frozenset()
    """Providers that are asked for their own count near a window."""


class BoundSteps:
    """All steps. Each takes the batch at hand and passes by what is at its end."""

    def __init__(self, ports: StepPorts, policy: StepPolicy, health: Health) -> None:
        self._ports, self._policy, self._health = ports, policy, health
        self._admit = AdmitPolicy(policy.reply_prefixes, policy.limits)
        self._windows = Windows(ports.calibrations or AsCounted(), policy.asked)
        self.between: list[tuple[str, Rule | Waiting]] = [
            ("admit", self.admit),
            ("recall", _or_waiting(lambda items: _each(items, recall), ports.recalling)),
            ("count", _or_waiting(self.count, ports.counting)),
            ("cache", lambda items: _each(items, cache)),
            ("route", self.route),
            ("compress", _or_waiting(_as_it_is, ports.fitter)),
            ("batch", self.batch),
        ]

    def decode(self, records: list[Record]) -> list[Work]:
        """Bytes to jobs; what can't be read is at its end."""
        now_ms = _now_ms()
        items: list[Work] = []
        for record in records:
            read = decode(record, self._policy.limits, now_ms)
            items.append(Ended(record, failed=read) if isinstance(read, Failed) else read)
        return items

    def admit(self, items: list[Work]) -> list[Work]:
        """Forward what belongs elsewhere, hold what must wait, reject what may not pass."""
        now_ms = _now_ms()
        topics = self._ports.reply_topics()
        admitted: list[Work] = []
        for item in items:
            result = item if isinstance(item, Ended) else self._admit_one(item, topics, now_ms)
            if result is not None:
                admitted.append(result)
        return admitted

    def _admit_one(self, job: Job, topics: Mapping[str, int], now_ms: int) -> Work | None:
        job.deadline_ms = deadline_ms(job, self._policy.limits)
        move = forward(job, self._policy.cluster, murmur2)
        if move is not None:
            return Ended(job.record, job, move=move)
        arrival, earlier = self._ports.door.arrive(job.record, job.identity)
        if arrival is Arrival.GO:
            result = admit(job, self._admit, topics, now_ms)
            return _end(job, result) if isinstance(result, Failed) else result
        return self._stopped(job, arrival, earlier, topics)

    def _stopped(self, job: Job, arrival: Arrival, earlier: int, topics: Mapping[str, int]) -> Work | None:
        """What becomes of a request that may not go on; `None` where it comes again, here or elsewhere."""
        if arrival in (Arrival.HELD, Arrival.GONE):
            return None
        if arrival is Arrival.OWED:
            return Ended(job.record, job, owed=True, repeat_of=earlier)
        self._strip_address(job, topics)
        if arrival is Arrival.REPEAT:
            return Ended(job.record, job, repeat=True, repeat_of=earlier)
        if arrival is Arrival.CANCELLED:
            return _end(job, Failed(Code.CANCELLED, "the tenant cancelled the request", "admit"))
        message = "`request_id` was used before with another body; choose a new one"
        failed = Failed(Code.INVALID_REQUEST, message, "admit", field="request_id", dead_letter=True)
        return Ended(job.record, job, failed=failed, conflict=True)

    def _strip_address(self, job: Job, topics: Mapping[str, int]) -> None:
        """What ends before `admit` has checked its reply address gets no copy at a wrong one."""
        if reply_fault(job.request, self._admit.reply_prefixes, topics) is not None:
            job.request = job.request.model_copy(update={"reply_topic": None, "reply_partition": None})

    def count(self, items: list[Work]) -> list[Work]:
        """Count all jobs of the batch at once."""
        count_batch([item for item in items if isinstance(item, Job)], self._ports.counter)
        return items

    def route(self, items: list[Work]) -> list[Work]:
        """A plan for each job, or the reason why there is none."""
        now_ms = _now_ms()

        def planned(job: Job) -> Work:
            plan = route(job, self._policy.catalogue, self._health, now_ms, self._windows)
            if isinstance(plan, Failed):
                return _end(job, plan)
            job.plan = plan
            return job

        return _each(items, planned)

    def batch(self, items: list[Work]) -> list[Work]:
        """Jobs in the order of their batches, after what is at its end."""
        ended: list[Work] = [item for item in items if isinstance(item, Ended)]
        jobs = [item for item in items if isinstance(item, Job)]
        return ended + [job for group in batch(jobs) for job in group]

    def call(self, jobs: list[Work], done: Callable[[Ended], None]) -> None:
        """Begin the calls."""
        self._ports.submit([job for job in jobs if isinstance(job, Job)], done)

    def respond(self, ended: list[Ended], done: Callable[[Outcome], None]) -> None:
        """Build the responses and begin to write them."""
        now_ms = _now_ms()
        limits, prefix = self._policy.limits, self._policy.cluster.prefix
        if self._ports.calibrations is not None:
            for item in ended:
                learn(item, self._ports.calibrations, time.monotonic())
        outcomes = [respond(item, now_ms, limits.max_answer_bytes, prefix) for item in ended]
        for outcome in outcomes:
            self._ports.observe(outcome)
        self._ports.answers.write(outcomes, done)


def _or_waiting(rule: Rule, desk: Recalling | Counting | Fitter | None) -> Rule | Waiting:
    """At once, but for what has to wait at a desk, if there is one."""
    return rule if desk is None else Waiting(rule, desk.waits, desk.start)


def _as_it_is(items: list[Work]) -> list[Work]:
    return items


def _each(items: list[Work], rule: Callable[[Job], Work]) -> list[Work]:
    return [rule(item) if isinstance(item, Job) else item for item in items]


def _end(job: Job, failed: Failed) -> Ended:
    return Ended(job.record, job, failed=failed)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
