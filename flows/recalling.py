"""Recall, where it has to wait: fetches what a request needs from outside, on the call loop.

Each source is a `Gatherer`; those that a job wants run side by side, each within its time and none beyond the
deadline. What they give is joined in their order and goes into the job's messages by the pure stage. A job
that wants none never comes here. A waiting record counts as inside the synchronous steps (see `Door.passed`):
it goes through more of them afterwards, and the bound says for how long it can hold up a search for poison.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from flows.onloop import OnLoop
from flows.ports import Gatherer
from flows.stages.jobs import Ended, Failed, Gathered, Job, Work
from flows.stages.limits import RecallPolicy
from flows.stages.recall import joined, recall
from schemas.codes import Code

STAGE = "recall"
LATE = "the deadline passed while the request waited for {}"
SLOW = "{} gave no answer within {:g} s; send the request again, or raise weir.recall.timeout"


class Recalling:
    """The waiting of the recall step. `waits` runs on the flow's thread, all else on the loop."""

    def __init__(
        self, gatherers: Sequence[Gatherer], loop: asyncio.AbstractEventLoop, policy: RecallPolicy
    ) -> None:
        self._gatherers = tuple(gatherers)
        self._wants = tuple(gatherer.wants for gatherer in gatherers)
        self._desk = OnLoop(loop, self.gather)
        self._timeout_s = policy.timeout.total_seconds()

    def waits(self, item: Work) -> bool:
        """Whether anything has to be fetched for an item."""
        if isinstance(item, Job):
            for wants in self._wants:
                if wants(item):
                    return True
        return False

    def start(self, items: list[Work], done: Callable[[Work], None]) -> None:
        """Hand the batch to the loop; each job comes back with its messages, or at its end."""
        self._desk.start(items, done)

    async def gather(self, job: Job) -> Work:
        """The job with all that it wants, or its end."""
        wanted = [gatherer for gatherer in self._gatherers if gatherer.wants(job)]
        found = await asyncio.gather(*(self._one(gatherer, job) for gatherer in wanted))
        for result in found:
            if isinstance(result, Failed):
                return Ended(job.record, job, failed=result)
            job.gathered = joined(job.gathered, result)
        return recall(job)

    async def _one(self, gatherer: Gatherer, job: Job) -> Gathered | Failed:
        left_s = self._timeout_s
        if job.deadline_ms is not None:
            left_s = min(left_s, job.deadline_ms / 1000 - time.time())
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                return await gatherer.gather(job)
        except TimeoutError:
            if left_s < self._timeout_s:
                return Failed(Code.DEADLINE_EXCEEDED, LATE.format(gatherer.name), STAGE)
            message = SLOW.format(gatherer.name, self._timeout_s)
            return Failed(Code.MODEL_UNAVAILABLE, message, STAGE, field=gatherer.field)
