"""The Bytewax source and sink of the serving flow: they never wait."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from connectors.kafka.feeder import Feeder
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.settling import Settling
from schemas.arrivals import Outcome
from schemas.records import Record

BATCH = 256
"""Most records that are released at once."""
TICK = timedelta(milliseconds=1)


class _RequestPartition(StatelessSourcePartition[Record]):
    def __init__(self, ownership: Ownership, outbox: Outbox, feeder: Feeder) -> None:
        self._ownership, self._outbox, self._feeder = ownership, outbox, feeder
        self._idle = False

    def next_batch(self) -> list[Record]:
        """Records with credits; none while the outbox is full. Ends when the feeder has left the group."""
        if self._feeder.finished.is_set():
            raise StopIteration
        batch = [] if self._outbox.full else self._ownership.take(BATCH)
        self._idle = not batch
        return batch

    def next_awake(self) -> datetime | None:
        """In a millisecond when there was nothing."""
        return datetime.now(UTC) + TICK if self._idle else None


class RequestSource(DynamicSource[Record]):
    """Request records that may go on now. One flow is one process and one worker."""

    def __init__(
        self, ownership: Ownership, outbox: Outbox, feeder: Feeder, start: Callable[[], None]
    ) -> None:
        """`start` is called when the flow begins to run: it connects what the source needs."""
        self._ownership, self._outbox, self._feeder = ownership, outbox, feeder
        self._start = start

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _RequestPartition:
        """The one partition of the source.

        Raises:
            ValueError: With more than one Bytewax worker: scale by starting more processes.
        """
        if worker_count != 1:
            raise ValueError("a worker is one process with one Bytewax worker; start more processes instead")
        self._start()
        return _RequestPartition(self._ownership, self._outbox, self._feeder)


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
