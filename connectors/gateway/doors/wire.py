"""uvicorn's HTTP protocol with bounds that hold before a request is whole: how large and how slow its head.

uvicorn reads headers without end and waits for them without end; what comes after them, `hardening` watches.
Given to uvicorn as `http=GuardedProtocol`. httptools refuses a request with both a content-length and a
transfer-encoding, and lengths that disagree: what smuggling is made of.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 15.0
"""Longest time for a request's head, from its first byte; and for a new connection's first byte."""
MAX_HEAD_BYTES = 64 * 1024
"""Largest head, with the bytes of its last read."""
LINGER_S = 1.0
"""How long a client that is still sending may go on, unread, after it was refused."""
_ANSWERS = {
    408: b"HTTP/1.1 408 Request Timeout\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
}
_REST = b"content-length: 0\r\nconnection: close\r\n\r\n"


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    head_s = HEAD_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head, self._over = True, False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  as in uvicorn
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came: count them while they are a head's."""
        if self._over:
            return
        if self._in_head:
            if self._patience is None:
                self._wait()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._end(431)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head, self._head_bytes = False, 0
        self._calm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole; what comes next is a head."""
        self._in_head = True
        super().on_message_complete()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(self.head_s, self._end, 408)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _end(self, status: int) -> None:
        """Close the connection; say why, unless an earlier request is being answered on it."""
        self._calm()
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            self.transport.close()
            return
        self._over = True
        self.transport.write(_ANSWERS[status] + _REST)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        # a socket that is closed with bytes unread takes the answer back: throw them away for a moment
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
