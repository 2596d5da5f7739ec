"""A gateway's application on a real server and a real socket, and clients that speak bytes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from connectors.gateway.doors.wire import GuardedProtocol


@dataclass(frozen=True, slots=True)
class Address:
    """Where it listens."""

    port: int
    """On loopback."""

    async def say(self, *pieces: bytes, pause_s: float = 0.0, timeout_s: float = 10.0) -> bytes:
        """Send pieces with pauses between them; all that comes back until the end, or the time is over."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        found = bytearray()
        reading = asyncio.create_task(_read(reader, found))
        with contextlib.suppress(ConnectionError):  # the server has closed: what it said was read
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
        await asyncio.wait([reading], timeout=timeout_s)
        reading.cancel()
        writer.close()
        return bytes(found)


async def _read(reader: asyncio.StreamReader, found: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(65536):
            found += more


@contextlib.asynccontextmanager
async def served(app: ASGIApp, http: type[GuardedProtocol] = GuardedProtocol) -> AsyncGenerator[Address]:
    """Serve an application on loopback, as `connectors.gateway.server` does."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=http, lifespan="off", access_log=False, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # pyright: ignore[reportAttributeAccessIssue]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield Address(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        listener.close()


def status_of(answer: bytes) -> int:
    """Status of an answer's first line; 0 where there is none."""
    parts = answer.split(b" ", 2)
    return int(parts[1]) if answer.startswith(b"HTTP/1.1 ") and len(parts) > 1 else 0


def answers(data: bytes) -> list[int]:
    """Statuses of all answers on a connection."""
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
