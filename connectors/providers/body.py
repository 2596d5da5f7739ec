"""The bytes of one reply as they come: counted, timed, and with every failure in one line.

The time between bytes has one timer a reply, which looks when it is due whether the reader still waits;
aiohttp makes a new one for every read, a fifth of what a streamed piece costs. To read a piece and to wake
its reader costs most of the rest, so what comes within 20 ms of a look stays in the kernel and comes as one:
so it would leave the worker anyway.

Takes `_low_water` of aiohttp's reader and `_reading_paused` of its protocol: left alone, each read asks a
transport to go on that was never stopped.
"""

import asyncio
import os
from collections.abc import Mapping

import aiohttp
from aiohttp.client_proto import ResponseHandler

from schemas.calls import Malformed, Timeouts, Unavailable

GATHER_S = 0.02
"""How long bytes of a stream may wait for others, from the last look on."""
GATHER_BYTES = 16 * 1024
"""After a look that found so much, the next one doesn't wait."""
BEAT_S = 0.005
"""Looks at streams fall on its multiples, so that one turn of the loop looks at many."""
END_S = 0.05
"""How long a stream that said it is over may take to end, for its connection to be used again."""

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the server's name is not known"),
    (aiohttp.ClientConnectorCertificateError, "the server's certificate is not one that we trust"),
    (aiohttp.ClientSSLError, "the connection failed: TLS"),
    (aiohttp.ClientHttpProxyError, "the proxy refused to connect us"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection before its answer"),
    (aiohttp.ClientPayloadError, "the answer was cut"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
)


class Body:
    """A reply's bytes. Reading is all that moves them: who doesn't read makes the server wait."""

    __slots__ = (
        "_first",
        "_held",
        "_limit_bytes",
        "_look_s",
        "_loop",
        "_protocol",
        "_read",
        "_size_bytes",
        "_timeouts",
        "_timer",
        "_waiting_s",
        "response",
    )

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts, limit_bytes: int) -> None:
        self.response = response
        self._read = response.content.readany
        self._timeouts = timeouts
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._first = True
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting_s: float | None = None
        self._look_s = 0.0
        self._held: tuple[asyncio.Transport, asyncio.TimerHandle] | None = None
        self._protocol: ResponseHandler | None = None
        connection = response.connection
        if connection is not None and connection.protocol is not None:
            # The timer of the first byte runs on until something comes; then aiohttp sets no other.
            self._protocol = connection.protocol
            self._protocol.read_timeout = None
            response.content._low_water = 0  # pyright: ignore[reportPrivateUsage] (see above)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""
        return self.response.headers

    async def next(self, gather: bool = False) -> bytes:
        """The bytes that came since; none at the end. With `gather` at most every 20 ms.

        Raises:
            Unavailable: When they come too slowly, or the connection is lost.
            Malformed: When the answer is too large.
        """
        if self._first and (self.response.content_length or 0) > self._limit_bytes:
            raise self._too_large(b"")
        if self._timer is None and not self._first and not self.response.content.at_eof():
            self._timer = self._loop.call_later(self._timeouts.between_bytes_s, self._look)
        now_s = self._waiting_s = self._loop.time()
        if gather and now_s < self._look_s:
            self._hold()
        try:
            data = await self._read()
        except aiohttp.ServerTimeoutError as error:
            raise Unavailable(self._too_slow(), status=self.response.status) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(why(error), status=self.response.status) from error
        self._waiting_s = None
        self._first = False
        stopped = self._protocol
        if stopped is not None and stopped._reading_paused:  # pyright: ignore[reportPrivateUsage] (see above)
            stopped.resume_reading()
        if gather and len(data) < GATHER_BYTES:
            self._look_s = self._loop.time() // BEAT_S * BEAT_S + GATHER_S
        self._size_bytes += len(data)
        if self._size_bytes > self._limit_bytes:
            raise self._too_large(data)
        return data

    async def end(self) -> None:
        """Let the end of a finished stream arrive, so that its connection can be used again."""
        self._go_on()
        if self.response.content.at_eof():
            return
        try:
            async with asyncio.timeout(END_S):
                while await self.response.content.readany():
                    pass
        except (aiohttp.ClientError, OSError):
            self.response.close()

    async def close(self) -> None:
        """Done with it; after the last byte the connection is back in the pool already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._go_on()
        self.response.close()

    def _hold(self) -> None:
        """Leave what comes to the kernel for a while: it is read at once afterwards."""
        connection = self.response.connection
        transport = None if connection is None else connection.transport
        if self._held is None and transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._held = (transport, self._loop.call_at(self._look_s, self._go_on))

    def _go_on(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            transport, timer = held
            timer.cancel()
            if not transport.is_closing():
                transport.resume_reading()

    def _look(self) -> None:
        """The timer is due: end the read that waits for too long, or look again when it would."""
        between_s = self._timeouts.between_bytes_s
        waited_s = 0.0 if self._waiting_s is None else self._loop.time() - self._waiting_s
        if waited_s >= between_s:
            self._timer = None
            self.response.content.set_exception(aiohttp.SocketTimeoutError("too long between two bytes"))
        else:
            self._timer = self._loop.call_later(between_s - waited_s, self._look)

    def _too_slow(self) -> str:
        if self._first:
            return f"no first byte within {self._timeouts.first_byte_s:g} s"
        return f"the answer stood still for {self._timeouts.between_bytes_s:g} s"

    def _too_large(self, data: bytes) -> Malformed:
        reason = f"the answer is larger than {self._limit_bytes} bytes"
        return Malformed(reason, status=self.response.status, body=data)


def why(error: Exception) -> str:
    """What went wrong on the network, in one line without addresses."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, aiohttp.ClientConnectorError):
        whose = " to the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
        return f"the connection{whose} failed: {os.strerror(number) if number else 'no address answered'}"
    return f"the connection was lost: {os.strerror(number) if number else type(error).__name__}"
