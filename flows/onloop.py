"""Work on the jobs of a batch, on the call loop: how a step hands over what has to wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from flows.stages.jobs import Job, Work


def left_s(job: Job) -> float | None:
    """Seconds until a job's deadline, 0 after it; `None` where it has none."""
    return None if job.deadline_ms is None else max(0.0, job.deadline_ms / 1000 - time.time())


class OnLoop:
    """Does the same for every job, all side by side; what is at its end passes by."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[Job], Awaitable[Work]]) -> None:
        self._loop, self._work = loop, work
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, items: list[Work], done: Callable[[Work], None]) -> None:
        """Hand the batch to the loop; `done` gets each item when its work is done. On the flow's thread."""
        self._loop.call_soon_threadsafe(self._spawn, items, done)

    def _spawn(self, items: list[Work], done: Callable[[Work], None]) -> None:
        for item in items:
            task = self._loop.create_task(self._run(item, done))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a bug: the loop's exception handler ends the process

    async def _run(self, item: Work, done: Callable[[Work], None]) -> None:
        done(await self._work(item) if isinstance(item, Job) else item)
