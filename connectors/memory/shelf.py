"""A worker's memory: opened when the first request wants it, searched on a thread, never waited for long."""

import asyncio
import contextlib
import fcntl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from connectors.memory.follower import Follower
from connectors.memory.local import LocalMemory
from connectors.memory.ports import Memory
from schemas.cluster import Cluster
from schemas.memories import MemoryPolicy, MemoryProblem, scope_of

SEARCHERS = 2
MAX_WAITING = 64
"""Most searches that wait; one more is refused at once."""
FOLDERS = 256
"""Most workers that share a folder of indexes."""


class Shelf:
    """What is remembered, for the requests of a worker. All but `search` may run on any thread."""

    def __init__(self, cluster: Cluster, policy: MemoryPolicy) -> None:
        """Nothing is opened yet."""
        self._policy = policy
        self._memory: Memory | None = None
        self._opening: asyncio.Future[None] | None = None
        self._own: tuple[Path, BinaryIO] | None = None
        self._opened: LocalMemory | None = None
        self._waiting = 0
        self._pool = ThreadPoolExecutor(SEARCHERS, thread_name_prefix="weir-recall")
        self._follower = Follower(cluster, self._open, self._ready)
        self._told: Callable[[], None] = lambda: None

    async def search(self, query: str, tenant: str, user: str) -> list[str]:
        """Texts that may help, best first. Runs on the call loop.

        Raises:
            MemoryProblem: When the memory does not work, or not in time.
        """
        try:
            memory = self._memory or await self._first()
            if self._waiting >= MAX_WAITING:
                raise MemoryProblem("too many searches at once")
            self._waiting += 1
            try:
                async with asyncio.timeout(self._policy.search.total_seconds()):
                    found = await asyncio.get_running_loop().run_in_executor(
                        self._pool, memory.search, query, scope_of(tenant, user), self._policy.recalled
                    )
            finally:
                self._waiting -= 1
        except TimeoutError:
            raise MemoryProblem("the memory gave no answer in time") from None
        return [text for _, text in found]

    async def _first(self) -> Memory:
        """Wait for the memory to be opened; the first who comes here begins it."""
        loop = asyncio.get_running_loop()
        if self._opening is None:
            opening: asyncio.Future[None] = loop.create_future()
            self._opening = opening

            def told() -> None:
                if not opening.done():
                    opening.set_result(None)

            def tell() -> None:
                with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                    loop.call_soon_threadsafe(told)

            self._told = tell
            if self._policy.store == "mem0":
                self._pool.submit(self._join_mem0)
            else:
                self._follower.start()
        opened = self._opening
        async with asyncio.timeout(self._policy.opening.total_seconds()):
            await asyncio.shield(opened)
        if self._memory is None:
            raise MemoryProblem("the memory does not work now")
        return self._memory

    def _ready(self, memory: Memory | None) -> None:
        self._memory = memory
        self._told()

    def _join_mem0(self) -> None:
        """The server is fed by another process (see `feed`); after a failure the next search tries again."""
        from connectors.memory.mem0 import Mem0Memory

        try:
            self._ready(Mem0Memory(self._policy, self._policy.search.total_seconds()))
        except MemoryProblem:
            self._opening = None
            self._ready(None)

    def _open(self) -> Memory:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        folder, _ = self._own = self._own or _own_folder(Path(self._policy.folder))
        self._opened = LocalMemory(folder, self._policy.max_entries)
        return self._opened

    def close(self) -> None:
        """End the thread, and leave the folder to another."""
        self._follower.stop()
        if self._own is not None:
            self._own[1].close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _own_folder(parent: Path) -> tuple[Path, BinaryIO]:
    """The first folder in it that no other process has; held for as long as the file is open.

    Raises:
        MemoryProblem: When there is none, or it can't be written.
    """
    try:
        for number in range(FOLDERS):
            folder = parent / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            return folder, lock
    except OSError as error:
        raise MemoryProblem(f"{parent} can't be written: {error.strerror}") from error
    raise MemoryProblem(f"{parent}: {FOLDERS} workers have it already")
