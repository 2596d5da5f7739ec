"""Keeps turns for the next: one thread with the file, and one that reads the log at a takeover.

Rules that hold here:
- A turn is in the file before its request settles, so the next turn, released after that, finds it.
- Of a partition that was taken over nothing is read before the file is as far as the log was then.
- What is forgotten stays so: of a conversation nothing that was asked before that moment is kept any more.
"""

import logging
import queue
import sqlite3
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from connectors.contexts.files import TurnsFile
from connectors.contexts.store import Place, Row, Store
from schemas.contexts import Asking, Conversations, Past, Turn, leading_system, turn_key
from schemas.records import Outgoing

_log = logging.getLogger(__name__)

AT_ONCE = 256
"""Most pieces of work that share a transaction."""
AGE_CHECK_S = 60.0
"""Between two looks for turns that have become too old."""
FORGOTTEN = 100_000
"""Most conversations that are known as forgotten; their turns are gone either way."""
CLOSE_S = 5.0
"""Longest wait for the thread at the end."""

Then = Callable[[], None]


@dataclass(frozen=True, slots=True)
class KeeperParts:
    """What a keeper works with."""

    topic: str
    """`llm.contexts`, as it is named on the cluster."""
    topic_id: Callable[[], str]
    """What tells the topic from one of the same name elsewhere or at another time; may wait for a broker."""
    file: Callable[[], TurnsFile]
    """Takes the file; called with the first turn."""
    bury: Callable[[Outgoing], None]
    """Writes a record without value over a turn that is forgotten."""
    fatal: Callable[[str], None]
    """Ends the process: it restarts with a file made anew."""


