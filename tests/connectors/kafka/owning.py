"""What tests of ownership start from: small bounds, records, an outbox that keeps what it gets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition
from connectors.kafka.rules.marks import RELEASED, Mark, Note
from connectors.kafka.rules.poison import Poison
from schemas.arrivals import Identity
from schemas.cluster import Cluster, Delivery
from schemas.records import Headers, Outgoing, Record

DELIVERY = Delivery(credits=100, window_entries=64, held_bytes=10_000, conversation_bytes=5_000)
CLUSTER = Cluster(prefix="x.")
START = Mark(10, Note(3, 4), RELEASED)


def owned(delivery: Delivery = DELIVERY, allowed: Callable[[], bool] = lambda: True) -> Ownership:
    """A worker that owns nothing yet."""
    return Ownership(delivery, allowed)


def live(
    ownership: Ownership,
    number: int = 3,
    mark: Mark = START,
    answered: set[int] | None = None,
    attempts: dict[int, int] | None = None,
) -> Partition:
    """A partition that was taken over and scanned."""
    partition = ownership.adopt(0, number, mark, Poison.takeover(mark))
    known, begun = answered or set(), attempts or {}
    high = max((*known, *begun, mark.offset - 1)) + 1
    assert ownership.revive(partition, known, begun, high, mark.note)
    return partition


def record(
    partition: Partition, offset: int, value: bytes = b"{}", at_ms: int = 1_000_000, headers: Headers = ()
) -> Record:
    """A record of the partition, as its owner reads it."""
    return Record(
        partition.source,
        partition.number,
        offset,
        at_ms,
        None,
        value,
        headers,
        epoch=partition.epoch,
        crash_loop=offset == partition.poison.dead,
    )


def who(
    request_id: str = "r", request_hash: int = 0, body_hash: int = 1, context: int | None = None
) -> Identity:
    """An identity; without a hash the window doesn't know it."""
    return Identity("t", request_id, request_hash, body_hash, None if context is None else UUID(int=context))


def short(**spans_s: float) -> Delivery:
    """The bounds with other lengths of time."""
    return Delivery(credits=100, window_entries=64, **{k: timedelta(seconds=v) for k, v in spans_s.items()})


@dataclass
class Sent:
    """A record that was handed over."""

    record: Outgoing
    acked: Callable[[int], None] | None
    lost: Callable[[Exception], None] | None

    @property
    def kind(self) -> bytes:
        return dict(self.record.headers).get("kind", b"")

    def ack(self, offset: int = 0) -> None:
        if self.acked is not None:
            self.acked(offset)


class FakeOutbox:
    """Keeps what is sent until the test acknowledges it."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.hurries = 0
        self.full = False

    def send(
        self,
        record: Outgoing,
        acked: Callable[[int], None] | None = None,
        lost: Callable[[Exception], None] | None = None,
    ) -> None:
        self.sent.append(Sent(record, acked, lost))

    def hurry(self) -> None:
        self.hurries += 1

    def hurry_after_turn(self) -> None:
        self.hurries += 1

    def after_acks(self, call: Callable[[], object]) -> None:
        call()

    @property
    def kinds(self) -> list[str]:
        return [sent.kind.decode() for sent in self.sent]

    def ack_all(self, first: int = 0) -> None:
        """Acknowledge everything, what follows from it included, at rising offsets."""
        while self.sent:
            self.sent.pop(0).ack(first)
            first += 1
