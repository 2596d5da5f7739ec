"""What a session of `requests` needs to be a transport: the gate, a reply that is read on threads, its end.

A thread that waits on a socket is not interrupted; the socket is shut down, and the thread finds that out.
"""

import asyncio
import http.client
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError

from connectors.providers.body import END_S
from connectors.providers.sdk_httpx import as_unavailable
from connectors.providers.transport import MAX_ERROR_BYTES
from connectors.providers.wire import Gate
from schemas.calls import Malformed, Timeouts, Unavailable

READ_BYTES = 65_536
"""Most bytes of one read."""
_ERRORS = (HTTPError, requests.RequestException, http.client.HTTPException, OSError, ValueError)


class Sending:
    """A call while it is under way: its gate, and the socket once it is known. From any thread."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._socket: socket.socket | None = None
        self._stopped = False

    def connected(self, found: socket.socket | None) -> None:
        """The connection stands, and nothing of the call was sent.

        Raises:
            Unavailable: When the gate says no, or nobody waits for the answer any more.
        """
        self._socket = found
        if self._stopped or not self._gate():
            raise Unavailable("not allowed to call now")

    def pace(self, wait_s: float) -> None:
        """How long a read may take from now on."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.settimeout(wait_s)

    def stop(self) -> None:
        """Nobody waits for the answer any more: whoever reads finds the end."""
        self._stopped = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


SENDING: ContextVar[Sending] = ContextVar("sending")
"""The call that a thread is sending."""


class _GatedConnection(HTTPConnection):
    def request(self, *given: Any, **named: Any) -> None:
        _connect(self)
        super().request(*given, **named)


class _GatedTlsConnection(HTTPSConnection):
    def request(self, *given: Any, **named: Any) -> None:
        _connect(self)
        super().request(*given, **named)


def _connect(connection: HTTPConnection) -> None:
    if connection.sock is None:
        connection.connect()
    SENDING.get().connected(connection.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _GatedConnection  # pyright: ignore[reportAssignmentType] (its own default is no better)


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GatedTlsConnection  # pyright: ignore[reportAssignmentType]


class GatedAdapter(HTTPAdapter):
    """A pool whose connections ask the gate when they stand."""

    def __init__(self, pool_maxsize: int) -> None:
        super().__init__(pool_maxsize=pool_maxsize, max_retries=0, pool_block=False)

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        """The pools of direct connections."""
        super().init_poolmanager(*given, **named)
        manager: Any = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """The pools of connections through a proxy."""
        manager: Any = super().proxy_manager_for(proxy, **named)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


InThread = Callable[..., Awaitable[Any]]
"""Runs blocking work on a thread."""


class RequestsReply:
    """A reply that a session got; its bytes are read on threads."""

    def __init__(
        self,
        response: requests.Response,
        sending: Sending,
        timeouts: Timeouts,
        limit_bytes: int,
        in_thread: InThread,
        over: Callable[[], None],
    ) -> None:
        self._response, self._sending, self._timeouts = response, sending, timeouts
        self._limit_bytes = limit_bytes if 200 <= response.status_code < 300 else MAX_ERROR_BYTES
        self._in_thread = in_thread
        self._over: Callable[[], None] | None = over
        self._size_bytes = 0
        self._ended = False
        self._parts = _parts(response.raw)
        sending.pace(timeouts.first_byte_s)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""
        return self._response.headers

    async def next(self, gather: bool = False) -> bytes:
        """The bytes that came since; none at the end. Nothing is gathered.

        Raises:
            Unavailable: When they come too slowly, or the connection is lost.
            Malformed: When the answer is too large.
        """
        first = not self._size_bytes
        announced = self.headers.get("content-length", "")
        if first and announced.isdecimal() and int(announced) > self._limit_bytes:
            raise self._too_large(b"")
        try:
            data: bytes = await self._in_thread(next, self._parts, b"")
        except (ReadTimeoutError, TimeoutError) as error:
            wait_s = self._timeouts.first_byte_s if first else self._timeouts.between_bytes_s
            slow = "no first byte within" if first else "the answer stood still for"
            raise Unavailable(f"{slow} {wait_s:g} s", status=self.status) from error
        except _ERRORS as error:
            raise Unavailable(why_not(error, cut=True), status=self.status) from error
        self._ended = not data
        self._size_bytes += len(data)
        if self._size_bytes > self._limit_bytes:
            raise self._too_large(data)
        if first:
            self._sending.pace(self._timeouts.between_bytes_s)
        return data

    async def end(self) -> None:
        """Let the end of a finished stream arrive."""
        try:
            async with asyncio.timeout(END_S):
                while await self.next():
                    pass
        except (TimeoutError, Unavailable, Malformed):
            await self.close()

    async def close(self) -> None:
        """Done with it: what was not read to its end is closed."""
        over, self._over = self._over, None
        if over is None:
            return
        over()
        if not self._ended:
            self._sending.stop()
            await asyncio.shield(self._in_thread(self._response.close))

    def _too_large(self, data: bytes) -> Malformed:
        reason = f"the answer is larger than {self._limit_bytes} bytes"
        return Malformed(reason, status=self.status, body=data)


def _parts(raw: Any) -> Iterator[bytes]:
    """The body as it comes, in parts of bounded size."""
    if raw.chunked and raw.supports_chunked_reads():
        yield from raw.read_chunked(READ_BYTES, decode_content=True)
        return
    while data := raw.read1(READ_BYTES, decode_content=True):
        yield data


def why_not(error: Exception, *, cut: bool = False) -> str:
    """What went wrong on the network, in one line without addresses."""
    shown = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused to connect us"
    if cut and ("Incomplete" in shown or "InvalidChunk" in shown or "Connection broken" in shown):
        return "the answer was cut"
    if "RemoteDisconnected" in shown or "closed connection without" in shown:
        return "the server closed the connection before its answer"
    if "BadStatusLine" in shown:
        return "the answer is not HTTP"
    reason = as_unavailable(error).reason
    if "NewConnectionError" in shown or "Failed to establish" in shown:
        return reason.replace("the connection was lost", "the connection failed")
    return reason
