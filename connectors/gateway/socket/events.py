"""`GET /api/streams/{id}/events`: an answer as real server-sent events, which go on after a cut.

Each event has an `id`: the signed place after it. A client that was cut sends the last one it has as
`Last-Event-ID` (a browser's EventSource does that by itself) and gets the rest, from any gateway. The first
place is the `token` that came with the acceptance of the request; where no header can be set, as `?after=`.
Without a place the answer to a request with an idempotency key is given from its start, and goes on when
nobody reads.
Events are `chunk`, `response` (the last one) and `error` (nothing more comes). After the last one the answer
to a reconnect is 204, which tells an EventSource to stop.
"""

import asyncio
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from connectors.gateway.ports import Answers, Lost
from schemas.chunks import Chunk
from schemas.responses import Response

BEAT_S = 15.0
SEND_S = 30.0
GRACE_S = 30.0
RETRY_MS = 1000
END = "end"
"""Id of the last event."""
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-store",
    "x-accel-buffering": "no",
}


def event(item: Chunk | Response | Lost, token: str) -> bytes:
    """One event. Pure."""
    if isinstance(item, Lost):
        name, data = "error", orjson.dumps({"error": {"code": "lost", "message": item.reason}})
        token = END
    elif isinstance(item, Response):
        name, data, token = "response", item.to_bytes(), END
    else:
        name, data = "chunk", item.to_bytes()
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (token.encode(), name.encode(), data)


def place_of(request: Request) -> str | None:
    """Where to go on; `None` from the start."""
    return request.headers.get("last-event-id") or request.query_params.get("after") or None


class EventStream(HttpResponse):
    """Sends an answer's events until it ends or nobody reads any more."""

    def __init__(self, answers: Answers, *, cancel: bool = True, beat_s: float = BEAT_S) -> None:
        """With `cancel` the request is given up, after a grace, when nobody reads any more."""
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._answers = answers
        self._cancel = cancel
        self._beat_s = beat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; the answers are closed at the end."""
        work = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            gone.cancel()
            (result, _) = await asyncio.gather(work, gone, return_exceptions=True)
            await self._answers.close(cancel=self._cancel, grace_s=GRACE_S)
        if isinstance(result, Exception) and not isinstance(result, TimeoutError | OSError):
            raise result

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _write(send, b"retry: %d\n\n" % RETRY_MS)
        async for part in self._parts():
            await _write(send, part)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _parts(self) -> AsyncIterator[bytes]:
        """Events, and heartbeats while none comes."""
        items = aiter(self._answers)
        coming = asyncio.ensure_future(anext(items, None))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=self._beat_s)
                if not done:
                    yield b": hb\n\n"
                    continue
                item = coming.result()
                if item is None:
                    return
                yield event(item, self._answers.token)
                coming = asyncio.ensure_future(anext(items, None))
        finally:
            coming.cancel()


async def _write(send: Send, body: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
