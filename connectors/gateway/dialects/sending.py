"""Sends answers over HTTP: waits for them, streams them, and notices when nobody reads any more.

Rules that hold here:
- The head of a stream waits up to 10 s for the first item, so that a failure has its status.
- `receive()` is watched: a client that went away stops its request.
- Silence is bridged: a heartbeat after 10 to 20 s, an event without content after 30 to 40.
- A write that takes longer than 30 s ends the stream.
- Whatever ends it, the answers are closed. A server that stops doesn't cancel what it was asked.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from connectors.gateway.dialects import sse
from connectors.gateway.dialects.dialect import Writer
from connectors.gateway.dialects.errors import problem_of, problem_of_loss
from connectors.gateway.dialects.headers import weir_headers
from connectors.gateway.dialects.streams import EventStream
from connectors.gateway.ports import Answers, Lost, Problem
from schemas.chunks import Chunk
from schemas.responses import Response

Item = Chunk | Response | Lost
Refuse = Callable[[Problem], HttpResponse]
"""Makes the reply of a problem, in the API's shape."""
NOTHING = Lost("the answer ended without an end")
"""Stands in where a stream of items just stops."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of a stream, in seconds."""

    first_s: float = 10.0
    """Longest wait for the first item before the head goes out."""
    beat_s: float = 10.0
    """Between two looks whether anything was sent."""
    event_s: float = 30.0
    """Longest silence without an event, but for one beat."""
    send_s: float = 30.0
    """Longest time that one write may take."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How an answer is sent, whole or as a stream."""

    answers: Answers
    """What comes back."""
    refuse: Refuse
    """Writes a problem."""
    headers: Mapping[str, str]
    """Ids and limits."""
    grace_s: float = 0.0
    """How long the request goes on when the client went away."""


class Following(HttpResponse, ABC):
    """What whole answers and streams have in common: they end when the client goes away."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply
        self._unwanted = self._ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; where the client goes away, tell the workers."""
        work = [asyncio.ensure_future(job) for job in self._jobs(scope, receive, send)]
        gone = asyncio.ensure_future(_gone(receive))
        try:
            done, _ = await asyncio.wait({*work, gone}, return_when=asyncio.FIRST_COMPLETED)
            self._unwanted = self._unwanted or (gone in done and not self._ended)
        finally:
            for task in (*work, gone):
                task.cancel()
            results = await asyncio.gather(*work, gone, return_exceptions=True)
            unwanted = self._unwanted or any(isinstance(result, TimeoutError) for result in results)
            await self._reply.answers.close(cancel=unwanted, grace_s=self._reply.grace_s)
        for result in results:
            # One that reads nothing is cut off by the server: its reply isn't complete.
            if isinstance(result, Exception) and not isinstance(result, TimeoutError):
                raise result

    @abstractmethod
    def _jobs(self, scope: Scope, receive: Receive, send: Send) -> "list[asyncio.Future[None]]":
        """What is sent, and what ends with it."""


class Whole(Following):
    """An answer in one body, sent when it is there."""

    def __init__(self, reply: Reply, write: Callable[[Response], bytes]) -> None:
        super().__init__(reply)
        self._write = write

    def _jobs(self, scope: Scope, receive: Receive, send: Send) -> "list[asyncio.Future[None]]":
        return [asyncio.ensure_future(self._answer(scope, receive, send))]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        last: Item = NOTHING
        async for item in self._reply.answers:
            last = item
        self._ended = True
        await self._made(last)(scope, receive, send)

    def _made(self, last: Item) -> HttpResponse:
        problem = problem_in(last if isinstance(last, Response | Lost) else NOTHING)
        if problem is not None or not isinstance(last, Response):
            return self._reply.refuse(problem or problem_of_loss(NOTHING))
        headers = {**self._reply.headers, **weir_headers(last)}
        return HttpResponse(self._write(last), headers=headers, media_type="application/json")


class Stream(Following):
    """An answer as server-sent events, each sent when it comes."""

    def __init__(self, reply: Reply, writer: Writer, pace: Pace) -> None:
        super().__init__(reply)
        self._writer, self._pace = writer, pace
        self._events = EventStream(writer)
        self._lock = asyncio.Lock()
        self._started = self._stuck = False
        self._event_s = self._sent_s = time.monotonic()

    def _jobs(self, scope: Scope, receive: Receive, send: Send) -> "list[asyncio.Future[None]]":
        pump = asyncio.ensure_future(self._pump(scope, receive, send))
        return [pump, asyncio.ensure_future(self._beat(send))]

    async def _pump(self, scope: Scope, receive: Receive, send: Send) -> None:
        items = aiter(self._reply.answers)
        first = asyncio.ensure_future(_next(items))
        try:
            await asyncio.wait({first}, timeout=self._pace.first_s)
            found = first.result() if first.done() else None
            if isinstance(found, Response | Lost) and (problem := problem_in(found)) is not None:
                self._ended = self._events.ended = True
                await self._reply.refuse(problem)(scope, receive, send)
                return
            await self._start(send, found)
            await self._take(send, await first)
        finally:
            first.cancel()
        while not self._events.ended:
            await self._take(send, await _next(items))

    async def _start(self, send: Send, found: Item | None) -> None:
        headers = {**self._reply.headers, **sse.HEADERS}
        if isinstance(found, Response):
            headers |= weir_headers(found)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        self._started = True
        await self._write(send, self._writer.open())

    async def _take(self, send: Send, item: Item) -> None:
        data = self._events.take(item)
        self._ended, self._unwanted = self._events.ended, self._events.unwanted
        if data or self._events.ended:
            self._event_s = time.monotonic()
            await self._write(send, data, more=not self._events.ended)

    async def _beat(self, send: Send) -> None:
        """Bridge silence until the pump ends."""
        while True:
            await asyncio.sleep(self._pace.beat_s)
            now_s = time.monotonic()
            busy = not self._started or self._lock.locked()
            if busy or now_s - self._sent_s < self._pace.beat_s / 2:
                continue
            if now_s - self._event_s >= self._pace.event_s:
                self._event_s = now_s
                await self._write(send, self._writer.idle())
            else:
                await self._write(send, self._writer.heartbeat)

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> None:
        async with self._lock:
            if self._stuck or (more and self._events.ended):
                return  # a heartbeat that waited for the last event, or for a write that failed
            self._stuck = True
            async with asyncio.timeout(self._pace.send_s):
                await send({"type": "http.response.body", "body": data, "more_body": more})
            self._sent_s, self._stuck = time.monotonic(), False


def problem_in(item: Response | Lost) -> Problem | None:
    """Why an end is no answer; `None` where it is one."""
    return problem_of_loss(item) if isinstance(item, Lost) else problem_of(item)


async def _next(items: AsyncIterator[Item]) -> Item:
    return await anext(items, NOTHING)


async def _gone(receive: Receive) -> None:
    """Return when the client went away."""
    while (await receive())["type"] != "http.disconnect":
        pass
