"""Reads the log for those who can't wait for the shared consumer: slow readers, and answers found again.

A small pool of threads, each with a consumer of its own. Whoever waits for the same partition shares a scan:
after a takeover hundreds come back at once, and each partition is read once, not hundreds of times.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from kafka import errors as foreign

from connectors.gateway.exchange.rules.window import MAX_BYTES, MAX_RECORDS, Raw
from connectors.kafka.clients import address
from connectors.kafka.errors import BrokerDown, KafkaProblem, translate
from connectors.kafka.reading import Place, Reader, Seen
from schemas.cluster import Cluster

_log = logging.getLogger(__name__)

THREADS = 2
"""How many scans run at once."""
MOST_WAITING = 10_000
"""Most look-ups that wait; more are refused, and come again."""
STALLED_S = 5.0
"""How long a scan may bring nothing though there is more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up brought."""

    raws: list[Raw]
    """Records of the request, in order; at most a window's."""
    upto: int
    """Offset up to which the partition was looked at."""
    beginning: int
    """Offset of the oldest record that is kept."""


@dataclass(slots=True)
class Wish:
    """A look-up that waits."""

    key: bytes
    """The request's id."""
    start: int | None
    """Offset to begin at; `None` to begin at a time."""
    since_ms: int
    """Moment to begin at, Unix time in milliseconds, where no offset is known."""
    first_only: bool
    """Whether one record is enough."""
    answer: Callable[[Found | KafkaProblem], None]
    """Gets the outcome, on any thread."""
    answered: bool = False
    """Whether it has."""
    raws: list[Raw] = field(default_factory=list[Raw])
    """Found so far."""
    bytes: int = 0
    """Their bytes."""

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted."""
        if self.first_only and self.raws:
            return True
        return len(self.raws) >= MAX_RECORDS or self.bytes >= MAX_BYTES

    def reply(self, found: Found | KafkaProblem) -> None:
        """Answer, once."""
        if not self.answered:
            self.answered = True
            self.answer(found)


class Lookups:
    """The pool. `records` and `first` are called on the loop."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="weir-lookup")
        self._lock = threading.Lock()
        self._waiting: dict[Place, list[Wish]] = {}
        self._idle: list[Reader] = []
        self.scans = 0
        """Scans made."""
        self.waiting = 0
        """Look-ups under way."""

    async def records(self, place: Place, key: bytes, start: int) -> Found:
        """The next records of a request from an offset on, as many as a window takes.

        Raises:
            KafkaProblem: When the log can't be read now.
        """
        return await self._wish(place, key, start, 0, first_only=False)

    async def first(self, place: Place, key: bytes, since_ms: int) -> Raw | None:
        """The first record of a request since a moment.

        Raises:
            KafkaProblem: When the log can't be read now.
        """
        found = await self._wish(place, key, None, since_ms, first_only=True)
        return found.raws[0] if found.raws else None

    async def _wish(
        self, place: Place, key: bytes, start: int | None, since_ms: int, *, first_only: bool
    ) -> Found:
        if self.waiting >= MOST_WAITING:
            raise BrokerDown("too many read the log at once", hint="try again in a moment")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Found | KafkaProblem] = loop.create_future()

        def answer(found: Found | KafkaProblem) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, outcome, found)

        self._add(place, Wish(key, start, since_ms, first_only, answer))
        self.waiting += 1
        try:
            found = await outcome
        finally:
            self.waiting -= 1
        if isinstance(found, KafkaProblem):
            raise found
        return found

    def _add(self, place: Place, wish: Wish) -> None:
        with self._lock:
            others = self._waiting.setdefault(place, [])
            others.append(wish)
        if len(others) == 1:
            self._pool.submit(self._serve, place).add_done_callback(_log_bug)

    def _serve(self, place: Place) -> None:
        """On a thread of the pool: one scan for all that wait for the partition now."""
        with self._lock:
            wishes = self._waiting.pop(place)
            reader = self._idle.pop() if self._idle else None
            self.scans += 1
        try:
            reader = reader or Reader(self._cluster)
            _scan(reader, place, wishes)
        except foreign.KafkaError as error:
            _refuse(wishes, translate(error, address(self._cluster)))
        except KafkaProblem as problem:
            _refuse(wishes, problem)
        finally:
            _refuse(wishes, BrokerDown("the log could not be read", hint="see the gateway's log"))
            if reader is not None:
                with self._lock:
                    self._idle.append(reader)

    def close(self) -> None:
        """End threads and connections. Blocks."""
        self._pool.shutdown(cancel_futures=True)
        for reader in self._idle:
            reader.close()
        self._idle.clear()


def _log_bug(served: Future[None]) -> None:
    if not served.cancelled() and (error := served.exception()) is not None:
        _log.error("a look-up failed", exc_info=error)


def _settle(outcome: asyncio.Future[Found | KafkaProblem], found: Found | KafkaProblem) -> None:
    if not outcome.done():
        outcome.set_result(found)


def _refuse(wishes: list[Wish], problem: KafkaProblem) -> None:
    for wish in wishes:
        wish.reply(problem)


def _scan(reader: Reader, place: Place, wishes: list[Wish]) -> None:
    """Read a partition once, from the lowest start to its end; each wish is answered when it is full."""
    end = reader.ends([place])[place]
    beginning = reader.beginnings([place])[place]
    starts = _starts(reader, place, wishes)
    at = max(beginning, min(starts))
    reader.assign({place: at})
    todo: dict[bytes, list[tuple[int, Wish]]] = {}
    for start, wish in zip(starts, wishes, strict=True):
        todo.setdefault(wish.key, []).append((start, wish))
    stalled_s = time.monotonic() + STALLED_S
    while at < end and todo:
        seen = reader.poll(0.5)
        if not seen and time.monotonic() > stalled_s:
            raise BrokerDown("the broker sends nothing", hint="see `weir status`, then try again")
        for one in seen:
            at = one.offset + 1
            stalled_s = time.monotonic() + STALLED_S
            if one.key in todo and one.value is not None:
                _give(one, todo, beginning)
    for start, wish in [pair for pairs in todo.values() for pair in pairs]:
        wish.reply(Found(wish.raws, max(start, at), beginning))


def _starts(reader: Reader, place: Place, wishes: list[Wish]) -> list[int]:
    """First offset of each wish; those that begin at a time share one look-up of it."""
    moments = [wish.since_ms for wish in wishes if wish.start is None]
    since = reader.since([place], min(moments))[place] if moments else 0
    return [since if wish.start is None else wish.start for wish in wishes]


def _give(one: Seen, todo: dict[bytes, list[tuple[int, Wish]]], beginning: int) -> None:
    """Give a record to those who wish for it; those that are full then are answered and leave."""
    key = one.key or b""
    for pair in list(todo[key]):
        start, wish = pair
        if one.offset < start:
            continue
        wish.raws.append(Raw(one.offset, ("kind", b"response") in one.headers, one.value or b""))
        wish.bytes += len(one.value or b"")
        if wish.full:
            wish.reply(Found(wish.raws, one.offset + 1, beginning))
            todo[key].remove(pair)
    if not todo[key]:
        del todo[key]
