"""Settling: what is derived from responses is written, and when it is acknowledged the offsets are done.

The copy to a reply topic has gone before (see `answering`). The memory of a user comes first; when it is
acknowledged (or can't be written) the turn of a conversation; when that is acknowledged and kept, the
ledger's entries and, last on the same partition, one packed `settled` record: its acknowledgement covers all
before it. So a `settled` entry says that the turn is durable.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.rules import derived
from connectors.kafka.rules.derived import Written
from schemas.arrivals import Closing, Outcome
from schemas.cluster import Cluster
from schemas.contexts import MAX_TURN_BYTES, Turn, turn_key
from schemas.packed import MOVED, NO_OFFSET, REMEMBERED, REPEAT, Seal, Settled
from schemas.records import Outgoing, Record
from schemas.responses import Response
from schemas.topics import CONTEXTS, MEMORIES, USAGE

_log = logging.getLogger(__name__)

GATHER = 32
"""So many outcomes of a partition are not gathered any longer."""
GATHER_S = 0.3
"""Longest time that an outcome waits for others."""

FetchCopy = Callable[[Outcome, Callable[[Response | None], None]], None]
"""Fetches the response that a repeat is a repeat of, or a turn is owed for, on another thread."""
Keep = Callable[[Turn, bytes, int, int, Callable[[], None]], None]
"""Keeps a turn (the event, its bytes, its partition and offset) for the next; calls back when it has."""


class Turns(Protocol):
    """The turns of conversations."""

    def take_over(self, partitions: Iterable[int]) -> None:
        """Begin to read what the log has of these partitions; returns at once."""
        ...

    def wait(self, partitions: Iterable[int], timeout_s: float) -> bool:
        """Wait until they have been read; whether they were in time."""
        ...


@dataclass(frozen=True, slots=True)
class Keeping:
    """How turns are kept."""

    keep: Keep = lambda turn, value, partition, offset, done: done()
    """Keeps a turn that is durable."""
    turn_bytes: int = MAX_TURN_BYTES
    """Largest turn."""


@dataclass(slots=True)
class _Gathered:
    """Outcomes of a partition that wait for more, and until when."""

    due_s: float
    outcomes: list[Outcome] = field(default_factory=list[Outcome])


class Settling:
    """Writes derived records and closes offsets."""

    def __init__(
        self,
        cluster: Cluster,
        ownership: Ownership,
        outbox: Outbox,
        fetch: FetchCopy,
        keeping: Keeping,
    ) -> None:
        self._usage, self._contexts = cluster.topic(USAGE.name), cluster.topic(CONTEXTS.name)
        self._memories = cluster.topic(MEMORIES.name)
        self._ownership, self._outbox, self._fetch = ownership, outbox, fetch
        self._keeping = keeping
        self._lock = threading.Lock()
        self._gathered: dict[tuple[int, int], _Gathered] = {}

    def write_again(self, written: Written, done: Callable[[], None]) -> None:
        """The derived records of a predecessor's response, once more; `done` when they are acknowledged.

        Where its turn is owed there is no `settled` record yet: that comes when the turn has been written.
        """
        usage = self._usage

        def ledger() -> None:
            records = derived.finished(written, usage)
            if not derived.is_turn(written.response):
                settled = [derived.settled(written)]
                records.append(derived.settled_record(usage, written.partition, settled))
            if not records:
                done()
                return
            for outgoing in records[:-1]:
                self._outbox.send(outgoing)
            self._outbox.send(records[-1], lambda _: done())

        self.copy(written.response, partial(self._remember, written.response, ledger))

    def settle(self, outcomes: list[Outcome]) -> None:
        """Outcomes whose response or move is durable; returns at once.

        What others may wait for goes at once: memories, turns, copies for repeats. Nobody waits for the
        ledger, so the outcomes of a partition are gathered for a while before it is written, unless many are.
        """
        for outcome in outcomes:
            if outcome.response is not None and outcome.response_offset == NO_OFFSET:
                continue  # it was dropped: its partition is another worker's
            if not self._begin(outcome):
                self._end(outcome)
        if self._ownership.leaving:
            self.flush()

    def _begin(self, outcome: Outcome) -> bool:
        """Write what must be durable before the ledger, if anything must."""
        if outcome.copy_to is not None:
            self._copy_for_repeat(outcome)
        elif outcome.owed:
            self._fetch(outcome, partial(self._after_turn, outcome))
        elif outcome.response is not None and (outcome.request or outcome.response.memory):
            self._remember(outcome.response, partial(self._after_turn, outcome, outcome.response))
        else:
            return False
        return True

    def _end(self, outcome: Outcome) -> None:
        """Only the ledger is left: at once where the next turn may wait for it, else with others."""
        if outcome.identity is not None and outcome.identity.context_id:
            self._close([outcome])
            return
        place = outcome.record.source, outcome.record.partition
        with self._lock:
            if (gathered := self._gathered.get(place)) is None:
                gathered = self._gathered[place] = _Gathered(time.monotonic() + GATHER_S)
            gathered.outcomes.append(outcome)
            many = len(gathered.outcomes) >= GATHER
        if many:
            self._flush([place])

    def flush_due(self) -> None:
        """Write what has been gathered once any of it was for long enough; the feeder calls it.

        All of it, so that it leaves in one request: a few a second for 12 partitions, not one for each.
        """
        now_s = time.monotonic()
        with self._lock:
            due = any(gathered.due_s <= now_s for gathered in self._gathered.values())
        if due or self._ownership.leaving:
            self.flush()

    def flush(self) -> None:
        """Write all that has been gathered."""
        with self._lock:
            places = list(self._gathered)
        self._flush(places)

    def _flush(self, places: Iterable[tuple[int, int]]) -> None:
        for place in places:
            with self._lock:
                gathered = self._gathered.pop(place, None)
            if gathered is not None:
                self._close(gathered.outcomes)

    def _close(self, group: list[Outcome]) -> None:
        """Ledger and settled record for outcomes of one partition; acknowledged, their offsets are done."""
        with self._ownership.writing():
            group = [outcome for outcome in group if self._ownership.owns(outcome.record)]
            if not group:
                return
            record = group[0].record
            entries: list[Settled] = []
            for outcome in group:
                entries.append(self._ledger(outcome))
            closings = [_closing(outcome) for outcome in group]
            self._outbox.send(
                derived.settled_record(self._usage, record.partition, entries),
                lambda offset: self._closed(record, closings, offset),
            )

    def _ledger(self, outcome: Outcome) -> Settled:
        """Hand over the ledger entries of an outcome; its settled entry."""
        record, identity = outcome.record, outcome.identity
        hashes = (0, 0) if identity is None else (identity.request_hash, identity.body_hash)
        if outcome.owed:
            flags = REMEMBERED if outcome.remembered else 0
            return Settled(record.source, flags, record.offset, *hashes, outcome.response_offset)
        if outcome.response is None:
            flags = MOVED if outcome.move is not None else REPEAT
            return Settled(record.source, flags, record.offset, *hashes, NO_OFFSET)
        seal = Seal(*hashes, outcome.remembered)
        place = (record.source, record.partition, record.offset)
        written = Written(outcome.response, seal, *place, outcome.response_offset)
        for outgoing in derived.finished(written, self._usage):
            self._outbox.send(outgoing)
        return derived.settled(written)

    def _closed(self, record: Record, closings: list[Closing], offset: int) -> None:
        self._ownership.durable(record, usage=offset)
        self._ownership.close(closings)

    def _after_turn(self, outcome: Outcome, response: Response | None) -> None:
        """Write the turn, if it is one; when it is durable and kept, the rest."""
        record, turn = outcome.record, None
        if response is None:
            self._lost_turn(record, "its response can't be had")
        elif outcome.request is not None:
            turn = derived.turn(record, outcome.request, response)
        value = b"" if turn is None else turn.to_bytes()
        if len(value) > self._keeping.turn_bytes:
            self._lost_turn(record, f"it has {len(value)} bytes; at most {self._keeping.turn_bytes} are kept")
            turn = None
        if turn is None:
            self._end(outcome)
            return
        kept, bytes_ = turn, value

        def acked(offset: int) -> None:
            close = partial(self._end, outcome)
            self._keeping.keep(kept, bytes_, record.partition, offset, close)

        with self._ownership.writing():
            if self._ownership.owns(record):
                key = turn_key(turn.context_id, turn.seq)
                headers = (("kind", b"turn"),)
                self._outbox.send(Outgoing(self._contexts, value, record.partition, key, headers), acked)

    def _lost_turn(self, record: Record, why: str) -> None:
        self._ownership.counters["turns_lost"] += 1
        _log.warning("the turn of %s is not kept: %s", record.place, why)

    def copy(self, response: Response, then: Callable[[], None]) -> None:
        """Write the copy of a durable response, if it wants one, then the rest; on any thread."""
        self._losable(derived.copy(response), "copies_lost", then)

    def _remember(self, response: Response, then: Callable[[], None]) -> None:
        self._losable(derived.memory(response, self._memories), "memories_lost", then)

    def _losable(self, record: Outgoing | None, counter: str, then: Callable[[], None]) -> None:
        """Write a record, if there is one, and go on when it is durable, or counted where it can't be."""
        if record is None:
            then()
            return

        def lost(error: Exception) -> None:
            self._ownership.counters[counter] += 1
            _log.warning("%s: a record for %s could not be written: %r", counter, record.topic, error)
            then()

        self._outbox.send(record, lambda _: then(), lost)

    def _copy_for_repeat(self, outcome: Outcome) -> None:
        """A repeat that names a new reply address gets a copy of the first answer there."""

        def fetched(response: Response | None) -> None:
            address = outcome.copy_to
            if response is None or address is None:
                self._end(outcome)
                return
            topic, partition, correlation_id = address
            same = (response.reply_topic, response.reply_partition, response.correlation_id) == address
            update = {"reply_topic": topic, "reply_partition": partition, "correlation_id": correlation_id}
            copied = response.model_copy(update={"reply_topic": None} if same else update)
            self.copy(copied, partial(self._end, outcome))

        self._fetch(outcome, fetched)


def _closing(outcome: Outcome) -> Closing:
    return Closing(outcome.record, outcome.identity, outcome.response_offset, outcome.remembered)
