"""The routes of this package: `/ws`, `/api/streams/{id}/events`, the page at `/` and its files."""

from collections import Counter
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from connectors.gateway.parts import Parts
from connectors.gateway.ports import INVOKE, METRICS_READ, Answers, Caller, Problem
from connectors.gateway.socket.entry import check_origin, refusal
from connectors.gateway.socket.events import END, EventStream, place_of
from connectors.gateway.socket.static import Site
from connectors.gateway.socket.ws import Pace, Socket

PAGE = Path(__file__).resolve().parent.parent / "page"


def routes(parts: Parts, pace: Pace | None = None) -> list[BaseRoute]:
    """What `app.py` mounts; the one under `/api` must stand before the mount of the admin API."""
    sockets = Sockets(parts, pace or Pace())
    site = Site(PAGE)
    return [
        WebSocketRoute("/ws", sockets.serve),
        Route("/api/streams/{id}/events", Events(parts).serve, methods=["GET"]),
        Route("/", site.serve, methods=["GET"]),
        Route("/static/{name:path}", site.serve, methods=["GET"]),
    ]


class Sockets:
    """Lets sockets in, as many as there may be, and serves them."""

    def __init__(self, parts: Parts, pace: Pace) -> None:
        self._parts = parts
        self._pace = pace
        self._open: Counter[str] = Counter()

    async def serve(self, websocket: WebSocket) -> None:
        """One socket from its handshake to its end; who may not is told so before it opens."""
        try:
            caller, scope = await self._let_in(websocket)
        except Problem as problem:
            await websocket.send_denial_response(refusal(problem))
            return
        self._open[caller.id] += 1
        try:
            await websocket.accept()
            await Socket(websocket, caller, self._parts, self._pace, scope).run()
        finally:
            self._open[caller.id] -= 1
            if not self._open[caller.id]:
                del self._open[caller.id]

    async def _let_in(self, websocket: WebSocket) -> tuple[Caller, str | None]:
        """Who it is, and the scope it was let in with; `None` with a ticket."""
        check_origin(websocket.headers, websocket.url.scheme, self._parts.settings.origins)
        for name in websocket.query_params:
            if name != "ticket":
                message = f"`{name}` does not belong in this address: send keys in a header, or a ticket"
                raise Problem(400, "invalid_request", message, param=name)
        if self._open.total() >= self._pace.sockets:
            raise Problem(503, "overloaded", "too many sockets are open; try again later")
        ticket = websocket.query_params.get("ticket")
        if ticket is not None:
            caller, scope = await self._parts.tickets.redeem(ticket), None
        else:
            caller, scope = await self._admit(websocket)
        if self._open[caller.id] >= self._pace.sockets_each:
            message = f"at most {self._pace.sockets_each} sockets of one caller"
            raise Problem(429, "rate_limited", message, headers={"retry-after": "10"})
        return caller, scope

    async def _admit(self, websocket: WebSocket) -> tuple[Caller, str]:
        """By key or cookie: with the right to ask, or else the right to watch."""
        try:
            return await self._parts.doors.admit(websocket.headers, INVOKE), INVOKE
        except Problem as problem:
            if problem.status != 403:
                raise
        return await self._parts.doors.admit(websocket.headers, METRICS_READ), METRICS_READ


class Events:
    """Serves `/api/streams/{id}/events`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def serve(self, request: Request) -> HttpResponse:
        """An answer from a place on, as events."""
        try:
            caller = await self._parts.doors.admit(request.headers, INVOKE)
            token = place_of(request)
            if token == END:
                return HttpResponse(status_code=204)
            answers = await self._from(request.path_params["id"], token, caller)
        except Problem as problem:
            return refusal(problem)
        return EventStream(answers, cancel=token is not None)

    async def _from(self, request_id: str, token: str | None, caller: Caller) -> Answers:
        if token is None:
            return await self._parts.streams.find(request_id, caller)
        answers = await self._parts.streams.resume(token, caller)
        if answers.request_id != request_id:
            await answers.close(cancel=False)
            raise Problem(404, "not_found", "the token belongs to another stream")
        return answers
