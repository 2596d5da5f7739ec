"""Reads the watched topics, once for all sockets of a gateway, and keeps their last rows as feeds.

One thread owns one consumer without a group. It reads only topics that somebody watches: from a little
before their end on, so that the first snapshot has a past. Rows cross to the event loop once per poll, and
the thread waits until they are taken; the feeds belong to the loop. Nothing here waits for a socket.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kafka.errors import KafkaError

from connectors.gateway.socket.feed import Feed, Row
from connectors.gateway.socket.views import VIEWS, row_of
from connectors.kafka.errors import KafkaProblem
from connectors.kafka.reading import Place, Reader, Seen, reading
from schemas.cluster import Cluster

IDLE_S = 60.0
"""How long a topic that nobody watches is still read."""
POLL_S = 0.2
_RETRY_S = 1.0
_MOST_RECORDS = 500

_log = logging.getLogger("weir.gateway.hub")


@dataclass(slots=True)
class _Tail:
    """How far a topic has been read; belongs to the thread."""

    next: dict[Place, int]
    """Offset to read next, of each partition."""
    ends: dict[Place, int]
    """Where each partition ended when reading began: up to there it is the past."""
    past: list[tuple[int, Row]] = field(default_factory=list[tuple[int, Row]])
    """Rows of the past with their timestamps, gathered until all partitions are there."""
    ready: bool = False


class Hub:
    """The feeds of one gateway. `open` and the feeds are for the event loop alone."""

    def __init__(self, cluster: Cluster, *, max_rows: int = 500, idle_s: float = IDLE_S) -> None:
        self._cluster = cluster
        self._max_rows = max_rows
        self._idle_s = idle_s
        self._feeds: dict[str, Feed] = {}
        self._used_s: dict[str, float] = {}
        self._wanted: tuple[tuple[str, str], ...] = ()
        self._tails: dict[tuple[str, str], _Tail] = {}
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._stop = threading.Event()
        self._connected = False
        self._read = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._said = ""

    @property
    def ready(self) -> bool:
        """Always: watching is no reason to keep requests out."""
        return True

    async def start(self) -> None:
        """Begin; Kafka is asked when somebody watches."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="gateway-hub", daemon=True)
        self._thread.start()
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """End the thread and its connection."""
        self._stop.set()
        self._wake.set()
        self._taken.set()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def counters(self) -> Mapping[str, int]:
        """Records read since the start."""
        return {"hub_records": self._read}

    def gauges(self) -> Mapping[str, float]:
        """What is held, and whether Kafka is there."""
        held = sum(feed.held_bytes for feed in self._feeds.values())
        return {"hub_topics": len(self._feeds), "hub_bytes": held, "hub_connected": float(self._connected)}

    def open(self, topics: Iterable[str]) -> Mapping[str, Feed]:
        """The feeds of topics, which are read from now on; call it again while they are watched."""
        now_s = time.monotonic()
        for topic in topics:
            self._used_s[topic] = now_s
            if topic not in self._feeds:
                self._feeds[topic] = Feed(secrets.token_hex(6), self._max_rows)
        stale = [topic for topic, used_s in self._used_s.items() if now_s - used_s > self._idle_s]
        for topic in stale:
            del self._feeds[topic], self._used_s[topic]
        wanted = tuple((topic, feed.epoch) for topic, feed in self._feeds.items())
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()
        return self._feeds

    async def _sweep(self) -> None:
        """Forget topics that nobody watches any more."""
        while True:
            await asyncio.sleep(self._idle_s / 10)
            self.open(())

    def _take(self, rows: list[tuple[str, str, Row]], ready: list[tuple[str, str]]) -> None:
        """On the loop: rows that were read, and feeds whose past is whole."""
        for topic, epoch, row in rows:
            feed = self._feeds.get(topic)
            if feed is not None and feed.epoch == epoch:
                feed.append(row)
        for topic, epoch in ready:
            feed = self._feeds.get(topic)
            if feed is not None and feed.epoch == epoch:
                feed.ready = True
        self._taken.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(1.0)
            if not self._wanted:
                self._wake.clear()
                continue
            try:
                with reading(self._cluster) as reader:
                    self._connected = True
                    self._serve(reader)
            except (KafkaProblem, KafkaError, OSError) as problem:
                if str(problem) != self._said:
                    _log.warning("watched topics can't be read: %s", problem)
                self._said = str(problem)
                self._stop.wait(_RETRY_S)
            finally:
                self._connected = False

    def _serve(self, reader: Reader) -> None:
        """Read until nothing is wanted any more."""
        assigned: tuple[tuple[str, str], ...] | None = None
        while not self._stop.is_set() and self._wanted:
            self._wake.clear()
            if assigned != self._wanted:
                assigned = self._wanted
                self._assign(reader, assigned)
            self._hand_over(reader.poll(POLL_S, _MOST_RECORDS), reader)

    def _assign(self, reader: Reader, wanted: tuple[tuple[str, str], ...]) -> None:
        """Read the wanted topics; those that were read before go on where they were."""
        self._tails = {each: tail for each, tail in self._tails.items() if each in wanted}
        for each in wanted:
            if each not in self._tails:
                self._tails[each] = self._tail(reader, self._cluster.topic(VIEWS[each[0]].topic.name))
        reader.assign({place: at for tail in self._tails.values() for place, at in tail.next.items()})

    def _tail(self, reader: Reader, topic: str) -> _Tail:
        places = reader.places(topic)
        ends, beginnings = reader.ends(places), reader.beginnings(places)
        share = -(-self._max_rows // len(places))
        return _Tail({place: max(beginnings[place], ends[place] - share) for place in places}, ends)

    def _hand_over(self, records: list[Seen], reader: Reader) -> None:
        """Rows to the loop; those of the past when all of it is there, by their time."""
        by_topic = {place.topic: each for each, tail in self._tails.items() for place in tail.next}
        rows: list[tuple[str, str, Row]] = []
        for seen in records:
            each = by_topic[seen.place.topic]
            tail = self._tails[each]
            tail.next[seen.place] = seen.offset + 1
            row = row_of(VIEWS[each[0]], seen)
            if row is not None and tail.ready:
                rows.append((*each, row))
            elif row is not None:
                tail.past.append((seen.timestamp_ms, row))
        self._read += len(records)
        ready = self._complete(reader, rows)
        if rows or ready:
            self._cross(rows, ready)

    def _complete(self, reader: Reader, rows: list[tuple[str, str, Row]]) -> list[tuple[str, str]]:
        """Topics whose past is whole now; its rows are added, in order of time."""
        waiting = [each for each, tail in self._tails.items() if not tail.ready]
        if not waiting:
            return []
        # Positions, not offsets: at the end of a partition may stand what is no record.
        at = reader.positions()
        ready = [
            each
            for each in waiting
            if all(at.get(place, 0) >= end for place, end in self._tails[each].ends.items())
        ]
        for each in ready:
            tail = self._tails[each]
            tail.ready = True
            rows += [(*each, row) for _, row in sorted(tail.past, key=lambda one: one[0])]
            tail.past.clear()
        return ready

    def _cross(self, rows: list[tuple[str, str, Row]], ready: list[tuple[str, str]]) -> None:
        """Hand over and wait until it is taken, so that at most one batch is on its way."""
        assert self._loop is not None
        self._taken.clear()
        if self._stop.is_set():
            return
        self._loop.call_soon_threadsafe(self._take, rows, ready)
        self._taken.wait()
