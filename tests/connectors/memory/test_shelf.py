"""A worker's memory: opened once, searched within a bound, and what a broken one says."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.kafka.reading import Place, Seen
from connectors.memory import shelf as module
from connectors.memory.follower import apply
from connectors.memory.local import LocalMemory
from connectors.memory.ports import Memory
from connectors.memory.shelf import Shelf
from schemas.cluster import Cluster
from schemas.memories import MemoryPolicy, MemoryProblem, Remembered

ONE = Remembered(tenant="acme", user="ada", id="1", text="green tea", request_id="r", at_ms=1)
SHORT = timedelta(milliseconds=50)
DOWN = Cluster(bootstrap=("127.0.0.1:9",))


class FakeFollower:
    """Opens the memory at once when it is started."""

    def __init__(
        self, cluster: Cluster, open_memory: Callable[[], Memory], ready: Callable[[Memory | None], None]
    ) -> None:
        self.open, self.ready = open_memory, ready
        self.started = 0
        self.broken = False

    def start(self) -> None:
        self.started += 1
        if self.broken:
            self.ready(None)
            return
        memory = self.open()
        memory.add(ONE.text, ONE)
        memory.done(1)
        self.ready(memory)

    def stop(self) -> None:
        """Nothing runs."""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(module, "Follower", FakeFollower)
    return Shelf(DOWN, MemoryPolicy(folder=str(tmp_path)))


def test_it_is_opened_by_the_first_search_and_tells_tenants_apart(shelf: Shelf):
    async def run() -> list[list[str]]:
        return list(
            await asyncio.gather(
                shelf.search("teas", "acme", "ada"),
                shelf.search("teas", "acme", "bob"),
                shelf.search("teas", "other", "ada"),
            )
        )

    assert asyncio.run(run()) == [["green tea"], [], []]
    assert shelf._follower.started == 1  # type: ignore[attr-defined]
    shelf.close()


def test_two_workers_take_a_folder_each_and_a_restart_takes_the_first_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "Follower", FakeFollower)
    shelves = [Shelf(DOWN, MemoryPolicy(folder=str(tmp_path))) for _ in range(2)]
    for each in shelves:
        asyncio.run(each.search("tea", "acme", "ada"))

    assert [each._own[0].name for each in shelves if each._own] == ["0", "1"]
    for each in shelves:
        each.close()
    again = Shelf(DOWN, MemoryPolicy(folder=str(tmp_path)))
    asyncio.run(again.search("tea", "acme", "ada"))
    again.close()

    assert again._own
    assert again._own[0].name == "0"


def test_a_memory_that_fails_to_open_is_a_problem_at_once(shelf: Shelf):
    shelf._follower.broken = True  # type: ignore[attr-defined]

    async def run() -> None:
        for _ in range(2):
            with pytest.raises(MemoryProblem, match="does not work now"):
                await shelf.search("tea", "acme", "ada")

    asyncio.run(run())
    shelf.close()


def test_a_memory_that_opens_too_slowly_or_searches_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Never(FakeFollower):
        def start(self) -> None:
            self.started += 1

    class Slow:
        def search(self, query: str, user: str, limit: int) -> list[tuple[str, str]]:
            time.sleep(0.3)
            return []

    monkeypatch.setattr(module, "Follower", Never)
    policy = MemoryPolicy(folder=str(tmp_path), opening=SHORT, search=SHORT)
    slow = Shelf(DOWN, policy)

    async def run() -> None:
        with pytest.raises(MemoryProblem, match="in time"):
            await slow.search("tea", "acme", "ada")
        slow._memory = Slow()  # type: ignore[assignment]
        with pytest.raises(MemoryProblem, match="in time"):
            await slow.search("tea", "acme", "ada")

    begun_s = time.monotonic()
    asyncio.run(run())

    assert time.monotonic() - begun_s < 1
    slow.close()


def test_a_folder_that_cannot_be_made_is_a_problem_in_words(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(MemoryProblem, match="can't be written"):
        module._own_folder(tmp_path / "file")


def seen(key: bytes | None, value: bytes | None) -> Seen:
    return Seen(Place("llm.memories", 0), 7, 1, key, value, ())


def test_records_are_kept_or_forgotten_and_what_cannot_be_read_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    memory = LocalMemory(tmp_path, 100)
    for record in (
        seen(b"acme/ada/1", ONE.to_bytes()),
        seen(b"x", b"{"),
        seen(b"x", b'{"tenant": "acme"}'),
        seen(None, None),
        seen(b"\xff", None),
    ):
        apply(record, memory)
    memory.done(8)
    assert memory.search("tea", "acme/ada", 5) == [("acme/ada/1", "green tea")]
    assert caplog.text.count("offset 7 of the memories can't be read") == 2

    apply(seen(b"acme/ada/1", None), memory)
    memory.done(9)
    assert memory.search("tea", "acme/ada", 5) == []
