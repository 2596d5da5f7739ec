"""Calls: drives the call machine of each job on one asyncio loop in a thread of its own.

No byte leaves before the attempt's `started` entry is acknowledged and the door has been asked once more.
The flow's thread notes the first attempts of a batch, and the loop hears of them when they are durable: one
wake-up for each batch. What the loop holds is bounded by the credits.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial

import uvloop

from flows.drive import CANCELLED, STAGE, CallPolicy, CallPorts, Drive, First, Fit, call_of, now_ms, plan_of
from flows.stages.health import Health
from flows.stages.jobs import Ended, Failed, Job, PlannedRoute
from flows.stages.retry import CallMachine, Try
from schemas.arrivals import Start
from schemas.calls import Call, HttpRequest, ProviderError
from schemas.codes import Code

_log = logging.getLogger(__name__)

Done = Callable[[Ended], None]
"""Gets the end of a job, on the loop's thread."""


class Calls:
    """The loop, and the calls on it."""

    def __init__(self, ports: CallPorts, policy: CallPolicy, health: Health) -> None:
        self._ports, self._policy, self._health = ports, policy, health
        self.fit: Fit = _fits
        """Asked before a call falls back to another route, on the loop."""
        self.loop = uvloop.new_event_loop()
        self.active: dict[tuple[str, str], dict[Drive, asyncio.Task[None]]] = {}
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
        """Encode and note the first attempt of each job, then the loop takes over. On the flow's thread."""
        starts: list[Start] = []
        at_ms = now_ms()
        for job in jobs:
            first = self._first(job, at_ms)
            self._ports.door.passed(job.record)
            go = partial(self._spawn, first, done)
            if first.noted and isinstance(step := first.step, Try):
                starts.append(Start(job.record, job.identity, step.attempt, step.route.route.name, go))
            else:
                self.loop.call_soon_threadsafe(go)
        if starts:
            self._ports.ledger.begin(starts, self.loop)

    def _first(self, job: Job, at_ms: int) -> First:
        record, plan = job.record, plan_of(job)
        request = self._encode(call_of(job, plan.routes[0]))
        machine = CallMachine(plan, self._policy.retry, job.deadline_ms, record.attempts + 1)
        step = machine.begin(at_ms)
        tried = isinstance(step, Try) and not isinstance(request, ProviderError)
        return First(job, request, machine, step, tried and not record.unknown_outcome)

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

    def _spawn(self, first: First, done: Done) -> None:
        job = first.job
        if self._ports.door.cancelled(job.record, job.identity):
            done(Ended(job.record, job, failed=Failed(Code.CANCELLED, CANCELLED, STAGE)))
            return
        drive = Drive(job, self._ports, self._policy, self._health, self._encode, self.fit)
        tasks = self.active.setdefault((job.request.tenant, job.request_id), {})
        tasks[drive] = self.loop.create_task(self._run(drive, first, done))

    def _cancel(self, key: tuple[str, str]) -> None:
        for task in self.active.get(key, {}).values():
            self.loop.call_soon(task.cancel)  # after its first step, before which it would not see it

    async def _run(self, drive: Drive, first: First, done: Done) -> None:
        try:
            ended = await self._ended(drive, first)
        except Exception as error:  # noqa: BLE001  a bug: the loop's exception handler ends the process
            self.loop.call_exception_handler({"message": "a call failed", "exception": error})
        else:
            done(ended)

    async def _ended(self, drive: Drive, first: First) -> Ended:
        try:
            return await drive.run(first)
        except asyncio.CancelledError:
            return drive.failed(Code.CANCELLED, CANCELLED)
        finally:
            key = (first.job.request.tenant, first.job.request_id)
            tasks = self.active[key]
            del tasks[drive]
            if not tasks:
                del self.active[key]


def _exc(error: object) -> BaseException | None:
    return error if isinstance(error, BaseException) else None


async def _fits(_job: Job, _planned: PlannedRoute) -> Failed | None:
    return None
