"""Fetches a conversation's history for recall; see `flows.stages.history` for how it is put."""

import asyncio

from flows.ports import Turns
from flows.stages.history import history
from flows.stages.jobs import Failed, Gathered, Job
from schemas.contexts import Asking, Past


class HistoryGatherer:
    """A `Gatherer` of the turns before a request, in its conversation and of its tenant."""

    name: str = "the conversation's history"
    field: str | None = "context_id"

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def wants(self, job: Job) -> bool:
        """Turns of conversations do; what is to be embedded has no history."""
        return job.request.context_id is not None and job.request.input is None

    async def gather(self, job: Job) -> Gathered | Failed:
        """The turns before it."""
        request, loop = job.request, asyncio.get_running_loop()
        if request.context_id is None:
            return Gathered()
        found: asyncio.Future[Past] = loop.create_future()

        def done(past: Past) -> None:
            loop.call_soon_threadsafe(lambda: None if found.done() else found.set_result(past))

        asking = Asking(request.context_id, request.tenant, job.record.partition, job.record.offset)
        self._turns.read(asking, done)
        return Gathered(history=history(request, await found))
