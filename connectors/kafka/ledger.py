"""The ledger's `started` entries: acknowledged before a byte goes to a provider.

Written from the call loop. Attempts that become due together share a record per partition; the
acknowledgement hops from the producer's thread to the loop, once for all that have come in.
"""

import asyncio
import zlib
from collections import defaultdict, deque
from typing import NamedTuple

from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from schemas.arrivals import Identity
from schemas.cluster import Cluster, Delivery
from schemas.packed import Started, pack_started
from schemas.records import Outgoing, Record
from schemas.topics import USAGE

_HEADERS = (("kind", b"started"),)


class _Due(NamedTuple):
    record: Record
    entry: Started
    durable: "asyncio.Future[bool]"


class Ledger:
    """Writes `started` entries for the call loop."""

    def __init__(self, cluster: Cluster, delivery: Delivery, ownership: Ownership, outbox: Outbox) -> None:
        self._topic = cluster.topic(USAGE.name)
        self._strict = delivery.ledger == "strict"
        self._gather_s = delivery.gather.total_seconds()
        self._ownership, self._outbox = ownership, outbox
        self._due: list[_Due] = []
        self._acked: deque[list[_Due]] = deque()
        self._waking = False

    async def started(self, record: Record, identity: Identity, attempt: int, route: str) -> bool:
        """Note that an attempt is about to start; whether it may, asked again after the acknowledgement.

        Call it on the loop. With a trailing ledger it doesn't wait.
        """
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[bool] = loop.create_future()
        entry = Started(
            record.source,
            attempt,
            zlib.crc32(route.encode()),
            record.offset,
            identity.request_hash,
            identity.body_hash,
        )
        if not self._due:
            if self._gather_s:
                loop.call_later(self._gather_s, self._flush, loop)
            else:
                loop.call_soon(self._flush, loop)
        self._due.append(_Due(record, entry, durable))
        if self._strict:
            await durable
        return self._ownership.owns(record)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        groups: dict[tuple[int, int], list[_Due]] = defaultdict(list)
        due, self._due = self._due, []
        with self._ownership.writing():
            for item in due:
                if self._ownership.owns(item.record):
                    groups[item.record.source, item.record.partition].append(item)
                else:
                    _resolve(item)
            for (_, partition), group in groups.items():
                value = pack_started(item.entry for item in group)
                outgoing = Outgoing(self._topic, value, partition, None, _HEADERS)
                self._outbox.send(outgoing, lambda offset, group=group: self._on_ack(loop, group, offset))
        if groups and self._strict:
            self._outbox.hurry()

    def _on_ack(self, loop: asyncio.AbstractEventLoop, group: list[_Due], offset: int) -> None:
        """On the producer's thread."""
        self._ownership.durable(group[0].record, usage=offset)
        self._acked.append(group)
        if not self._waking:
            self._waking = True
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._waking = False
        while self._acked:
            for item in self._acked.popleft():
                _resolve(item)


def _resolve(item: _Due) -> None:
    if not item.durable.done():
        item.durable.set_result(True)
