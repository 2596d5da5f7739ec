"""One job on its way over its plan: try after try, until there is an answer or no hope."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from flows.ports import Door, Ledger, Outlet, Providers
from flows.stages.attempts import Tried, failed_attempt, good_attempt, unknown_attempt
from flows.stages.health import Health
from flows.stages.jobs import CallPlan, Ended, Failed, Job, PlannedRoute
from flows.stages.retry import CallMachine, RetryPolicy, Step, Try
from flows.streaming import Streamer
from schemas.calls import Answer, Call, HttpRequest, Missing, ProviderError, Unavailable
from schemas.codes import Code
from schemas.responses import Attempt

STAGE = "call"
CANCELLED = "the tenant cancelled the request"
HOLD_S = 0.05
"""Between two looks at the lease while it is out."""

Fit = Callable[[Job, PlannedRoute], Awaitable[Failed | None]]
"""Makes a job fit a route's window; why it can't, where that is so."""


@dataclass(frozen=True, slots=True)
class CallPorts:
    """What calls need from outside."""

    providers: Providers
    """Who answers."""
    ledger: Ledger
    """Where `started` entries go."""
    door: Door
    """Whose requests are."""
    outbox: Outlet
    """Where chunks go."""
    allowed: Callable[[], bool]
    """Whether the lease holds."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How calls are made."""

    retry: RetryPolicy
    """How often, and how long between."""
    retry_unknown: bool
    """Whether a request with an unknown outcome is called again."""
    chunks_topic: str
    """Where chunks go by default."""


class First(NamedTuple):
    """A job whose first step is known."""

    job: Job
    request: HttpRequest | ProviderError | None
    """The first attempt's bytes, or why there are none."""
    machine: CallMachine
    step: Step
    noted: bool
    """Whether the first attempt is on the ledger before the loop hears of the job."""


class Drive:
    """The way of one job."""

    def __init__(
        self,
        job: Job,
        ports: CallPorts,
        policy: CallPolicy,
        health: Health,
        encode: Callable[[Call], HttpRequest | ProviderError | None],
        fit: Fit,
    ) -> None:
        self._job, self._ports, self._policy = job, ports, policy
        self._health, self._encode, self._fit = health, encode, fit
        self._attempts: list[Attempt] = []
        self._tried: Tried | None = None
        self._stream: Streamer | None = None

    def failed(self, code: Code, message: str) -> Ended:
        """The end without an answer; a try that was under way is on the ledger too."""
        if self._tried is not None:
            reason = Unavailable(f"stopped: {code}")
            self._attempts.append(failed_attempt(self._tried, reason, time.monotonic()))
        return Ended(
            self._job.record, self._job, failed=Failed(code, message, STAGE), attempts=self._attempts
        )

    async def run(self, first: First) -> Ended:
        """Try after try, until there is an answer or no hope."""
        record = self._job.record
        if record.unknown_outcome:
            self._attempts.append(unknown_attempt(record))
            if not self._policy.retry_unknown:
                message = "a call was started by a worker that is gone, and unknown outcomes are not retried"
                return self.failed(Code.UNKNOWN_OUTCOME, message)
        _, prepared, machine, step, noted = first
        while isinstance(step, Try):
            outcome = await self._attempt(step, prepared, noted)
            if isinstance(outcome, Ended):
                return outcome
            prepared, noted = None, False
            step = machine.failed(outcome, now_ms(), random.random())
            if isinstance(step, Try):
                failed = await self._fit(self._job, step.route)
                prepared = Missing(failed.message) if failed else self._encode(call_of(self._job, step.route))
        return self.failed(step.code, step.message)

    async def _attempt(
        self, step: Try, prepared: HttpRequest | ProviderError | None, noted: bool
    ) -> Ended | ProviderError:
        """One try: wait for its time, note it on the ledger if it isn't, call."""
        wait_ms = step.at_ms - now_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)
        if isinstance(prepared, ProviderError):
            return prepared
        job, route = self._job, step.route.route
        may = noted or await self._ports.ledger.started(job.record, job.identity, step.attempt, route.name)
        while may and not self._ports.allowed():
            await asyncio.sleep(HOLD_S)
        if not may or not self._ports.door.owns(job.record):
            return Ended(job.record, job)  # not this worker's any more: nothing of it is written
        self._tried = Tried(step.attempt, route, now_ms(), time.monotonic())
        outcome = await self._call(step, prepared)
        at_ms = now_ms()
        tried, self._tried = self._tried, None
        if isinstance(outcome, ProviderError):
            if outcome.outcome != "refused":
                self._health.record(route.name, ok=False, now_ms=at_ms)
            self._attempts.append(failed_attempt(tried, outcome, time.monotonic()))
            return outcome
        self._health.record(route.name, ok=True, now_ms=at_ms)
        first_s = None if self._stream is None else self._stream.first_s
        self._attempts.append(good_attempt(tried, outcome, self._job, (time.monotonic(), first_s)))
        return self._answered(step, outcome)

    async def _call(self, step: Try, prepared: HttpRequest | None) -> Answer | ProviderError:
        """Send and read; a deadline that comes meanwhile is `Unavailable`, and the machine gives up."""
        job = self._job
        call = call_of(job, step.route)
        provider = self._ports.providers.of(step.route.route)
        self._stream = Streamer(job, step.attempt, self._ports.outbox, self._policy.chunks_topic)
        sink = self._stream.take if job.request.stream else None
        left_s = None if job.deadline_ms is None else max(0.0, (job.deadline_ms - now_ms()) / 1000)
        try:
            async with asyncio.timeout(left_s):
                answer = await provider.complete(call, prepared, sink, self._gate)
        except TimeoutError:
            return Unavailable("no answer before the deadline")
        except ProviderError as error:
            return error
        finally:
            self._stream.stop()
        return answer

    def _gate(self) -> bool:
        deadline_ms = self._job.deadline_ms
        if deadline_ms is not None and now_ms() >= deadline_ms:
            return False
        return self._ports.allowed() and self._ports.door.owns(self._job.record)

    def _answered(self, step: Try, answer: Answer) -> Ended:
        stream = self._stream
        last = stream.finish(answer) if stream is not None and self._job.request.stream else None
        return Ended(
            self._job.record,
            self._job,
            answer=answer,
            attempts=self._attempts,
            route=step.route.route,
            reason=step.reason,
            last_chunk=last,
        )


def plan_of(job: Job) -> CallPlan:
    """Where a job is to be called for."""
    if job.plan is None:
        raise ValueError(f"{job.record.place} came to the call without a plan")
    return job.plan


def call_of(job: Job, planned: PlannedRoute) -> Call:
    """A job as a route's provider is asked."""
    messages, input_tokens = job.messages, job.input_tokens
    if (fitted := job.fitted.get(planned.route.name)) is not None:
        measured = fitted.measured
        messages, input_tokens = fitted.messages, measured.text_tokens + measured.flat_tokens
    return Call(
        job.request_id,
        job.request,
        messages,
        planned.route,
        planned.max_tokens,
        job.request.stream,
        input_tokens,
    )


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
