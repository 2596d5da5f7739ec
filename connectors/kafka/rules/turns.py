"""Requests that wait for an earlier one: the turns of a conversation, and repeats of a request in flight.

Rules that hold here, for one partition:
- Of a conversation one turn is on its way at a time; the next is released when it has settled, in order of
  offsets.
- What waits is bounded in bytes for each conversation and for the partition; over a bound the partition is
  `full`, and the feeder reads no more of it until it isn't.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_NOBODY = -1


@dataclass(slots=True)
class _Queue(Generic[T]):
    active: int
    waiting: deque[tuple[int, int, T]] = field(default_factory=deque[tuple[int, int, T]])
    held_bytes: int = 0


@dataclass(slots=True)
class Turns(Generic[T]):
    """What waits in one partition, by what it waits for (a conversation, or an earlier request)."""

    queue_bytes: int
    """Most bytes that wait for one thing."""
    total_bytes: int
    """Most bytes that wait in the partition."""
    held_bytes: int = 0
    """Bytes that wait now."""
    _queues: dict[Hashable, _Queue[T]] = field(default_factory=dict[Hashable, _Queue[T]])
    _over: int = 0

    def enter(self, key: Hashable, offset: int, size_bytes: int, item: T) -> bool:
        """Whether the turn at `offset` may go on now; if not it is kept until `leave` hands it out."""
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = _Queue(offset)
            return True
        if queue.active == offset:
            return True
        over = queue.held_bytes > self.queue_bytes
        queue.waiting.append((offset, size_bytes, item))
        queue.held_bytes += size_bytes
        self.held_bytes += size_bytes
        self._over += (queue.held_bytes > self.queue_bytes) - over
        return False

    def wait(self, key: Hashable, offset: int, size_bytes: int, item: T) -> None:
        """Keep an item until `release` of what it waits for."""
        if key not in self._queues:
            self._queues[key] = _Queue(_NOBODY)
        self.enter(key, offset, size_bytes, item)

    def release(self, key: Hashable) -> list[T]:
        """What the items waited for has settled: all of them, in order."""
        items: list[T] = []
        while (item := self.leave(key, self._active(key))) is not None:
            items.append(item)
        return items

    def leave(self, key: Hashable, offset: int) -> T | None:
        """The turn at `offset` has settled: the next one, which is now the active one, or `None`."""
        queue = self._queues.get(key)
        if queue is None or queue.active != offset:
            return None
        if not queue.waiting:
            del self._queues[key]
            return None
        over = queue.held_bytes > self.queue_bytes
        queue.active, size_bytes, item = queue.waiting.popleft()
        queue.held_bytes -= size_bytes
        self.held_bytes -= size_bytes
        self._over += (queue.held_bytes > self.queue_bytes) - over
        return item

    def _active(self, key: Hashable) -> int:
        queue = self._queues.get(key)
        return _NOBODY if queue is None else queue.active

    @property
    def full(self) -> bool:
        """Whether no more of the partition should be read for now."""
        return self._over > 0 or self.held_bytes > self.total_bytes

    def __len__(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues.values())