class Keeper:
    """The turns of the partitions of a worker. Every method may be called from any thread."""

    def __init__(self, bounds: Conversations, parts: KeeperParts) -> None:
        """Nothing is opened before there is something to keep."""
        self._bounds, self._parts = bounds, parts
        self._queue: queue.SimpleQueue[Callable[[list[Then]], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._store: Store | None = None
        self._file: TurnsFile | None = None
        self._behind: dict[int, int] = {}
        self._waiting: defaultdict[int, list[Then]] = defaultdict(list)
        self._owned: set[int] = set()
        self._forgotten: OrderedDict[UUID, int] = OrderedDict()
        self._age_at_s = 0.0

    @property
    def size_bytes(self) -> int:
        """Bytes of turns in the file."""
        return 0 if self._store is None else self._store.bytes

    # --- what others ask for

    def keep(self, turn: Turn, value: bytes, partition: int, offset: int, done: Then) -> None:
        """A turn is durable at that offset of the log; `done` when it is in the file."""

        def work(after: list[Then]) -> None:
            after.append(done)
            if turn.asked_ms <= self._forgotten.get(turn.context_id, -1):
                self._bury([Place(partition, turn.context_id, turn.seq)])
                return
            store = self._opened()
            store.put(row_of(turn, value, partition))
            if partition not in self._behind:
                store.reached(partition, offset + 1, _now_ms())

        self._put(work)

    def read(self, asking: Asking, done: Callable[[Past], None]) -> None:
        """The turns before a request; waits until the partition's log has been read."""

        def work(after: list[Then]) -> None:
            if asking.partition in self._behind:
                self._waiting[asking.partition].append(lambda: self.read(asking, done))
                return
            past = self._past(asking)
            after.append(lambda: done(past))

        self._put(work)

    def forget(self, context_id: UUID, until_ms: int) -> None:
        """Forget a conversation's turns that were asked by then, those to come too."""

        def work(after: list[Then]) -> None:
            known = self._forgotten.pop(context_id, -1)
            self._forgotten[context_id] = max(known, until_ms)
            if len(self._forgotten) > FORGOTTEN:
                self._forgotten.popitem(last=False)
            if self._store is not None:
                self._bury(self._store.forget(context_id, until_ms))

        self._put(work)

    # --- what a takeover asks for

    def behind(self, partition: int, generation: int) -> None:
        """The partition was taken over: nothing of it is read before `caught_up`."""

        def work(after: list[Then]) -> None:
            self._behind[partition] = generation
            self._owned.add(partition)

        self._put(work)

    def ends(self) -> dict[int, tuple[int, int]]:
        """How far the file is, by partition: next offset, and when it was noted. Waits for it."""
        answer: queue.SimpleQueue[dict[int, tuple[int, int]]] = queue.SimpleQueue()

        def work(after: list[Then]) -> None:
            found = self._opened().ends()
            after.append(lambda: answer.put(found))

        self._put(work)
        return answer.get()

    def load(self, partition: int, turns: Iterable[Row | Place], reached: int, *, anew: bool = False) -> None:
        """Take in what the log says, tombstones as places; returns when it is in the file.

        Args:
            partition: Its partition.
            turns: Turns and tombstones, in the order of the log.
            reached: The next offset.
            anew: Whether what the file has of the partition is dropped first.
        """
        loaded = threading.Event()

        def work(after: list[Then]) -> None:
            store = self._opened()
            if anew:
                store.clear(partition)
            for turn in turns:
                self._load_one(store, turn)
            store.reached(partition, reached, _now_ms())
            after.append(loaded.set)

        self._put(work)
        loaded.wait()

    def caught_up(self, partition: int, generation: int) -> None:
        """The file is as far as the log was at the takeover: who waits is served."""

        def work(after: list[Then]) -> None:
            if self._behind.get(partition) == generation:
                del self._behind[partition]
                after.extend(self._waiting.pop(partition, ()))

        self._put(work)

    def stop(self) -> None:
        """End the thread, and close the file."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(CLOSE_S)

    # --- on the thread

    def _put(self, work: Callable[[list[Then]], None]) -> None:
        self._queue.put(work)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._guarded, name="weir-contexts", daemon=True)
                    self._thread.start()

    def _guarded(self) -> None:
        try:
            self._run()
        except sqlite3.Error as error:
            _log.exception("the file of turns failed")
            if self._file is not None:
                self._file.remove()
            self._parts.fatal(f"the file of turns failed and is made anew at the next start: {error!r}")
        except BaseException as error:  # noqa: BLE001  without this thread conversations stand still: log once, restart
            _log.exception("keeping turns failed")
            self._parts.fatal(f"keeping turns failed: {error!r}")

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            while len(batch) < AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get())
            going = None not in batch
            after: list[Then] = []
            self._together([work for work in batch if work is not None], after)
            for then in after:
                then()
            if self._store is not None:
                self._trim(self._store)
        if self._store is not None:
            self._store.close()
        if self._file is not None:
            self._file.close()

    def _together(self, batch: list[Callable[[list[Then]], None]], after: list[Then]) -> None:
        """Do the batch in one transaction; the first one of all is done in the file's making."""
        at = 0
        while self._store is None and at < len(batch):
            batch[at](after)
            at += 1
        if self._store is not None and at < len(batch):
            with self._store.writing():
                for work in batch[at:]:
                    work(after)

    def _opened(self) -> Store:
        if self._store is None:
            topic_id = self._parts.topic_id()
            self._file = self._parts.file()
            self._store = Store(self._file.path, topic_id, self._bounds.store_bytes)
        return self._store

    def _load_one(self, store: Store, turn: Row | Place) -> None:
        if isinstance(turn, Place):
            store.drop(turn.context_id, turn.seq)
        elif turn.asked_ms <= self._forgotten.get(turn.context_id, -1):
            self._bury([Place(turn.partition, turn.context_id, turn.seq)])
        else:
            store.put(turn)

    def _past(self, asking: Asking) -> Past:
        if self._store is None:
            return Past()
        bounds = self._bounds
        found = self._store.before(
            asking.context_id, asking.tenant, asking.seq, bounds.history_turns, bounds.history_bytes
        )
        turns = tuple(Turn.model_validate_json(value) for value in found.turns)
        told = turns if found.system is None else (Turn.model_validate_json(found.system), *turns)
        for turn in reversed(told):
            if count := leading_system(turn.asked):
                return Past(turns, tuple(turn.asked[:count]))
        return Past(turns)

    def _trim(self, store: Store) -> None:
        now_s = time.monotonic()
        if store.over or now_s >= self._age_at_s:
            self._age_at_s = now_s + AGE_CHECK_S
            oldest_ms = _now_ms() - round(self._bounds.max_age.total_seconds() * 1000)
            with store.writing():
                gone = store.evict(oldest_ms)
            self._bury(gone)

    def _bury(self, places: list[Place]) -> None:
        """Write over the turns on the log, where this worker is the one to do it."""
        for place in places:
            if place.partition in self._owned:
                key = turn_key(place.context_id, place.seq)
                headers = (("kind", b"forgotten"),)
                self._parts.bury(Outgoing(self._parts.topic, None, place.partition, key, headers))


def row_of(turn: Turn, value: bytes, partition: int) -> Row:
    """A turn as the file holds it."""
    system = leading_system(turn.asked) > 0
    return Row(turn.context_id, turn.seq, turn.tenant, partition, turn.asked_ms, system, value)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
