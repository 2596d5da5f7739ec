"""Tells the workers to stop, at once or after a grace in which a reader may come back. Lives on the loop."""

import asyncio
from collections.abc import Callable

from connectors.gateway.exchange.sender import Sender
from connectors.gateway.ports import Problem
from schemas.control import Cancel
from schemas.records import Outgoing

MOST_GRACES = 10_000
"""Most requests that wait to be cancelled; beyond it they are cancelled at once."""


class Cancels:
    """Cancels that are sent, and those that wait."""

    def __init__(self, sender: Sender, topic: str, is_open: Callable[[str], bool]) -> None:
        self._sender, self._topic, self._is_open = sender, topic, is_open
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        """Cancels written."""
        self.lost = 0
        """Cancels that Kafka did not take."""

    async def now(self, request_id: str, tenant: str) -> None:
        """Cancel a request.

        Raises:
            Problem: 503 `overloaded` when Kafka doesn't take it.
        """
        self.sent += 1
        event = Cancel(request_id=request_id, tenant=tenant)
        await self._sender.send(Outgoing(self._topic, event.to_bytes(), 0, request_id.encode()))

    def later(self, request_id: str, tenant: str, grace_s: float) -> None:
        """Cancel a request after the grace, unless somebody follows it then; `keep` calls it off."""
        self.keep(request_id)
        if grace_s <= 0 or len(self._waiting) >= MOST_GRACES:
            self._over(request_id, tenant)
            return
        loop = asyncio.get_running_loop()
        self._waiting[request_id] = loop.call_later(grace_s, self._over, request_id, tenant)

    def keep(self, request_id: str) -> None:
        """Somebody follows it again, here or at another gateway."""
        if (timer := self._waiting.pop(request_id, None)) is not None:
            timer.cancel()

    def _over(self, request_id: str, tenant: str) -> None:
        self._waiting.pop(request_id, None)
        if not self._is_open(request_id):
            task = asyncio.get_running_loop().create_task(self._try(request_id, tenant))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _try(self, request_id: str, tenant: str) -> None:
        try:
            await self.now(request_id, tenant)
        except Problem:
            self.lost += 1

    async def stop(self) -> None:
        """Call off those that wait (their readers may go on at another gateway), write the others."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        await asyncio.gather(*self._tasks)
