"""Reads contexts by reference off the event loop: a few at a time, within a bound on the bytes held."""

import asyncio
import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import BinaryIO

from connectors.references.address import Address, allowed, root_address
from connectors.references.files import open_file
from connectors.references.reading import check_size, text_of
from connectors.references.stores import check_installed, open_object
from schemas.references import ContextRef, ReferencePolicy

READERS = 8
"""Most threads that read at a time. One that a dead file system keeps is lost, and the others go on."""


class Hold:
    """A share of the bytes that contexts may take; given back when it is dropped."""

    __slots__ = ("_give_back", "size")

    def __init__(self, size: int, give_back: Callable[[int], None]) -> None:
        self.size = size
        self._give_back = give_back

    def keep(self, size: int) -> None:
        """Give back all but `size`."""
        if size < self.size:
            self._give_back(self.size - size)
            self.size = size

    def __del__(self) -> None:
        self._give_back(self.size)


class Budget:
    """Bytes that may be held, handed out in the order of asking; asked on a loop, returned on any thread."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._lock = threading.Lock()
        self._asking: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> Hold:
        """Wait until there is so much, then hold it."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._asking.append((size, asked))
        self._serve()
        try:
            await asked
        except asyncio.CancelledError:
            self._leave(size, asked)
            raise
        return Hold(size, self._return)

    def _leave(self, size: int, asked: "asyncio.Future[None]") -> None:
        with self._lock:
            with contextlib.suppress(ValueError):
                self._asking.remove((size, asked))
                size = 0  # it had not been served
            self._free += size
        self._serve()

    def _return(self, size: int) -> None:
        with self._lock:
            self._free += size
        self._serve()

    def _serve(self) -> None:
        with self._lock:
            while self._asking and self._asking[0][0] <= self._free:
                size, asked = self._asking.popleft()
                self._free -= size
                loop = asked.get_loop()
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_granted, asked)


def _granted(asked: "asyncio.Future[None]") -> None:
    if not asked.done():
        asked.set_result(None)


class References:
    """What the roots allow to be read."""

    def __init__(self, policy: ReferencePolicy) -> None:
        """Take the policy; nothing is opened.

        Raises:
            ValueError: When a root can't be one, or a package is missing; the text names the root.
        """
        self._policy = policy
        self._roots = tuple(_root(root) for root in policy.roots)
        self._budget = Budget(policy.held_bytes)
        self._slots = asyncio.Semaphore(READERS)

    async def read(self, ref: ContextRef, tenant: str) -> tuple[str, object]:
        """The text that a reference names, and what to keep for as long as the text is kept.

        Cancelled, it stops reading at the next piece.

        Raises:
            ReferenceProblem: One of its leaves.
        """
        address, root = allowed(ref.url, self._roots, tenant)
        size = ref.size_bytes
        if size is not None:
            check_size(size, ref, self._policy.max_bytes)
        unpacked = ref.encoding != "text"
        hold = await self._budget.take(self._policy.max_bytes if size is None or unpacked else size)
        await self._slots.acquire()
        text = await _in_thread(lambda wanted: self._read(address, root, ref, wanted), self._slots.release)
        hold.keep(sys.getsizeof(text))
        return text, hold

    def _read(self, address: Address, root: Address, ref: ContextRef, wanted: Callable[[], bool]) -> str:
        with _opened(address, root) as (handle, size):
            return text_of(handle, size, ref, self._policy.max_bytes, wanted)


@contextlib.contextmanager
def _opened(address: Address, root: Address) -> Generator[tuple[BinaryIO, int | None]]:
    if address.protocol == "file":
        handle, size = open_file(address.path, root.path)
    else:
        handle, size = open_object(address.protocol, address.path)
    with handle:
        yield handle, size


def _root(root: str) -> Address:
    try:
        address = root_address(root)
        if address.protocol != "file":
            check_installed(address.protocol)
    except ValueError as error:
        raise ValueError(f"{root}: {error}") from None
    return address


async def _in_thread(work: Callable[[Callable[[], bool]], str], freed: Callable[[], None]) -> str:
    """Run blocking work on a thread of its own, which the process doesn't wait for at its end.

    `freed` is called on the loop when the thread has ended, however late that is.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()

    def finish(text: str | None, error: BaseException | None) -> None:
        freed()
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        elif text is not None:
            result.set_result(text)

    def run() -> None:
        text: str | None = None
        failed: BaseException | None = None
        try:
            text = work(lambda: not result.done())
        except BaseException as error:  # noqa: BLE001  it goes on where the text is awaited
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(finish, text, failed)

    threading.Thread(target=run, name="weir-reference", daemon=True).start()
    return await result
