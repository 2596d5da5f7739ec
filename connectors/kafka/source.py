"""The Bytewax source and sink of the serving flow. Only the source rests, and only until the bell rings."""

from collections.abc import Callable
from datetime import UTC, datetime

from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from connectors.kafka.feeder import Feeder
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.settling import Settling
from schemas.arrivals import Outcome
from schemas.records import Record

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""Bytewax counts from the moment it called `next_batch`; `now` would be as long a wait as the rest was."""
BATCH = 256
"""Most records that are released at once."""


class _RequestPartition(StatelessSourcePartition[Record]):
    def __init__(
        self, ownership: Ownership, outbox: Outbox, feeder: Feeder, rest: Callable[[], None]
    ) -> None:
        self._ownership, self._outbox, self._feeder, self._rest = ownership, outbox, feeder, rest

    def next_batch(self) -> list[Record]:
        """Records with credits; none while the outbox is full. Ends when the feeder has left the group."""
        self._outbox.end_turn()
        self._rest()
        self._outbox.begin_turn()
        if self._feeder.finished.is_set():
            raise StopIteration
        return [] if self._outbox.full else self._ownership.take(BATCH)

    def next_awake(self) -> datetime | None:
        """At once: it rests by itself."""
        return AT_ONCE


class RequestSource(DynamicSource[Record]):
    """Request records that may go on now. One flow is one process and one worker."""

    def __init__(
        self,
        ownership: Ownership,
        outbox: Outbox,
        feeder: Feeder,
        *,
        start: Callable[[], None],
        rest: Callable[[], None],
    ) -> None:
        """Nothing is connected yet.

        Args:
            ownership: Whose records are released.
            outbox: While it is full nothing is.
            feeder: When it has finished, so has the source.
            start: Called when the flow begins to run: it connects what the source needs.
            rest: Called before each batch, on the flow's thread: returns when there may be something to do.
        """
        self._ownership, self._outbox, self._feeder = ownership, outbox, feeder
        self._start, self._rest = start, rest

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _RequestPartition:
        """The one partition of the source.

        Raises:
            ValueError: With more than one Bytewax worker: scale by starting more processes.
        """
        if worker_count != 1:
            raise ValueError("a worker is one process with one Bytewax worker; start more processes instead")
        self._start()
        return _RequestPartition(self._ownership, self._outbox, self._feeder, self._rest)


class _SettlePartition(StatelessSinkPartition[Outcome]):
    def __init__(self, settling: Settling) -> None:
        self._settling = settling

    def write_batch(self, items: list[Outcome]) -> None:
        """Hand over what is derived from these outcomes."""
        self._settling.settle(items)


class SettleSink(DynamicSink[Outcome]):
    """Writes what is derived from durable responses, and settles their offsets."""

    def __init__(self, settling: Settling) -> None:
        self._settling = settling

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _SettlePartition:
        """The one partition of the sink."""
        return _SettlePartition(self._settling)
