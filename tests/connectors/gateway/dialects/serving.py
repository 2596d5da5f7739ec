"""The routes of the APIs on a loopback server, without Kafka: what comes back is a test's script."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette

from connectors.gateway.dialects.sending import Pace
from connectors.gateway.dialects.table import routes
from connectors.gateway.parts import GatewaySettings, Parts
from connectors.gateway.ports import INVOKE, Caller, Lost, Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.codes import Code
from schemas.requests import Request
from schemas.responses import Attempt, ErrorInfo, LastChunk, Latency, Response, RouteChoice, Usage

Item = Chunk | Response | Lost
Script = Callable[[Request], AsyncIterator[Item]]
ALICE = Caller("key-1", "acme", frozenset({INVOKE}))
KEY = "lk_good"
USAGE = Usage(input_tokens=12, output_tokens=5, cached_tokens=4, cache_write_tokens=2, reasoning_tokens=1)
MODELS: list[JsonObject] = [
    {"id": name, "created": 1_700_000_000, "owned_by": "weir"} for name in ("auto", "large", "openai/gpt-5")
]


def attempt(number: int = 1, route: str = "fake:echo") -> Attempt:
    return Attempt(
        attempt=number, route=route, provider="fake", model="echo", outcome="ok", started_ms=1, duration_ms=5
    )


def response(text: str | None = None, **fields: Any) -> Response:
    """A good answer with this text."""
    made: dict[str, Any] = {
        "request_id": "req_1",
        "tenant": "acme",
        "response": text,
        "finish_reason": "tool_calls" if fields.get("tool_calls") else "stop",
        "usage": USAGE,
        "tokens_used": 17,
        "cost_usd": 0.00012,
        "model": "echo-1",
        "provider": "fake",
        "attempts": [attempt(1, "fake:other"), attempt(2)],
        "route": RouteChoice(asked="large", route="fake:echo", reason="named"),
        "latency": Latency(queue_ms=1, routing_ms=1, provider_ms=5, total_ms=7),
        **fields,
    }
    return Response(**made)


def failure(code: Code, message: str = "it is so", where: str | None = None) -> Response:
    """A failed response."""
    return response(
        None, error=ErrorInfo(code=code, message=message, field=where), usage=None, finish_reason=None
    )


def chunk(delta: str = "", *, attempt: int = 1, seq: int = 0, **fields: Any) -> Chunk:
    return Chunk(request_id="req_1", attempt=attempt, seq=seq, delta=delta, **fields)


def says(*items: Item) -> Script:
    """A script that gives these items at once."""

    async def script(_request: Request) -> AsyncIterator[Item]:
        for item in items:
            yield item

    return script


def words(*texts: str) -> Script:
    """A script that streams words, where a stream is asked for, and ends well."""

    async def script(request: Request) -> AsyncIterator[Item]:
        if request.stream:
            for seq, text in enumerate(texts):
                yield chunk(text, seq=seq, last=seq == len(texts) - 1)
        yield response("".join(texts), last_chunk=LastChunk(attempt=1, seq=len(texts) - 1))

    return script


@dataclass
class Answered:
    """The answers of one request."""

    request_id: str
    items: AsyncIterator[Item]
    token: str = "token"
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    grace_s: float = 0.0

    def __aiter__(self) -> AsyncIterator[Item]:
        return self.items

    async def close(self, *, cancel: bool, grace_s: float = 0.0) -> None:
        self.cancelled, self.grace_s = cancel, grace_s
        self.closed.set()


class Exchanging:
    """An exchange that plays a script for each request."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.problems: list[Problem] = []
        """Raised in the place of answers, one for each request."""
        self.asked: list[Request] = []
        self.keys: list[str | None] = []
        self.answers: list[Answered] = []
        self.cancelled: list[tuple[str, str]] = []

    async def ask(self, request: Request, caller: Caller, *, key: str | None = None) -> Answered:
        self.asked.append(request)
        self.keys.append(key)
        if self.problems:
            raise self.problems.pop(0)
        self.answers.append(Answered(f"req_{len(self.asked)}", self.script(request)))
        return self.answers[-1]

    async def cancel(self, request_id: str, tenant: str) -> None:
        self.cancelled.append((request_id, tenant))

    async def models(self) -> list[JsonObject]:
        return MODELS

    async def resume(self, token: str, caller: Caller) -> Answered:
        raise Problem(404, "not_found", "no such stream")

    async def find(self, request_id: str, caller: Caller) -> Answered:
        if request_id not in [each.request_id for each in self.answers] or caller.tenant != "acme":
            raise Problem(404, "not_found", "no such request")
        return Answered(request_id, self.script(self.asked[-1]))


class Doors:
    """Lets one key in, and redeems nothing."""

    def __init__(self, caller: Caller = ALICE) -> None:
        self.caller = caller
        self.limits: dict[str, tuple[int, int, float]] = {}
        self.problem: Problem | None = None

    async def admit(self, headers: Mapping[str, str], scope: str, model: str | None = None) -> Caller:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if given != KEY:
            raise Problem(401, "invalid_api_key", "the key is not known")
        if not self.caller.may(scope):
            raise Problem(403, "forbidden", f"the key lacks the scope {scope}")
        return self.caller

    def charge(self, caller: Caller) -> Mapping[str, tuple[int, int, float]]:
        if self.problem is not None:
            raise self.problem
        return self.limits

    async def note(self, caller: Caller | None, action: str, details: JsonObject) -> None:
        raise AssertionError("nothing of this is for the audit trail")

    async def redeem(self, ticket: str) -> Caller:
        raise Problem(401, "invalid_ticket", "no tickets here")


@dataclass
class Gateway:
    """A server, and what stands behind it."""

    url: str
    exchange: Exchanging
    doors: Doors


@asynccontextmanager
async def serving(script: Script, pace: Pace | None = None) -> AsyncIterator[Gateway]:
    """The routes on a free port of the loopback."""
    exchange, doors = Exchanging(script), Doors()
    parts = Parts(
        cluster=Cluster(),
        settings=GatewaySettings(),
        secret=b"s" * 32,
        exchange=exchange,
        streams=exchange,
        doors=doors,
        tickets=doors,
        count=lambda text: len(text.split()),
    )
    app = Starlette(routes=routes(parts, pace))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = uvicorn.Config(app, log_level="error", lifespan="off", ws="none", http="httptools")
        server = uvicorn.Server(settings)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield Gateway(f"http://127.0.0.1:{listening.getsockname()[1]}", exchange, doors)
        finally:
            server.should_exit = server.force_exit = True
            await task


def served(script: Script, use: Callable[[Gateway], Awaitable[Any]], pace: Pace | None = None) -> Any:
    """What a client made of the routes."""

    async def main() -> Any:
        async with asyncio.timeout(20), serving(script, pace) as gateway:
            return await use(gateway)

    return asyncio.run(main())
