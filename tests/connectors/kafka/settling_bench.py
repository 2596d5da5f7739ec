"""A settling over one live partition, and what it sends."""

from collections.abc import Callable

from connectors.kafka.partitions import Partition
from connectors.kafka.settling import Keeping, Settling
from schemas.arrivals import Identity, Outcome
from schemas.contexts import Turn
from schemas.packed import Settled, unpack_settled
from schemas.records import Record
from schemas.responses import Attempt, Latency, Response
from tests.connectors.kafka.owning import CLUSTER, FakeOutbox, live, owned, record

LATENCY = Latency(queue_ms=1, routing_ms=1, provider_ms=1, total_ms=1)
ATTEMPT = Attempt(attempt=1, route="p:m", provider="p", model="m", outcome="ok", started_ms=1, duration_ms=2)


def response(**fields: object) -> Response:
    return Response.model_validate(
        {"request_id": "r", "tenant": "t", "latency": LATENCY, "attempts": [ATTEMPT]} | fields
    )


class Bench:
    """A settling over one live partition, with requests under way."""

    def __init__(self) -> None:
        self.ownership, self.outbox = owned(), FakeOutbox()
        self.fetched: list[Callable[[Response | None], None]] = []
        self.kept: list[tuple[Turn, bytes, int, int, Callable[[], None]]] = []
        keeping = Keeping(lambda *kept: self.kept.append(kept), turn_bytes=2000)
        self.settling = Settling(CLUSTER, self.ownership, self.outbox, self._fetch, keeping)  # type: ignore[arg-type]
        self.partition = live(self.ownership)
        self.taken = self.read(self.partition)

    def _fetch(self, _: Outcome, fetched: Callable[[Response | None], None]) -> None:
        self.fetched.append(fetched)

    def read(self, partition: Partition) -> dict[int, Record]:
        records = [record(partition, offset) for offset in (10, 11, 12)]
        self.ownership.put(partition, records, 12)
        return {each.offset: each for each in self.ownership.take(9)}

    def outcome(self, offset: int = 10, identity: Identity | None = None, **fields: object) -> Outcome:
        if isinstance(fields.get("response"), Response):
            fields.setdefault("response_offset", 70 + offset)
        return Outcome(self.taken[offset], identity, **fields)  # type: ignore[arg-type]

    def settle(self, *outcomes: Outcome) -> None:
        self.settling.settle(list(outcomes))
        self.settling.flush()

    def acked(self) -> None:
        """The last record is acknowledged, and the time of what is gathered has come."""
        self.outbox.sent.pop().ack()
        self.settling.flush()

    def entries(self, at: int = -1) -> list[Settled]:
        return unpack_settled(self.outbox.sent[at].record.value or b"")
