"""Calls: drives the call machine of each job on one asyncio loop in a thread of its own.

Handed over once per batch from the flow's thread. No byte leaves before the attempt's `started` entry is
acknowledged and the door has been asked once more. What the loop holds is bounded by the credits.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import uvloop

from flows.ports import Door, Ledger, Outlet, Providers
from flows.stages.attempts import Tried, failed_attempt, good_attempt, unknown_attempt
from flows.stages.health import Health
from flows.stages.jobs import CallPlan, Ended, Failed, Job, PlannedRoute
from flows.stages.retry import CallMachine, RetryPolicy, Try
from flows.streaming import Streamer
from schemas.calls import Answer, Call, HttpRequest, Missing, ProviderError, Unavailable
from schemas.codes import Code
from schemas.responses import Attempt

_log = logging.getLogger(__name__)

STAGE = "call"
CANCELLED = "the tenant cancelled the request"
HOLD_S = 0.05
"""Between two looks at the lease while it is out."""

Fit = Callable[[Job, PlannedRoute], Awaitable[Failed | None]]
"""Makes a job fit a route's window; why it can't, where that is so."""
Done = Callable[[Ended], None]
"""Gets the end of a job, on the loop's thread."""


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


class Calls:
    """The loop, and the calls on it."""

    def __init__(self, ports: CallPorts, policy: CallPolicy, health: Health) -> None:
        self._ports, self._policy, self._health = ports, policy, health
        self.fit: Fit = _fits
        """Asked before a call falls back to another route, on the loop."""
        self.loop = uvloop.new_event_loop()
        self.active: dict[tuple[str, str], set[asyncio.Task[None]]] = {}
        self._thread = threading.Thread(target=self.loop.run_forever, name="weir-calls", daemon=True)

    def open(self, fatal: Callable[[str], None]) -> None:
        """Start the loop; `fatal` is called when something on it fails that must not."""

        def failed(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            error = context.get("exception")
            _log.error("the call loop failed: %s", context.get("message"), exc_info=_exc(error))
            fatal(f"the call loop failed: {context.get('message')} {error!r}")

        self.loop.set_exception_handler(failed)
        self._thread.start()

    def submit(self, jobs: list[Job], done: Done) -> None:
        """Encode the first attempt of each job, then hand the batch to the loop. On the flow's thread."""
        prepared: list[tuple[Job, HttpRequest | ProviderError | None]] = []
        for job in jobs:
            prepared.append((job, self._encode(_call(job, _plan(job).routes[0]))))
            self._ports.door.passed(job.record)
        self.loop.call_soon_threadsafe(self._spawn, prepared, done)

    def cancel(self, tenant: str, request_id: str) -> None:
        """Stop the calls of a request; on any thread."""
        self.loop.call_soon_threadsafe(self._cancel, (tenant, request_id))

    def close(self) -> None:
        """End the loop."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5)

    def _encode(self, call: Call) -> HttpRequest | ProviderError | None:
        try:
            return self._ports.providers.of(call.route).encode(call)
        except ProviderError as error:
            return error

    def _spawn(self, batch: list[tuple[Job, HttpRequest | ProviderError | None]], done: Done) -> None:
        for job, prepared in batch:
            task = self.loop.create_task(self._run(job, prepared, done))
            key = (job.request.tenant, job.request_id)
            tasks = self.active.setdefault(key, set())
            tasks.add(task)
            task.add_done_callback(lambda task, job=job: self._ended(job, task, done))
            if self._ports.door.cancelled(job.record, job.identity):
                task.cancel()

    def _ended(self, job: Job, task: "asyncio.Task[None]", done: Done) -> None:
        key = (job.request.tenant, job.request_id)
        tasks = self.active[key]
        tasks.discard(task)
        if not tasks:
            del self.active[key]
        if task.cancelled():  # before its first step: the coroutine never saw it
            done(Ended(job.record, job, failed=Failed(Code.CANCELLED, CANCELLED, STAGE)))
        elif (error := task.exception()) is not None:
            raise error  # a bug: the loop's exception handler ends the process

    def _cancel(self, key: tuple[str, str]) -> None:
        for task in self.active.get(key, ()):
            task.cancel()

    async def _run(self, job: Job, prepared: HttpRequest | ProviderError | None, done: Done) -> None:
        drive = _Drive(job, self._ports, self._policy, self._health, self._encode, self.fit)
        try:
            ended = await drive.run(prepared)
        except asyncio.CancelledError:
            ended = drive.failed(Code.CANCELLED, CANCELLED)
        done(ended)


class _Drive:
    """One job on its way over its plan."""

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

    async def run(self, prepared: HttpRequest | ProviderError | None) -> Ended:
        """Try after try, until there is an answer or no hope."""
        record = self._job.record
        if record.unknown_outcome:
            self._attempts.append(unknown_attempt(record))
            if not self._policy.retry_unknown:
                message = "a call was started by a worker that is gone, and unknown outcomes are not retried"
                return self.failed(Code.UNKNOWN_OUTCOME, message)
        machine = CallMachine(
            _plan(self._job), self._policy.retry, self._job.deadline_ms, record.attempts + 1
        )
        step = machine.begin(_now_ms())
        while isinstance(step, Try):
            outcome = await self._attempt(step, prepared)
            if isinstance(outcome, Ended):
                return outcome
            prepared = None
            step = machine.failed(outcome, _now_ms(), random.random())
            if isinstance(step, Try):
                failed = await self._fit(self._job, step.route)
                prepared = Missing(failed.message) if failed else self._encode(_call(self._job, step.route))
        return self.failed(step.code, step.message)

    async def _attempt(
        self, step: Try, prepared: HttpRequest | ProviderError | None
    ) -> Ended | ProviderError:
        """One try: wait for its time, note it on the ledger, call."""
        wait_ms = step.at_ms - _now_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)
        if isinstance(prepared, ProviderError):
            return prepared
        job, route = self._job, step.route.route
        may = await self._ports.ledger.started(job.record, job.identity, step.attempt, route.name)
        while may and not self._ports.allowed():
            await asyncio.sleep(HOLD_S)
        if not may or not self._ports.door.owns(job.record):
            return Ended(job.record, job)  # not this worker's any more: nothing of it is written
        self._tried = Tried(step.attempt, route, _now_ms(), time.monotonic())
        outcome = await self._call(step, prepared)
        now_ms = _now_ms()
        tried, self._tried = self._tried, None
        if isinstance(outcome, ProviderError):
            if outcome.outcome != "refused":
                self._health.record(route.name, ok=False, now_ms=now_ms)
            self._attempts.append(failed_attempt(tried, outcome, time.monotonic()))
            return outcome
        self._health.record(route.name, ok=True, now_ms=now_ms)
        first_s = None if self._stream is None else self._stream.first_s
        self._attempts.append(good_attempt(tried, outcome, self._job, (time.monotonic(), first_s)))
        return self._answered(step, outcome)

    async def _call(self, step: Try, prepared: HttpRequest | None) -> Answer | ProviderError:
        """Send and read; a deadline that comes meanwhile is `Unavailable`, and the machine gives up."""
        job = self._job
        call = _call(job, step.route)
        provider = self._ports.providers.of(step.route.route)
        self._stream = Streamer(job, step.attempt, self._ports.outbox, self._policy.chunks_topic)
        sink = self._stream.take if job.request.stream else None
        left_s = None if job.deadline_ms is None else max(0.0, (job.deadline_ms - _now_ms()) / 1000)
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
        if deadline_ms is not None and _now_ms() >= deadline_ms:
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


def _exc(error: object) -> BaseException | None:
    return error if isinstance(error, BaseException) else None


def _plan(job: Job) -> CallPlan:
    if job.plan is None:
        raise ValueError(f"{job.record.place} came to the call without a plan")
    return job.plan


def _call(job: Job, planned: PlannedRoute) -> Call:
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


async def _fits(_job: Job, _planned: PlannedRoute) -> Failed | None:
    return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
