"""Counts long texts where that burns nobody's core: in the pool, not on the flow's thread.

Runs on the call loop. A waiting record counts as inside the synchronous steps, as in `flows.recalling`.
"""

import asyncio
from collections.abc import Callable

from flows.compressing import done_by
from flows.onloop import OnLoop, left_s
from flows.ports import RunPiece
from flows.stages.content import Measured
from flows.stages.count import CountTask, counted, flat_tokens_of, texts_of
from flows.stages.jobs import Ended, Failed, Job, Work
from schemas.codes import Code

STAGE = "count"
LONG = 100_000
"""Characters (bytes, as they came) from which on it is worth the way: some 0.5 ms warm, 5 ms cold."""
LATE = "the deadline passed while the request was counted"


class Counting:
    """The waiting of the count step. `waits` runs on the flow's thread, all else on the loop."""

    def __init__(self, run: RunPiece, kind: str, loop: asyncio.AbstractEventLoop) -> None:
        """`kind` is that of the pool's counter: `exact`, `calibrated` or `estimate`."""
        self._run, self._kind = run, kind
        self._desk = OnLoop(loop, self.count)

    def waits(self, item: Work) -> bool:
        """Whether an item is long."""
        if not isinstance(item, Job):
            return False
        if len(item.record.value or b"") > LONG:
            return True
        # What was unpacked or fetched is text of a turn; parts and tools came with the record.
        return sum([len(turn.content) for turn in item.messages if turn.content]) > LONG

    def start(self, items: list[Work], done: Callable[[Work], None]) -> None:
        """Hand the batch to the loop; each job comes back counted, or at its end."""
        self._desk.start(items, done)

    async def count(self, job: Job) -> Work:
        """The job with its input tokens, or its end."""
        task = CountTask(tuple(texts_of(job)), flat_tokens_of(job))
        try:
            async with asyncio.timeout(left_s(job)):
                result = await done_by(self._run, task, Measured, STAGE, "counted")
        except TimeoutError:
            result = Failed(Code.DEADLINE_EXCEEDED, LATE, STAGE)
        if isinstance(result, Failed):
            return Ended(job.record, job, failed=result)
        return counted(job, result, self._kind)
