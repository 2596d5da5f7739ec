"""The outermost layer of the gateway: bounds on every request, headers on every answer, one line for each.

Refused here are foreign methods (405), too many or too large headers (431), bodies that are too large (413),
too deep (400) or too slow (408), and what other sites' pages ask with a cookie of ours (403). A body's faults
are raised where the route reads it, so that each API says them in its own words; whatever no route caught is
said here. The line on `weir.gateway.access` has no query, no header, no body, and no secret of a key.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.gateway.dialects.errors import error_body, status_of
from connectors.gateway.doors.body import MAX_BODY_BYTES, Body, check_size, declared_bytes
from connectors.gateway.doors.keys import redact
from connectors.gateway.doors.sessions import forged
from connectors.gateway.doors.visits import Visit, visit
from connectors.gateway.ports import Caller, Problem

_log = logging.getLogger("weir.gateway.access")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLOSING = frozenset({408, 413, 431})
"""Statuses after which the connection is not used again: the rest of the request is not read."""
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_BINARY = ("multipart/", "application/octet-stream", "audio/", "image/")
"""Kinds of bodies that nobody reads as JSON."""
_UNLESS_SET = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may take."""

    headers: int = 100
    """Most headers."""
    header_bytes: int = 32 * 1024
    """Most bytes of them, names and values."""
    body_s: float = 30.0
    """Longest time from the first wait for the body to its end."""
    drain_s: float = 1.0
    """How long what comes of an unwanted body is thrown away before it is answered: else the client, still
    sending, might lose the answer."""
    origins: frozenset[str] = frozenset()
    """Origins besides our own whose pages may ask with a cookie: `https://host`."""


class Hardened:
    """An ASGI application around the gateway's."""

    def __init__(self, app: ASGIApp, leave: Callable[[Caller], None], bounds: Bounds | None = None) -> None:
        """`leave` is told when a caller that was admitted has had its answer."""
        self._app, self._leave, self._bounds = app, leave, bounds or Bounds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        client: tuple[str, int] | None = scope.get("client")
        here = Visit(client[0] if client else "")
        token = visit.set(here)
        try:
            if scope["type"] == "http":
                await _Pass(self._app, scope, self._bounds, here).serve(receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            visit.reset(token)
            if here.caller is not None:
                self._leave(here.caller)


class _Pass:
    """One request on its way."""

    def __init__(self, app: ASGIApp, scope: Scope, bounds: Bounds, here: Visit) -> None:
        self._app, self._scope, self._bounds, self._visit = app, scope, bounds, here
        self._headers = Headers(scope=scope)
        self._body = Body(json=not self._headers.get("content-type", "").startswith(_BINARY))
        self._due_s: float | None = None
        self._whole = False
        self._fault: Problem | None = None
        self._status = 0
        self._sent_bytes = 0

    async def serve(self, receive: Receive, send: Send) -> None:
        """Check, pass on, write the line."""
        started_s = time.monotonic()

        async def watched() -> Message:
            return await self._receive(receive)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start" and not self._body_read():
                await self._drain(receive)
            await self._send(message, send)

        try:
            self._check()
            await self._app(self._scope, watched, dressed)
        except Problem as problem:
            if self._status:
                raise
            await self._refuse(problem, dressed)
        finally:
            self._line(time.monotonic() - started_s)

    def _check(self) -> None:
        """What can be said before the body comes.

        Raises:
            Problem: 400, 403, 405, 413, 431.
        """
        method: str = self._scope["method"]
        if method not in METHODS:
            allow = {"allow": ", ".join(sorted(METHODS))}
            raise Problem(405, "method_not_allowed", "there is no such method here", headers=allow)
        raw = self._headers.raw
        if len(raw) > self._bounds.headers or sum(map(_length, raw)) > self._bounds.header_bytes:
            raise Problem(431, "too_large", "the headers are too many or too large")
        if len(self._headers.getlist("host")) > 1:
            raise Problem(400, "invalid_request", "there is more than one host header")
        if forged(method, self._headers, self._scope["scheme"], self._bounds.origins):
            raise Problem(403, "forbidden", "this page's origin is not allowed; a key in a header is")
        declared = declared_bytes(self._headers.get("content-length"))
        try:
            check_size(declared)
        except Problem as problem:
            self._fault = problem  # said where the route reads the body

    async def _receive(self, receive: Receive) -> Message:
        if self._fault is not None:
            raise self._fault
        if self._whole:
            return await receive()
        now_s = time.monotonic()
        self._due_s = self._due_s or now_s + self._bounds.body_s
        try:
            async with asyncio.timeout(self._due_s - now_s):
                message = await receive()
        except TimeoutError:
            self._fault = Problem(408, "timeout", "the body did not come in time")
            raise self._fault from None
        if message["type"] == "http.request":
            self._whole = not message.get("more_body", False)
            try:
                self._body.take(message.get("body", b""))
            except Problem as problem:
                self._fault = problem
                raise
        return message

    async def _send(self, message: Message, send: Send) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name, value in _ALWAYS.items():
                headers[name] = value
            for name, value in _UNLESS_SET.items():
                headers.setdefault(name, value)
            if self._scope["scheme"] == "https":
                headers["strict-transport-security"] = "max-age=31536000"
            if self._status in CLOSING or not self._body_read():
                headers["connection"] = "close"
        else:
            self._sent_bytes += len(message.get("body", b""))
        await send(message)

    async def _drain(self, receive: Receive) -> None:
        """Throw away what comes of the body for a moment; a client that asks first isn't told to send."""
        if self._status or "expect" in self._headers or (self._fault and self._fault.status == 408):
            return
        left_bytes = 2 * MAX_BODY_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.drain_s):
                while not self._whole and left_bytes > 0:
                    message = await receive()
                    left_bytes -= len(message.get("body", b""))
                    self._whole = not message.get("more_body", False)

    def _body_read(self) -> bool:
        """Whether nothing of the request is left on the connection."""
        none = "transfer-encoding" not in self._headers and self._headers.get("content-length", "0") == "0"
        return self._whole or none

    async def _refuse(self, problem: Problem, send: Send) -> None:
        path: str = self._scope["path"]
        style = "anthropic" if path.startswith("/v1/messages") else "openai"
        body = orjson.dumps(error_body(problem, style, ""))
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        status = status_of(problem, style)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _line(self, took_s: float) -> None:
        caller = self._visit.caller
        line: dict[str, Any] = {
            "method": self._scope["method"][:16],
            "path": redact(self._scope["path"][:200]),
            "status": self._status,
            "caller": caller.id if caller else "-",
            "address": self._visit.address,
            "received_bytes": self._body.size_bytes,
            "sent_bytes": self._sent_bytes,
            "took_ms": round(took_s * 1000, 1),
        }
        _log.info("%s", orjson.dumps(line).decode())


def _length(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1])
