"""Bytewax wrappers: they hold the clock and the waiting, the rules are elsewhere.

- `stage`      a step that never waits: a rule over the batch at hand
- `async_map`  a step that hands items over and emits them when they are done
- `stage_or_wait`  a stage in which a few items wait, and the many others don't
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import bytewax.operators as op
from bytewax.dataflow import Stream, operator
from bytewax.operators import StatefulBatchLogic

from flows.bell import Bell

X = TypeVar("X")
Y = TypeVar("Y")

POLL = timedelta(milliseconds=1)
"""Between two looks at what is done, while something is pending; with a bell the source does the resting."""
RESTED = timedelta(microseconds=200)
"""The same where the source rests: shorter than any rest, and not 0, which Bytewax takes for a busy loop."""
SHARDS = 8
"""Fixed keys of an `async_map`; never one per request."""

Start = Callable[[list[X], Callable[[Y], None]], None]
"""Begins work on a batch and returns; calls back with each item when it is done, on any thread."""


@operator
def stage(step_id: str, up: Stream[X], rule: Callable[[list[X]], list[Y]]) -> Stream[Y]:
    """Apply a rule to each batch as it comes; any number of items out, in the rule's order."""
    return op.flat_map_batch("rule", up, rule)


@operator
def async_map(
    step_id: str,
    up: Stream[X],
    start: Start[X, Y],
    bypass: Callable[[X], Y | None],
    shard: Callable[[X], str],
    bell: Bell | None = None,
) -> Stream[Y]:
    """Hand items over in batches and emit each one when it is done; the order is that of completion.

    Args:
        step_id: Name of the step.
        up: Items.
        start: Begins the work.
        bypass: The item as it goes on when it needs no work, else `None`.
        shard: What items with the same text share a batch by.
        bell: Rung whenever an item is done, where the flow's source rests until it is.
    """
    keyed = op.map("shard", up, lambda item: (str(zlib.crc32(shard(item).encode()) % SHARDS), item))
    done = op.stateful_batch("work", keyed, lambda _: AsyncLogic(start, bypass, bell))
    return op.map("unkey", done, lambda pair: pair[1])


@operator
def stage_or_wait(
    step_id: str,
    up: Stream[X],
    rule: Callable[[list[X]], list[Y]],
    waits: Callable[[X], bool],
    start: Start[X, Y],
    bell: Bell | None = None,
) -> Stream[Y]:
    """Apply a rule at once to what need not wait; hand the rest over, and emit each when it is done.

    What need not wait never sees the waiting: one call of `waits` is its whole price.

    Args:
        step_id: Name of the step.
        up: Items.
        rule: For the batch of those that need not wait, in their order.
        waits: Whether an item must wait; asked twice, so it has to answer the same.
        start: Begins the work on those that must.
        bell: Rung whenever an item is done, where the flow's source rests until it is.
    """

    def at_once(items: list[X]) -> list[Y]:
        ready = [item for item in items if not waits(item)]
        return rule(ready) if ready else []

    def keyed(items: list[X]) -> list[tuple[str, X]]:
        return [("", item) for item in items if waits(item)]

    passed = op.flat_map_batch("rule", up, at_once)
    waiting = op.flat_map_batch("waiting", up, keyed)
    done = op.stateful_batch("work", waiting, lambda _: AsyncLogic(start, _never, bell))
    return op.merge("merge", passed, op.map("unkey", done, lambda pair: pair[1]))


def _never(_: object) -> None:
    return None


class AsyncLogic(StatefulBatchLogic[X, Y, None]):
    """The waiting of one shard: what was handed over, and what came back."""

    def __init__(self, start: Start[X, Y], bypass: Callable[[X], Y | None], bell: Bell | None = None) -> None:
        self._start, self._bypass, self._bell = start, bypass, bell
        self._done: deque[Y] = deque()
        self._pending = 0
        if bell is not None:
            bell.watch(self._done)

    def on_batch(self, values: list[X]) -> tuple[Iterable[Y], bool]:
        """Hand the batch over; emit what needs none and what has come back."""
        work: list[X] = []
        passed: list[Y] = []
        for value in values:
            through = self._bypass(value)
            if through is None:
                work.append(value)
            else:
                passed.append(through)
        if work:
            self._pending += len(work)
            self._start(work, self._done.append if self._bell is None else self._finished)
        passed.extend(self._drain())
        return passed, self.RETAIN

    def on_notify(self) -> tuple[Iterable[Y], bool]:
        """Emit what has come back."""
        return self._drain(), self.RETAIN

    def on_eof(self) -> tuple[Iterable[Y], bool]:
        """The source ends only when all is settled; emit what has come back."""
        return self._drain(), self.RETAIN

    def notify_at(self) -> datetime | None:
        """While something is pending: in a millisecond, or after each rest of the source."""
        if not self._pending:
            return None
        return datetime.now(UTC) + (POLL if self._bell is None else RESTED)

    def snapshot(self) -> None:
        """The log is the database: there is no state to keep."""

    def _finished(self, item: Y) -> None:
        self._done.append(item)
        if self._bell is not None:
            self._bell.ring_soon()

    def _drain(self) -> list[Y]:
        done = [self._done.popleft() for _ in range(len(self._done))]
        self._pending -= len(done)
        return done
