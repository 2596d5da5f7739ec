"""What a worker owns: its partitions, what is open in them, and who may go on.

Shared by the feeder's thread (reads and commits), the flow's (takes and arrives), the call loop's and the
producer's (settles); one lock guards it, and nothing waits inside it.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from connectors.kafka.partitions import Partition, State, Writers
from connectors.kafka.rules.cancels import Cancels
from connectors.kafka.rules.marks import Mark, Marks, Note
from connectors.kafka.rules.poison import Poison
from connectors.kafka.rules.turns import Turns
from connectors.kafka.rules.window import Ask, Verdict, Window
from schemas.arrivals import Arrival, Closing, Identity
from schemas.cluster import Delivery
from schemas.packed import NO_OFFSET
from schemas.records import Record


class Ownership:
    """The partitions of a worker. `now_s` arguments are the records' timestamps, so replays behave alike."""

    def __init__(
        self, delivery: Delivery, allowed: Callable[[], bool], ring: Callable[[], None] = lambda: None
    ) -> None:
        """`ring` is called when there may be something to take."""
        self._delivery, self._ring = delivery, ring
        self.allowed = allowed
        """Whether the lease holds: nothing is fed, called or written while it doesn't."""
        self.lock = threading.Lock()
        self.partitions: dict[tuple[int, int], Partition] = {}
        self.counters: Counter[str] = Counter()
        self.window = Window(delivery.window_entries, delivery.window.total_seconds())
        self.cancels = Cancels(round(delivery.window.total_seconds() * 1000))
        self.stopping = False
        self.under_way = 0
        self.buffered_bytes = 0
        self._buffer: deque[tuple[Partition, deque[Record]]] = deque()
        self._ready: deque[Record] = deque()
        self._inside: set[int] = set()
        self.quiet = False
        """Whether only a suspect may enter the synchronous steps."""
        self._suspect: Record | None = None
        self._epoch = 0
        self._writers = Writers(self.lock)

    # --- the feeder's side

    def adopt(self, source: int, number: int, mark: Mark, poison: Poison) -> Partition:
        """A partition was assigned; it is scanned before it is fed."""
        with self.lock:
            self._epoch += 1
            turns: Turns[Record] = Turns(self._delivery.conversation_bytes, self._delivery.held_bytes)
            marks = Marks(mark.offset, mark.note, mark.note)
            partition = Partition(source, number, self._epoch, marks, poison, turns)
            self.partitions[source, number] = partition
            return partition

    def revive(
        self, partition: Partition, answered: set[int], attempts: dict[int, int], high: int, ends: Note
    ) -> bool:
        """The scan is over: feed the partition. Whether it is still this worker's.

        What was answered and owes a turn (`partition.owed`) is read again, but never answered again.
        """
        with self.lock:
            if partition.state is not State.SCANNING:
                return False
            marks = partition.marks
            marks.answered, marks.high, marks.ends = answered - partition.owed.keys(), high, ends
            partition.attempts = attempts
            partition.poison.scanned(answered)
            partition.state = State.LIVE
            return True

    def put(self, partition: Partition, records: list[Record], last: int) -> None:
        """Records of a partition were read, up to offset `last`; those that were answered are left out."""
        with self.lock:
            keep = partition.marks.read((record.offset for record in records), last)
            if len(keep) != len(records):
                self.counters["skipped"] += len(records) - len(keep)
                wanted = set(keep)
                records = [record for record in records if record.offset in wanted]
            if records and partition.state is State.LIVE:
                self._buffer.append((partition, deque(records)))
                partition.buffered += len(records)
                self.buffered_bytes += sum(len(record.value or b"") for record in records)
        self._ring()

    def put_alone(self, partition: Partition, record: Record) -> None:
        """Let this record pass the synchronous steps next, and no other; the flow must be `quiet`."""
        with self.lock:
            if partition.marks.read([record.offset], record.offset):
                self._suspect = record
        self._ring()

    def drain(self, partition: Partition) -> None:
        """Feed the partition no more; what waits in it is left to the next owner."""
        with self.lock:
            if partition.state is not State.GONE:
                partition.state = State.DRAINING

    def give_up(self, partition: Partition) -> int:
        """The partition is another's now: nothing of it is written any more. Requests left unfinished."""
        with self.lock:
            left = partition.under_way
            if partition.state is not State.GONE:
                partition.state = State.GONE
                self.under_way -= left
                self.counters["abandoned"] += left
            if self.partitions.get((partition.source, partition.number)) is partition:
                del self.partitions[partition.source, partition.number]
            return left

    # --- the flow's side

    def take(self, limit: int) -> list[Record]:
        """Release up to `limit` records, as many as there are credits for; a credit is taken for each."""
        taken: list[Record] = []
        with self.lock:
            limit = min(limit, self._delivery.credits - self.under_way)
            if limit <= 0 or not self.allowed():
                return taken
            if self.quiet:
                suspect, self._suspect = self._suspect, None
                if suspect is not None:
                    self._release(suspect, taken)
                return taken
            while self._ready and len(taken) < limit:
                self._release(self._ready.popleft(), taken)
            while self._buffer and len(taken) < limit:
                partition, records = self._buffer[0]
                while records and len(taken) < limit:
                    record = records.popleft()
                    partition.buffered -= 1
                    self.buffered_bytes -= len(record.value or b"")
                    self._release(record, taken)
                if not records:
                    self._buffer.popleft()
        return taken

    def _release(self, record: Record, taken: list[Record]) -> None:
        partition = self._owned(record)
        if partition is None or partition.state is not State.LIVE:
            return  # not settled, so the next owner reads it again
        partition.under_way += 1
        self.under_way += 1
        self._inside.add(id(record))
        taken.append(record)

    def arrive(self, record: Record, identity: Identity) -> tuple[Arrival, int]:
        """What becomes of a request at the door, and where the earlier response of a repeat lies."""
        with self.lock:
            partition = self._owned(record)
            if partition is None:
                self._inside.discard(id(record))
                return Arrival.GONE, NO_OFFSET
            if partition.owed and record.offset in partition.owed:
                going = self._in_turn(partition, record, identity)
                return (Arrival.OWED if going else Arrival.HELD), partition.owed[record.offset]
            if self.cancelled(record, identity):
                return Arrival.CANCELLED, NO_OFFSET
            if identity.request_hash:
                seen = self.window.look(_ask(partition, record, identity), record.timestamp_ms / 1000)
                if seen.verdict is Verdict.IN_FLIGHT:
                    self._hold(partition, record)
                    partition.turns.wait(("request", seen.offset), record.offset, _size(record), record)
                    return Arrival.HELD, NO_OFFSET
                if seen.verdict is not Verdict.NEW:
                    repeat = seen.verdict is Verdict.ANSWERED
                    return (Arrival.REPEAT if repeat else Arrival.CONFLICT), seen.response_offset
            going = self._in_turn(partition, record, identity)
            return (Arrival.GO if going else Arrival.HELD), NO_OFFSET

    def _in_turn(self, partition: Partition, record: Record, identity: Identity) -> bool:
        """Whether it is no turn, or its conversation's next; else it waits from now on."""
        context_id = identity.context_id
        if context_id is None or partition.turns.enter(context_id, record.offset, _size(record), record):
            return True
        self._hold(partition, record)
        return False

    def cancelled(self, record: Record, identity: Identity) -> bool:
        """Whether its tenant does not want it any more."""
        return self.cancels.hits(identity.tenant, identity.request_id, record.timestamp_ms)

    def _hold(self, partition: Partition, record: Record) -> None:
        """Give the credit back while the record waits."""
        partition.under_way -= 1
        self.under_way -= 1
        self._inside.discard(id(record))

    def passed(self, record: Record) -> None:
        """The record went through the synchronous steps."""
        with self.lock:
            self._inside.discard(id(record))

    @property
    def suspected(self) -> bool:
        """Whether a suspect waits to enter."""
        return self._suspect is not None

    @property
    def inside(self) -> int:
        """Records that are passing the synchronous steps."""
        return len(self._inside)

    # --- everybody's

    def owns(self, record: Record) -> bool:
        """Whether what is written about the record is still this worker's to write."""
        partition = self._owned(record)
        return partition is not None and not partition.sealed

    def answered_before(self, record: Record) -> bool:
        """Whether an earlier owner answered the record, which was read again for its turn only."""
        partition = self._owned(record)
        return partition is not None and record.offset in partition.owed

    def writing(self) -> Writers:
        """Ask `owns` and hand to the producer inside this; a partition isn't sealed meanwhile."""
        return self._writers

    @property
    def leaving(self) -> bool:
        """Whether a partition is on its way out: nothing should be gathered any longer."""
        return self.stopping or State.DRAINING in [p.state for p in list(self.partitions.values())]

    @property
    def handing_over(self) -> bool:
        """Whether somebody is between asking `owns` and handing to the producer."""
        return self._writers.count > 0

    def seal(self, partitions: list[Partition]) -> None:
        """From the return on, nothing of these partitions is handed to the producer."""
        for partition in partitions:
            partition.sealed = True
        while self._writers.count:
            time.sleep(0.0005)  # writers hand over a batch at most

    def durable(self, record: Record, response: int | None = None, usage: int | None = None) -> None:
        """A response or usage record on the record's partition number was acknowledged at that offset."""
        with self.lock:
            partition = self._owned(record)
            if partition is not None:
                partition.marks.durable(response, usage)

    def close(self, closings: list[Closing]) -> None:
        """Request records are done with; who waited for them is released."""
        with self.lock:
            for record, identity, response_offset, remembered in closings:
                partition = self._owned(record)
                if partition is None:
                    continue
                partition.marks.settle(record.offset)
                partition.owed.pop(record.offset, None)
                partition.under_way -= 1
                self.under_way -= 1
                if identity is not None:
                    if identity.request_hash:
                        ask = _ask(partition, record, identity)
                        self.window.settle(ask, response_offset, remembered)
                    self._wake(partition, record, identity)
            self.counters["settled"] += len(closings)
        self._ring()

    def _wake(self, partition: Partition, record: Record, identity: Identity) -> None:
        turns = partition.turns
        if identity.context_id is not None:
            following = turns.leave(identity.context_id, record.offset)
            if following is not None:
                self._ready.append(following)
        if identity.request_hash and turns:
            self._ready.extend(turns.release(("request", record.offset)))

    def _owned(self, record: Record) -> Partition | None:
        partition = self.partitions.get((record.source, record.partition))
        return partition if partition is not None and partition.epoch == record.epoch else None


def _ask(partition: Partition, record: Record, identity: Identity) -> Ask:
    return Ask(partition.place, partition.epoch, identity.request_hash, identity.body_hash, record.offset)


def _size(record: Record) -> int:
    return len(record.value or b"") + 200
