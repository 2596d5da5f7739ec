"""What the SDKs on httpx share (anthropic on httpx2, ollama on httpx): gate, reply, errors.

The codec makes the body and reads the answer; the SDK's client moves the bytes with its own authentication.
Where an SDK differs from our own connections: a closed gate costs the connection that stood ready, and an
SDK's pool doesn't say how it is filled, so its connections are counted by the calls under way.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from socket import gaierror
from typing import Any, Protocol

from connectors.providers.body import END_S
from connectors.providers.pool import Way, proxy_for, tls_of
from connectors.providers.transport import MAX_ERROR_BYTES, Connections
from connectors.providers.wire import Gate
from schemas.calls import HttpRequest, Malformed, Missing, ProviderError, Route, Timeouts, Unavailable

SENDING: ContextVar[tuple[Gate, Timeouts]] = ContextVar("sending")
"""Gate and timeouts of the call that runs in this context."""
CANT_SEND = "the address or a header can't be sent: check api_base and api_key"
_CANT_SEND = frozenset({"InvalidURL", "UnsupportedProtocol", "LocalProtocolError", "UnicodeEncodeError"})
_MAX_CAUSES = 32


class HttpxResponse(Protocol):
    """A response of httpx or httpx2 whose body was not read."""

    @property
    def status_code(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether its connection is back in the pool, or closed."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, decoded."""
        ...

    async def aclose(self) -> None:
        """Done with it."""
        ...


