"""An HTTP proxy on the loopback: tunnels what comes by CONNECT, answers what comes with a whole address."""

import asyncio
from contextlib import suppress

from tests.support.fixtures import wire


class Proxy:
    """`async with Proxy() as proxy`; with `refuses` it answers that status, `silent` nothing at all."""

    def __init__(self, *, refuses: int | None = None, silent: bool = False) -> None:
        self.heads: list[str] = []
        self._refuses, self._silent = refuses, silent
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._open):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            if self._silent:
                await asyncio.sleep(30)
            elif self._refuses:
                writer.write(f"HTTP/1.1 {self._refuses} No\r\ncontent-length: 0\r\n\r\n".encode())
            elif head.startswith("CONNECT "):
                await self._tunnel(head.split(" ")[1], reader, writer)
            else:
                body = wire("openai_text.reply.json")
                kind = "content-type: application/json"
                writer.write(
                    f"HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
                )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._open.discard(task)
            writer.close()

    async def _tunnel(self, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = where.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
