"""Fits requests into windows, where that has to wait: asks providers for their count, compresses contexts.

Runs on the call loop; what burns a core is done by the pool. Used in two places: by the step `compress` for
the first route of a plan, and by a call that falls back to a route with a smaller window.

- Near a window (0.9 of the room, by the upper bound) a provider that can be asked is; its count teaches, too.
- A compressed request is counted anew, by the same means. Where it still doesn't fit it is compressed more.
- A job that needs nothing of it never comes here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from flows.calibrations import Calibrations
from flows.compressing import done_by
from flows.onloop import OnLoop, left_s
from flows.ports import RunPiece
from flows.stages.compress import Shrunk, Task
from flows.stages.content import Measured
from flows.stages.count import family_of, flat_tokens_of
from flows.stages.jobs import CallPlan, Ended, Failed, Fitted, Job, PlannedRoute, Work
from flows.stages.window import LEAST_BUDGET_TOKENS
from schemas.calls import Call
from schemas.codes import Code
from schemas.requests import Message, Overflow

STAGE = "compress"
ROUNDS = 3
"""Times that a request is compressed to come within a window."""
ANSWER_TOKENS, ANSWER_SHARE = 1024, 0.25
"""Room that is left for an answer without a limit, and the most that is of a small window."""
ASKED_RATIO = 1.01
"""What a provider's own count may be off: Anthropic calls it an estimate."""
FILL_RATIO = 0.98
"""Share of the room that is aimed at: bounds of the shorter text are a little wider."""


@dataclass(frozen=True, slots=True)
class FitterPorts:
    """What fitting needs from outside."""

    run: RunPiece
    """Has a pickled task done by the pool."""
    count: Callable[[Call], Awaitable[int | None]]
    """A provider's own count of a call, where it can be had."""
    calibrations: Calibrations
    """How models count."""
    asked: frozenset[str]
    """Providers that can be asked."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """The input of a call, by its provider's count."""

    likely_tokens: int
    upper_tokens: int
    exact_tokens: int | None = None


