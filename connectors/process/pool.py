"""A pool of child processes that work on one piece at a time: what burns a core doesn't burn ours.

Children are spawned, never forked: a command with a socket as its stdin, on which a piece of work and its
result travel as bytes behind their length. They are started when they are first needed and die with us. One
that dies is replaced, and its piece is tried once more; a piece that kills two is given up. One that takes
too long, or whose piece nobody wants any more, is ended.
"""

import asyncio
import logging
import os
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.process.errors import PoolFailed
from connectors.process.spawn import spawn

_log = logging.getLogger(__name__)

LENGTH = struct.Struct(">Q")
"""What stands before each piece."""
TRIES = 2
"""Processes that a piece may cost."""


@dataclass(slots=True)
class _Child:
    """One process, and our end of its socket."""

    popen: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, piece: bytes) -> bytes:
        """Hand over a piece and wait for its result.

        Raises:
            OSError, EOFError: When the process ends meanwhile.
        """
        self.writer.write(LENGTH.pack(len(piece)))
        self.writer.write(piece)
        await self.writer.drain()
        (size,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
        return await self.reader.readexactly(size)

    def end(self) -> None:
        """Kill it; returns at once."""
        self.writer.close()
        self.popen.kill()


class Pool:
    """Lives on one event loop. At most `size` pieces are under way; others wait for their turn."""

    def __init__(
        self, command: Sequence[str], size: int, timeout_s: float, env: Mapping[str, str] | None = None
    ) -> None:
        """Start nothing yet.

        Args:
            command: What a child runs.
            size: Most children.
            timeout_s: Longest time for one piece, a child's start included.
            env: Variables added to ours.
        """
        self._command, self._timeout_s = tuple(command), timeout_s
        self._env = None if env is None else {**os.environ, **env}
        self._turns = asyncio.Semaphore(size)
        self._idle: list[_Child] = []
        self._all: set[int] = set()
        self.crashes = 0
        """Children that died at work."""

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the children."""
        return frozenset(self._all)

    async def run(self, piece: bytes) -> bytes:
        """The result of a piece.

        Raises:
            PoolFailed: When two processes died of it, or it took too long.
        """
        async with self._turns:
            for _ in range(TRIES):
                try:
                    async with asyncio.timeout(self._timeout_s):
                        return await self._once(piece)
                except TimeoutError:
                    raise PoolFailed(f"not done within {self._timeout_s:g} s") from None
                except (OSError, EOFError) as error:
                    self.crashes += 1
                    _log.warning("a process of the pool died at work: %r", error)
        raise PoolFailed(f"{TRIES} processes died of it", hint="the log has their last words")

    async def _once(self, piece: bytes) -> bytes:
        child = self._idle.pop() if self._idle else await self._start()
        try:
            result = await child.ask(piece)
        except BaseException:
            await self._bury(child)
            raise
        self._idle.append(child)
        return result

    async def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        with theirs:
            popen = await loop.run_in_executor(
                None, lambda: spawn(self._command, env=self._env, stdin=theirs.fileno())
            )
        self._all.add(popen.pid)
        ours.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return _Child(popen, reader, writer)

    async def _bury(self, child: _Child) -> None:
        child.end()
        self._all.discard(child.popen.pid)
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, child.popen.wait))

    async def close(self) -> None:
        """End all children that are idle; those at work end with their sockets."""
        idle, self._idle = self._idle, []
        for child in idle:
            await self._bury(child)
