"""The total time of calls: one timer for all of a provider, where each call would need its own.

Most calls end long before their time is over, so what counts is the price of a call that is in time: two
operations on a dict. Works as `asyncio.timeout` does: a call that is late is cancelled from inside, and a
cancellation that comes from outside at the same moment wins.
"""

import asyncio

TICK_S = 0.02
"""Shortest time between two looks at all calls: how much late a late call may be ended."""


class Limit:
    """The time of one call, from `Deadlines.start` to `end`."""

    __slots__ = ("_cancelling", "_open", "due_s", "expired", "task")

    def __init__(self, task: "asyncio.Task[object]", due_s: float, open_: "dict[Limit, None]") -> None:
        self.task = task
        self.due_s = due_s
        """When its time is over, on the loop's clock."""
        self.expired = False
        """Whether it was cancelled because its time was over."""
        self._cancelling = task.cancelling()
        self._open = open_

    def ran_out(self) -> bool:
        """Whether the cancellation that was just caught is ours alone; asked at most once."""
        if not self.expired:
            return False
        self.expired = False
        return self.task.uncancel() <= self._cancelling

    def end(self) -> None:
        """The call is over, whatever its end."""
        self._open.pop(self, None)
        if self.expired:
            self.task.uncancel()


class Deadlines:
    """The calls under way and the timer of the first that is due. Lives on one event loop."""

    __slots__ = ("_open", "_timer", "_timer_s")

    def __init__(self) -> None:
        self._open: dict[Limit, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0

    def start(self, total_s: float) -> Limit:
        """Begin the time of a call that the running task makes."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call runs in a task")
        limit = Limit(task, loop.time() + total_s, self._open)
        self._open[limit] = None
        if self._timer is None or limit.due_s < self._timer_s:
            self._arm(loop, limit.due_s)
        return limit

    def close(self) -> None:
        """End the timer; calls under way lose their bound."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, when_s: float) -> None:
        self.close()
        self._timer, self._timer_s = loop.call_at(when_s, self._look, loop), when_s

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is late; come back when the next one is due."""
        self._timer = None
        now_s = loop.time()
        for limit in [limit for limit in self._open if limit.due_s <= now_s]:
            del self._open[limit]
            limit.expired = True
            limit.task.cancel()
        if self._open:
            first_s = min(limit.due_s for limit in self._open)
            self._arm(loop, max(first_s, now_s + TICK_S))
