"""`/ws`: carries the protocol's messages between a WebSocket, the exchange and the hub.

Each socket has four tasks: one reads (and stops reading while too much waits to be sent), one writes, one
looks at the feeds four times a second while something is watched, and one watches over the hello, the
caller's rights and the socket's age. Each answer under way has one more, which waits while the client is
slow.
"""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from connectors.gateway.parts import Parts
from connectors.gateway.ports import Answers, Caller, Problem
from connectors.gateway.socket import protocol as wire
from connectors.gateway.socket.entry import check_request
from connectors.gateway.socket.protocol import Limits
from connectors.gateway.socket.session import Act, Session
from connectors.gateway.socket.views import PRIVATE
from schemas.chunks import Chunk
from schemas.guard import misspelt, violation
from schemas.requests import Request

SERVER_OPTIONS: dict[str, Any] = {
    "ws_max_size": 2 * 1024 * 1024,
    "ws_max_queue": 4,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
}
"""What uvicorn is to be started with: by default it would hold 32 messages of 16 MiB for each socket."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times and bounds of the gateway's sockets."""

    limits: Limits = field(default_factory=Limits)
    """Bounds of each socket."""
    tick_s: float = 0.25
    """Between two looks at the feeds."""
    hello_s: float = 10.0
    """Longest wait for the client's hello."""
    send_s: float = 30.0
    """Longest time that one message may take to be sent."""
    recheck_s: float = 30.0
    """Between two checks that the caller's key or session still holds."""
    ticket_age_s: float = 3600.0
    """Longest life of a socket that was opened with a ticket, which can't be checked again."""
    grace_s: float = 30.0
    """How long an answer goes on when its socket is cut, so that it can be followed."""
    sockets: int = 1000
    """Most sockets of the gateway."""
    sockets_each: int = 20
    """Most sockets of one caller."""


class Socket:
    """One accepted WebSocket."""

    def __init__(
        self, websocket: WebSocket, caller: Caller, parts: Parts, pace: Pace, scope: str | None
    ) -> None:
        """`scope` is what the caller was let in with; `None` where a ticket was used up."""
        self._websocket = websocket
        self._caller = caller
        self._parts = parts
        self._pace = pace
        self._scope = scope
        private = PRIVATE if parts.hub is not None else frozenset(wire.TOPICS)
        self._session = Session(caller, pace.limits, time.monotonic(), private)
        self._sendable = asyncio.Event()
        self._roomy = asyncio.Event()
        self._watching = asyncio.Event()
        self._answers: dict[str, Answers] = {}
        self._unwanted: set[str] = set()
        self._following: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Serve it until one side ends it; answers under way are closed then."""
        jobs = (self._read(), self._write(), self._watch(), self._guard())
        tasks = {asyncio.ensure_future(job) for job in jobs}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks |= self._following
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        failures = [self._failure, *(task.exception() for task in done)]
        for error in failures:
            if error is not None and not isinstance(error, WebSocketDisconnect | TimeoutError | OSError):
                raise error

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                self._session.close(wire.BAD_PROTOCOL, "messages are text")
            else:
                act = self._session.receive(text, time.monotonic())
                if act is not None:
                    self._act(act)
                if self._session.watched:
                    self._watching.set()
            self._sendable.set()
            await self._room()

    async def _write(self) -> None:
        while True:
            await self._sendable.wait()
            self._sendable.clear()
            while (message := self._session.take()) is not None:
                async with asyncio.timeout(self._pace.send_s):
                    await self._websocket.send_text(message.decode())
                if self._session.room:
                    self._roomy.set()
            if self._session.closing is not None:
                await self._websocket.close(*self._session.closing)
                return

    async def _watch(self) -> None:
        hub = self._parts.hub
        while True:
            await self._watching.wait()
            watched = self._session.watched
            if hub is None or not watched:
                self._watching.clear()
                continue
            self._session.tick(hub.open(watched))
            self._sendable.set()
            await asyncio.sleep(self._pace.tick_s)

    async def _guard(self) -> None:
        began_s = time.monotonic()
        hello = asyncio.get_running_loop().call_later(self._pace.hello_s, self._expect_hello)
        try:
            await self._recheck(began_s)
        finally:
            hello.cancel()

    def _expect_hello(self) -> None:
        if not self._session.greeted:
            self._close(wire.COME_AGAIN, "no hello came")

    async def _recheck(self, began_s: float) -> None:
        while True:
            await asyncio.sleep(self._pace.recheck_s)
            if self._scope is None:
                if time.monotonic() - began_s > self._pace.ticket_age_s:
                    self._close(wire.COME_AGAIN, "open for too long with a ticket")
            elif not await self._still_may(self._scope):
                self._close(wire.BAD_KEY, "the key or session holds no more")

    async def _still_may(self, scope: str) -> bool:
        try:
            now = await self._parts.doors.admit(self._websocket.headers, scope)
        except Problem as problem:
            return problem.status >= 500
        return now == self._caller

    def _close(self, code: int, reason: str) -> None:
        self._session.close(code, reason)
        self._sendable.set()

    async def _room(self) -> None:
        """Wait until less waits to be sent."""
        while not self._session.room:
            self._roomy.clear()
            await self._roomy.wait()

    def _act(self, act: Act) -> None:
        if isinstance(act, wire.Cancel):
            self._unwanted.add(act.id)
            if act.id in self._answers:
                self._spawn(self._cancel(act.id, self._answers[act.id].request_id))
        else:
            self._spawn(self._follow(act))

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._following.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        """A bug in a job ends the socket, with its cause."""
        self._following.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._close(wire.BROKEN, "a fault of the gateway's own")

    async def _cancel(self, ref: str, request_id: str) -> None:
        try:
            await self._parts.exchange.cancel(request_id, self._caller.tenant)
        except Problem as problem:
            self._session.complain(ref, problem)
            self._sendable.set()

    async def _follow(self, act: wire.Submit | wire.Follow) -> None:
        """One answer, from the asking to its end."""
        try:
            answers = await self._begin(act)
        except Problem as problem:
            self._unwanted.discard(act.id)
            self._session.refused(act.id, problem)
            self._sendable.set()
            return
        self._answers[act.id] = answers
        try:
            self._session.accepted(act.id, answers.request_id, answers.token)
            self._sendable.set()
            if act.id in self._unwanted:
                await self._cancel(act.id, answers.request_id)
            await self._pump(act.id, answers)
        finally:
            del self._answers[act.id]
            self._unwanted.discard(act.id)
            await answers.close(cancel=True, grace_s=self._pace.grace_s)

    async def _pump(self, ref: str, answers: Answers) -> None:
        async for item in answers:
            if isinstance(item, Chunk):
                self._session.piece(ref, item)
            else:
                self._session.ended(ref, item)
            self._sendable.set()
            await self._room()

    async def _begin(self, act: wire.Submit | wire.Follow) -> Answers:
        if isinstance(act, wire.Follow):
            return await self._parts.streams.resume(act.token, self._caller)
        try:
            request = Request.model_validate(act.request)
        except ValidationError as error:
            where, message = violation(error)
            raise Problem(400, "invalid_request", message, param=where) from None
        slip = misspelt(request.model_extra or ())
        if slip is not None:
            raise Problem(400, "invalid_request", slip[1], param=slip[0])
        check_request(request, act.request, self._caller)
        self._parts.doors.charge(self._caller)
        return await self._parts.exchange.ask(request, self._caller)