class Fitter:
    """`waits` runs on the flow's thread, all else on the loop."""

    def __init__(self, ports: FitterPorts, loop: asyncio.AbstractEventLoop) -> None:
        self._ports = ports
        self._desk = OnLoop(loop, self.fit_first)

    def waits(self, item: Work) -> bool:
        """Whether an item's first route needs a look."""
        return isinstance(item, Job) and item.plan is not None and self.needs(item.plan.routes[0])

    def needs(self, planned: PlannedRoute) -> bool:
        """Whether a route needs a look before it is called."""
        return planned.near and (not planned.fits or planned.route.provider in self._ports.asked)

    def start(self, items: list[Work], done: Callable[[Work], None]) -> None:
        """Hand the batch to the loop; each job comes back fitted, or at its end."""
        self._desk.start(items, done)

    async def fit_first(self, job: Job) -> Work:
        """The job with a first route that it fits, or its end."""
        if job.plan is None:
            raise ValueError(f"{job.record.place} came to be fitted without a plan")
        routes = job.plan.routes
        upgrade = job.request.overflow is Overflow.UPGRADE or job.request.input is not None
        first: Failed | None = None
        for at, planned in enumerate(routes):
            failed = await self.fit(job, planned) if self.needs(planned) else None
            if failed is None:
                if at:
                    job.plan = CallPlan(routes[at:], f"{routes[0].route.name} is too small")
                return job
            first = first or failed
            if failed.code is not Code.TOKEN_LIMIT_EXCEEDED or not upgrade:
                break
        return Ended(job.record, job, failed=first)

    async def fit_fallback(self, job: Job, planned: PlannedRoute) -> Failed | None:
        """The same as `fit`, for a route that a call falls back to, where it needs a look."""
        if planned.route.name in job.fitted or not self.needs(planned):
            return None
        return await self.fit(job, planned)

    async def fit(self, job: Job, planned: PlannedRoute) -> Failed | None:
        """Fill in what is sent to a route; why nothing can be, where that is so. Ends by the deadline."""
        try:
            async with asyncio.timeout(left_s(job)):
                return await self._fit(job, planned)
        except TimeoutError:
            message = "the deadline passed while the request was fitted into the model's window"
            return Failed(Code.DEADLINE_EXCEEDED, message, STAGE)

    async def _fit(self, job: Job, planned: PlannedRoute) -> Failed | None:
        flat_tokens = flat_tokens_of(job, family_of(planned.route.provider))
        measured = job.measured.with_flat(flat_tokens)
        bound = await self._bound(job, planned, job.messages, measured)
        budget = planned.budget_tokens
        if budget is None or bound.upper_tokens <= budget:
            job.fitted[planned.route.name] = Fitted(job.messages, measured, bound.exact_tokens)
            return None
        if job.request.overflow is not Overflow.COMPRESS or job.request.input is not None:
            return _too_large(planned, bound)
        return await self._compress(job, planned, measured, bound)

    async def _compress(
        self, job: Job, planned: PlannedRoute, measured: Measured, bound: _Bound
    ) -> Failed | None:
        room = _room(planned)
        own_tokens = measured.text_tokens + measured.flat_tokens
        now_tokens, upper = own_tokens, bound.upper_tokens
        if planned.route.provider in self._ports.asked and bound.exact_tokens is None:
            upper = bound.likely_tokens  # it is asked whether that is right
        for _ in range(ROUNDS):
            target = int(now_tokens * min(1.0, room / upper) * FILL_RATIO)
            if target < LEAST_BUDGET_TOKENS:
                break
            task = _task(job, planned, own_tokens, target)
            result = await done_by(self._ports.run, task, Shrunk, STAGE, "compressed")
            if isinstance(result, Failed):
                return result
            after = await self._bound(job, planned, result.messages, result.measured)
            if after.upper_tokens <= room:
                fitted = Fitted(result.messages, result.measured, after.exact_tokens, result.record)
                job.fitted[planned.route.name] = fitted
                return None
            now_tokens = result.measured.text_tokens + result.measured.flat_tokens
            upper = after.upper_tokens
        return _too_large(planned, bound, "what must stay of it is too large: ")

    async def _bound(
        self, job: Job, planned: PlannedRoute, messages: tuple[Message, ...], measured: Measured
    ) -> _Bound:
        """The upper bound of some turns at a route: the provider's own count where it matters."""
        route, ports = planned.route, self._ports
        estimate = ports.calibrations.of(route, measured)
        upper = min(estimate.upper_tokens, max(measured.most_tokens, estimate.tokens))
        place = replace(planned, input_tokens=upper)
        if route.provider not in ports.asked or not place.near or estimate.tokens > 2 * (_budget(planned)):
            return _Bound(estimate.tokens, upper)
        call = Call(job.request_id, job.request, messages, route, planned.max_tokens, False, estimate.tokens)
        counted = await ports.count(call)
        if counted is None:
            return _Bound(estimate.tokens, upper)
        ports.calibrations.observe(route, measured, counted, time.monotonic())
        return _Bound(counted, int(counted * ASKED_RATIO), counted)


def _budget(planned: PlannedRoute) -> int:
    return planned.budget_tokens or 0


def _room(planned: PlannedRoute) -> int:
    """Room for input that leaves some for the answer, also where none was asked for."""
    budget = _budget(planned)
    return budget if planned.max_tokens else budget - min(ANSWER_TOKENS, int(budget * ANSWER_SHARE))


def _task(job: Job, planned: PlannedRoute, own_tokens: int, target: int) -> Task:
    request = job.request
    return Task(
        job.messages,
        request.context,
        tuple(request.tools or ()),
        request.response_format,
        family_of(planned.route.provider),
        own_tokens,
        target,
    )


def _too_large(planned: PlannedRoute, bound: _Bound, why: str = "") -> Failed:
    route, tokens = planned.route, bound.exact_tokens or bound.upper_tokens
    kind = "" if bound.exact_tokens else "up to "
    message = (
        f"{why}{kind}{tokens} input tokens and {planned.max_tokens or 0} wanted for the answer; the window "
        f"of {route.name} is {route.max_input_tokens}: shorten it, or name a model with a larger window"
    )
    return Failed(Code.TOKEN_LIMIT_EXCEEDED, message, STAGE)
