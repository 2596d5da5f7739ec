"""Turns, and a keeper over a file of its own."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from connectors.contexts.files import TurnsFile
from connectors.contexts.keeper import Keeper, KeeperParts, row_of
from connectors.contexts.store import Row
from schemas.contexts import Asking, Conversations, Past, Turn
from schemas.records import Outgoing
from schemas.requests import Message

FOR_EVER = Conversations(max_age=timedelta(days=36500))
A, B = UUID(int=1), UUID(int=2)


def turn(seq: int, context: UUID = A, tenant: str = "t", asked_ms: int = 0, system: str = "") -> Turn:
    """A turn that asks its own number."""
    told = [Message(role="system", content=system)] if system else []
    return Turn(
        context_id=context,
        seq=seq,
        tenant=tenant,
        request_id=f"r{seq}",
        asked=[*told, Message(role="user", content=f"q{seq}")],
        answer=Message(role="assistant", content=f"a{seq}"),
        asked_ms=asked_ms or 10_000_000_000_000 + seq,
    )


def row(made: Turn, partition: int = 3) -> Row:
    """The same as a row."""
    return row_of(made, made.to_bytes(), partition)


class Bench:
    """A keeper whose thread runs, and what it did."""

    def __init__(self, folder: Path, bounds: Conversations | None = None) -> None:
        self.folder = folder
        self.buried: list[Outgoing] = []
        self.failures: list[str] = []
        self.opened = 0
        self.topic_id = "topic"
        self.keeper = Keeper(bounds or FOR_EVER, self._parts())

    def _parts(self) -> KeeperParts:
        return KeeperParts(
            "x.llm.contexts", self._topic, self._file, self.buried.append, self.failures.append
        )

    def _topic(self) -> str:
        return self.topic_id

    def _file(self) -> TurnsFile:
        self.opened += 1
        return TurnsFile(str(self.folder), "here", "one")

    def wait(self, begin: Callable[[Callable[[], None]], None]) -> None:
        """Begin something and wait for its end."""
        done = threading.Event()
        begin(done.set)
        assert done.wait(5), self.failures

    def keep(self, made: Turn, partition: int = 3, offset: int = 0) -> None:
        """Keep a turn and wait until it is kept."""
        self.wait(lambda done: self.keeper.keep(made, made.to_bytes(), partition, offset, done))

    def past(self, seq: int = 99, context: UUID = A, tenant: str = "t", partition: int = 3) -> Past:
        """What a request at `seq` is given."""
        found: list[Past] = []

        def begin(done: Callable[[], None]) -> None:
            def take(past: Past) -> None:
                found.append(past)
                done()

            self.keeper.read(Asking(context, tenant, partition, seq), take)

        self.wait(begin)
        return found[0]

    def seen(self, seq: int = 99, context: UUID = A, tenant: str = "t") -> list[int]:
        """The numbers of the turns that a request at `seq` is given."""
        return [each.seq for each in self.past(seq, context, tenant).turns]
