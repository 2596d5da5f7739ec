"""The ledger's `started` entries: acknowledged before a byte goes to a provider.

First attempts are noted by the flow's thread, all of a turn at once; further ones by the call loop. Attempts
that become due together share a record per partition; the acknowledgement hops from the producer's thread to
the loop, once for all that have come in.
"""

import asyncio
import zlib
from collections import defaultdict, deque
from functools import partial

from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from schemas.arrivals import Identity, Start
from schemas.cluster import Cluster, Delivery
from schemas.packed import Started, pack_started
from schemas.records import Outgoing, Record
from schemas.topics import USAGE

_HEADERS = (("kind", b"started"),)


class Ledger:
    """Writes `started` entries for the call loop."""

    def __init__(self, cluster: Cluster, delivery: Delivery, ownership: Ownership, outbox: Outbox) -> None:
        self._topic = cluster.topic(USAGE.name)
        self._strict = delivery.ledger == "strict"
        self._gather_s = delivery.gather.total_seconds()
        self._ownership, self._outbox = ownership, outbox
        self._due: list[Start] = []
        self._acked: deque[list[Start]] = deque()
        self._waking = False

    def begin(self, starts: list[Start], loop: asyncio.AbstractEventLoop) -> None:
        """Note first attempts; each one's `go` is called on the loop when that is durable.

        On the flow's thread. With a trailing ledger it is called at once, and so where the partition is not
        ours any more; whether the attempt may be made is asked then.
        """
        if self._write(starts, loop):
            self._outbox.hurry_after_turn()

    async def started(self, record: Record, identity: Identity, attempt: int, route: str) -> bool:
        """Note that an attempt is about to start; whether it may, asked again after the acknowledgement.

        Call it on the loop. With a trailing ledger it doesn't wait.
        """
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[bool] = loop.create_future()
        if not self._due:
            if self._gather_s:
                loop.call_later(self._gather_s, self._flush, loop)
            else:
                loop.call_soon(self._flush, loop)
        self._due.append(Start(record, identity, attempt, route, partial(_resolve, durable)))
        if self._strict:
            await durable
        return self._ownership.owns(record)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        due, self._due = self._due, []
        if self._write(due, loop):
            self._outbox.hurry()

    def _write(self, due: list[Start], loop: asyncio.AbstractEventLoop) -> bool:
        """Hand the entries over; whether somebody waits for them."""
        groups: dict[tuple[int, int], list[Start]] = defaultdict(list)
        free: list[Start] = []
        with self._ownership.writing():
            for item in due:
                owned = self._ownership.owns(item.record)
                if owned:
                    groups[item.record.source, item.record.partition].append(item)
                if not owned or not self._strict:
                    free.append(item)
            for (_, partition), group in groups.items():
                value = pack_started(map(_entry, group))
                outgoing = Outgoing(self._topic, value, partition, None, _HEADERS)
                self._outbox.send(outgoing, lambda offset, group=group: self._on_ack(loop, group, offset))
        if free:
            self._acked.append(free)
            loop.call_soon_threadsafe(self._wake)
        return bool(groups) and self._strict

    def _on_ack(self, loop: asyncio.AbstractEventLoop, group: list[Start], offset: int) -> None:
        """On the producer's thread."""
        self._ownership.durable(group[0].record, usage=offset)
        if self._strict:
            self._acked.append(group)
            if not self._waking:
                self._waking = True
                self._outbox.after_acks(lambda: loop.call_soon_threadsafe(self._wake))

    def _wake(self) -> None:
        self._waking = False
        while self._acked:
            for item in self._acked.popleft():
                item.go()


def _entry(start: Start) -> Started:
    record, identity, attempt, route, _ = start
    return Started(
        record.source,
        attempt,
        zlib.crc32(route.encode()),
        record.offset,
        identity.request_hash,
        identity.body_hash,
    )


def _resolve(durable: "asyncio.Future[bool]") -> None:
    if not durable.done():
        durable.set_result(True)