class HttpxReply:
    """A reply that an SDK's client got."""

    def __init__(
        self,
        response: HttpxResponse,
        timeouts: Timeouts,
        limit_bytes: int,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._response = response
        self._errors = errors
        self._timeouts = timeouts
        self._limit_bytes = limit_bytes if 200 <= response.status_code < 300 else MAX_ERROR_BYTES
        self._size_bytes = 0
        self._parts = response.aiter_bytes()

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
        wait_s = self._timeouts.first_byte_s if first else self._timeouts.between_bytes_s
        limit = asyncio.timeout(wait_s)
        try:
            async with limit:
                data = await anext(self._parts, b"")
        except TimeoutError as error:
            slow = (
                f"no first byte within {wait_s:g} s" if first else f"the answer stood still for {wait_s:g} s"
            )
            raise Unavailable(slow, status=self.status) from error
        except self._errors as error:
            raise as_unavailable(error, status=self.status) from error
        self._size_bytes += len(data)
        if self._size_bytes > self._limit_bytes:
            raise self._too_large(data)
        return data

    async def end(self) -> None:
        """Let the end of a finished stream arrive."""
        try:
            async with asyncio.timeout(END_S):
                while await anext(self._parts, b""):
                    pass
        except (TimeoutError, *self._errors):
            await self.close()

    async def close(self) -> None:
        """Done with it: what was not read to its end is closed."""
        if not self._response.is_closed:
            await self._response.aclose()

    def _too_large(self, data: bytes) -> Malformed:
        return Malformed(
            f"the answer is larger than {self._limit_bytes} bytes", status=self.status, body=data
        )


class Counted:
    """The calls under way, which stand for an SDK's connections."""

    def __init__(self) -> None:
        self._under_way = 0

    def connections(self) -> Connections:
        """The calls under way, as open connections."""
        return Connections(open=self._under_way)

    async def warm(self, route: Route, request: HttpRequest) -> None:
        """Nothing: no SDK opens a connection without a request."""

    def begin(self) -> None:
        """A call begins to use a connection."""
        self._under_way += 1

    def over(self) -> None:
        """Its reply is closed."""
        self._under_way -= 1


class CountedReply(HttpxReply):
    """A reply whose end is counted."""

    def __init__(
        self,
        response: HttpxResponse,
        timeouts: Timeouts,
        limit_bytes: int,
        counted: Counted,
        errors: tuple[type[Exception], ...],
    ) -> None:
        super().__init__(response, timeouts, limit_bytes, errors)
        self._counted: Counted | None = counted

    async def close(self) -> None:
        """Done with it."""
        counted, self._counted = self._counted, None
        if counted is not None:
            counted.over()
        await super().close()


class GateBrokeError(Exception):
    """The gate itself failed; it stands between the gate and an SDK that wraps whatever it sees."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        """What it raised; as a cause it would be lost on the way."""


def _ask(gate: Gate) -> None:
    try:
        allowed = gate()
    except Exception as error:
        raise GateBrokeError(error) from error
    if not allowed:
        raise Unavailable("not allowed to call now")


def check_address(url: str) -> None:
    """An address without a scheme is none; the libraries would put their own before it.

    Raises:
        Missing: When it is none.
    """
    if not url.startswith(("http://", "https://")):
        raise Missing(CANT_SEND)


async def ask_gate(request: Any) -> None:
    """A hook of a client: has the gate asked when the connection stands, right before the first byte."""
    gate, _ = SENDING.get()
    extensions: dict[str, Any] = request.extensions
    sent = False

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        nonlocal sent
        if event.endswith("send_request_headers.started"):
            sent = info["request"].method != b"CONNECT"
            _ask(gate)
        elif sent and event.endswith("receive_response_headers.complete"):
            extensions["timeout"]["read"] = None  # `next` keeps the time from here on

    extensions["trace"] = trace


def client_settings(way: Way, url: str) -> dict[str, Any]:
    """What both libraries' clients are made with, but for their limits."""
    return {
        "verify": tls_of(way),
        "proxy": None if way.proxy is None else proxy_for(way, url),
        "trust_env": False,
        "follow_redirects": False,
        "headers": {"accept-encoding": "identity"},
    }


def phases(timeouts: Timeouts) -> dict[str, float | None]:
    """The library's own timeouts, until the head of a reply is there."""
    return {
        "connect": timeouts.connect_s,
        "read": timeouts.first_byte_s,
        "write": timeouts.first_byte_s,
        "pool": None,
    }


def as_failure(error: Exception, timeouts: Timeouts) -> Exception:
    """What a request that got no reply failed of; what a broken gate raised comes as it was."""
    for found in _causes(error):
        if isinstance(found, GateBrokeError):
            return found.error
        name = type(found).__name__
        if isinstance(found, ProviderError):
            return found
        if name in _CANT_SEND:
            return Missing(CANT_SEND)
        if name == "ConnectTimeout":
            return Unavailable(f"connect timed out after {timeouts.connect_s:g} s")
        if name in ("ReadTimeout", "WriteTimeout"):
            return Unavailable(f"no first byte within {timeouts.first_byte_s:g} s")
    return as_unavailable(error)


def as_unavailable(error: Exception, status: int | None = None) -> ProviderError:
    """The same, of a request or of a reply: in one line without addresses."""
    causes = list(_causes(error))
    names = [type(found).__name__ for found in causes]
    system = next((found for found in causes if isinstance(found, OSError) and found.errno), None)
    what = "the connection failed" if "ConnectError" in names else "the connection was lost"
    if any(isinstance(found, gaierror) for found in causes):
        reason = "the server's name is not known"
    elif any(isinstance(found, ssl.SSLCertVerificationError) for found in causes):
        reason = "the server's certificate is not one that we trust"
    elif any(isinstance(found, ssl.SSLError) for found in causes):
        reason = f"{what}: TLS"
    elif "ProxyError" in names:
        reason = "the proxy refused to connect us"
    elif "RemoteProtocolError" in names:
        cut = "the answer was cut"
        closed = any("without sending" in str(found) for found in causes)
        before = "the server closed the connection before its answer" if closed else "the answer is not HTTP"
        reason = before if status is None else cut
    elif system is not None:
        reason = f"{what}: {os.strerror(system.errno or 0)}"
    else:
        reason = f"{what}: {names[0]}"
    return Unavailable(reason, status=status)


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what it came of, nearest first."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < _MAX_CAUSES:
        one = waiting.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        waiting.append(one.__cause__ or one.__context__)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return found
