"""The file of a worker's turns: SQLite, made again from `llm.contexts` whenever it is lost.

Rules that hold here:
- A turn and the offset up to which the log is in the file become durable together.
- A file of another topic, another version, or a damaged one is emptied: the log is the truth.
- It is bounded in bytes and age; what goes over is forgotten here, the oldest first.
"""

import contextlib
import sqlite3
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (
    partition INTEGER PRIMARY KEY, next INTEGER NOT NULL, at_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY, context BLOB NOT NULL, seq INTEGER NOT NULL, tenant TEXT NOT NULL,
    partition INTEGER NOT NULL, asked_ms INTEGER NOT NULL, size INTEGER NOT NULL,
    system INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS turns_key ON turns (context, seq);
CREATE INDEX IF NOT EXISTS turns_age ON turns (asked_ms);
CREATE INDEX IF NOT EXISTS turns_system ON turns (context, seq) WHERE system;
"""
_PUT = """
INSERT INTO turns (context, seq, tenant, partition, asked_ms, size, system, value)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (context, seq) DO UPDATE SET
    tenant = excluded.tenant, partition = excluded.partition, asked_ms = excluded.asked_ms,
    size = excluded.size, system = excluded.system, value = excluded.value
"""
_BEFORE = """
SELECT size, system, value FROM turns WHERE context = ? AND seq < ? AND tenant = ? ORDER BY seq DESC LIMIT ?
"""
_SYSTEM = """
SELECT value FROM turns WHERE context = ? AND seq < ? AND tenant = ? AND system ORDER BY seq DESC LIMIT 1
"""
EVICTED = 256
"""Turns that are forgotten at once when the file is over its bound."""


class Row(NamedTuple):
    """A turn as the file holds it."""

    context_id: UUID
    """Its conversation."""
    seq: int
    """Its number."""
    tenant: str
    """Whose it is."""
    partition: int
    """Its partition of `llm.contexts`."""
    asked_ms: int
    """When its request was appended, Unix time in milliseconds."""
    system: bool
    """Whether it begins with a system turn."""
    value: bytes
    """The event as it was written."""


class Place(NamedTuple):
    """A turn's place in the log, as its key says it."""

    partition: int
    """Partition of `llm.contexts`."""
    context_id: UUID
    """Its conversation."""
    seq: int
    """Its number."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a conversation held before a turn."""

    turns: list[bytes]
    """Its last turns, oldest first, within the bounds."""
    system: bytes | None
    """The last turn that began with a system turn, where none of `turns` does."""


class Store:
    """One connection to one file; for one thread."""

    def __init__(self, path: Path, topic_id: str, most_bytes: int) -> None:
        """Open the file; one that can't be used is made anew.

        Args:
            path: The file; its folder exists.
            topic_id: Which topic's turns it holds.
            most_bytes: Most bytes of turns.

        Raises:
            sqlite3.Error: When no file can be made there.
        """
        self._most_bytes = most_bytes
        self.crowded_out = 0
        """Turns that went because the file was over its bound."""
        try:
            self._open(path, topic_id)
        except sqlite3.DatabaseError:
            self.close()
            remove(path)
            self._open(path, topic_id)

    def _open(self, path: Path, topic_id: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        about = dict(self._db.execute("SELECT name, value FROM about"))
        if about != {"version": VERSION, "topic": topic_id}:
            with self.writing():
                for table in ("about", "ends", "turns"):
                    self._db.execute(f"DELETE FROM {table}")
                rows = [("version", VERSION), ("topic", topic_id)]
                self._db.executemany("INSERT INTO about VALUES (?, ?)", rows)
        ((self.bytes,),) = self._db.execute("SELECT coalesce(sum(size), 0) FROM turns")

    def close(self) -> None:
        """End the connection."""
        self._db.close()

    @contextlib.contextmanager
    def writing(self) -> Generator[None]:
        """What is written inside becomes durable together, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- writing

    def put(self, row: Row) -> None:
        """Keep a turn; the same one again takes its own place."""
        key = (row.context_id.bytes, row.seq)
        self.bytes += len(row.value) - self._size(key)
        fields = (row.tenant, row.partition, row.asked_ms, len(row.value), row.system, row.value)
        self._db.execute(_PUT, (*key, *fields))

    def drop(self, context_id: UUID, seq: int) -> None:
        """Forget a turn."""
        key = (context_id.bytes, seq)
        self.bytes -= self._size(key)
        self._db.execute("DELETE FROM turns WHERE context = ? AND seq = ?", key)

    def forget(self, context_id: UUID, until_ms: int) -> list[Place]:
        """Forget the turns of a conversation that were asked by then; where they lay."""
        which = "FROM turns WHERE context = ? AND asked_ms <= ?"
        found = self._db.execute(f"SELECT partition, seq, size {which}", (context_id.bytes, until_ms))
        rows = found.fetchall()
        self._db.execute(f"DELETE {which}", (context_id.bytes, until_ms))
        self.bytes -= sum(size for _, _, size in rows)
        return [Place(partition, context_id, seq) for partition, seq, _ in rows]

    def _size(self, key: tuple[bytes, int]) -> int:
        found = self._db.execute("SELECT size FROM turns WHERE context = ? AND seq = ?", key).fetchone()
        return 0 if found is None else int(found[0])

    def evict(self, before_ms: int) -> list[Place]:
        """Forget what is older than that, and the oldest while the file is over its bound.

        Returns:
            Where those lay that are too old: they may go from the log too.
        """
        gone = self._evict("asked_ms < ?", (before_ms,))
        while self.over:
            crowded = self._evict("id IN (SELECT id FROM turns ORDER BY asked_ms LIMIT ?)", (EVICTED,))
            self.crowded_out += len(crowded)
        return gone

    @property
    def over(self) -> bool:
        """Whether the file is over its bound."""
        return self.bytes > self._most_bytes

    def _evict(self, which: str, values: Iterable[int]) -> list[Place]:
        given = tuple(values)
        found = self._db.execute(f"SELECT context, seq, partition, size FROM turns WHERE {which}", given)
        rows = found.fetchall()
        if rows:
            self._db.execute(f"DELETE FROM turns WHERE {which}", given)
            self.bytes -= sum(size for _, _, _, size in rows)
        return [Place(partition, UUID(bytes=context), seq) for context, seq, partition, _ in rows]

    # --- how far it is

    def ends(self) -> dict[int, tuple[int, int]]:
        """Each partition's next offset of the log, and when it was noted, Unix time in milliseconds."""
        return {number: (end, at) for number, end, at in self._db.execute("SELECT * FROM ends")}

    def reached(self, partition: int, offset: int, at_ms: int) -> None:
        """The log is in the file up to and without that offset; it never goes back."""
        self._db.execute(
            "INSERT INTO ends VALUES (?, ?, ?) ON CONFLICT (partition) DO UPDATE"
            " SET next = max(next, excluded.next), at_ms = excluded.at_ms",
            (partition, offset, at_ms),
        )

    def clear(self, partition: int) -> None:
        """Forget a partition: it is read from the start of the log again."""
        self._db.execute("DELETE FROM ends WHERE partition = ?", (partition,))
        (size,) = self._db.execute(
            "SELECT coalesce(sum(size), 0) FROM turns WHERE partition = ?", (partition,)
        ).fetchone()
        self._db.execute("DELETE FROM turns WHERE partition = ?", (partition,))
        self.bytes -= size

    # --- reading

    def before(self, context_id: UUID, tenant: str, seq: int, most_turns: int, most_bytes: int) -> Before:
        """The last turns of a tenant's conversation before `seq`, the newest that fit, without gaps."""
        turns: list[bytes] = []
        left, told = most_bytes, False
        key = (context_id.bytes, seq, tenant)
        whole = True
        for size, system, value in self._db.execute(_BEFORE, (*key, most_turns + 1)):
            if len(turns) == most_turns or size > left:
                whole = False
                break
            left -= size
            told = told or bool(system)
            turns.append(value)
        turns.reverse()
        found = None if whole or told else self._db.execute(_SYSTEM, key).fetchone()
        return Before(turns, None if found is None else found[0])


def remove(path: Path) -> None:
    """Remove a file of turns, with what SQLite puts beside it."""
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)
