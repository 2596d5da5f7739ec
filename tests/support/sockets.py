"""Stand-ins for what the sockets of the gateway need, and a real server on the loopback to reach them by."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette

from connectors.gateway.parts import GatewaySettings, Parts
from connectors.gateway.ports import Answers, Caller, Lost, Problem
from connectors.gateway.socket.hub import Hub
from connectors.gateway.socket.routes import routes
from connectors.gateway.socket.ws import SERVER_OPTIONS, Pace
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.codes import Code
from schemas.requests import Request
from schemas.responses import ErrorInfo, LastChunk, Latency, Response, Usage

LATENCY = Latency(queue_ms=1, routing_ms=2, provider_ms=300, total_ms=303)
ANN = Caller("key-ann", "acme", frozenset({"llm:invoke", "metrics:read"}))
BOB = Caller("key-bob", "other", frozenset({"llm:invoke"}))
EVE = Caller("key-eve", "acme", frozenset({"metrics:read"}))
ROOT = Caller("key-root", "default", frozenset({"admin"}))
KEYS = {"ann": ANN, "bob": BOB, "eve": EVE, "root": ROOT}


def chunk(request_id: str, seq: int, delta: str, *, attempt: int = 1) -> Chunk:
    return Chunk(request_id=request_id, attempt=attempt, seq=seq, delta=delta)


def response(request_id: str, text: str | None = "done", code: Code | None = None) -> Response:
    return Response(
        request_id=request_id,
        tenant="acme",
        response=text if code is None else None,
        error=ErrorInfo(code=code, message="it was stopped") if code else None,
        finish_reason="stop",
        tokens_used=12,
        usage=Usage(input_tokens=5, output_tokens=7),
        cost_usd=0.0021,
        model="tiny-1",
        provider="fake",
        latency=LATENCY,
        last_chunk=LastChunk(attempt=1, seq=0),
    )


@dataclass
class Log:
    """All that one request's stream has given so far."""

    tenant: str
    items: list[Chunk | Response | Lost] = field(default_factory=list)
    cancelled: bool = False
    can_be_cancelled: bool = True
    closed: list[tuple[bool, float]] = field(default_factory=list)


class FakeAnswers:
    """Gives a log's items from a place on, and waits for more until the last."""

    def __init__(self, request_id: str, log: Log, at: int = 0) -> None:
        self.request_id = request_id
        self._log = log
        self._at = at

    @property
    def token(self) -> str:
        return f"{self.request_id}:{self._at}"

    async def __aiter__(self) -> AsyncIterator[Chunk | Response | Lost]:
        while True:
            while self._at >= len(self._log.items):
                await asyncio.sleep(0.005)
            self._at += 1
            item = self._log.items[self._at - 1]
            yield item
            if not isinstance(item, Chunk):
                return

    async def close(self, *, cancel: bool, grace_s: float = 0.0) -> None:
        self._log.closed.append((cancel, grace_s))


class FakeExchange:
    """Answers by prompt: `refuse`, `lost`, `wait` (until cancelled), `flood`, `bug`; else word for word."""

    def __init__(self, pace_s: float = 0.005) -> None:
        self.logs: dict[str, Log] = {}
        self.asked: list[Request] = []
        self.pace_s = pace_s
        self._jobs: set[asyncio.Task[None]] = set()

    async def ask(self, request: Request, caller: Caller) -> Answers:
        self.asked.append(request)
        prompt = request.prompt or str((request.messages or [])[-1].content)
        if prompt == "refuse":
            raise Problem(503, "overloaded", "Kafka is away", headers={"retry-after": "1"})
        if prompt == "bug":
            raise ZeroDivisionError
        request_id = f"req_{len(self.asked)}"
        log = self.logs[request_id] = Log(caller.tenant)
        job = asyncio.ensure_future(self._answer(request_id, prompt, log, request.stream))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return FakeAnswers(request_id, log)

    async def _answer(self, request_id: str, prompt: str, log: Log, stream: bool) -> None:
        words = [f"{word} " for word in prompt.split()]
        if prompt.startswith("flood"):
            words = ["x" * 1000] * 5000
        for seq, word in enumerate(words if stream else []):
            log.items.append(chunk(request_id, seq, word))
            if prompt.startswith("flood"):
                continue
            await asyncio.sleep(self.pace_s)
        if prompt == "lost":
            log.items.append(Lost("a gap after 1/0"))
            return
        while prompt.startswith("wait") and not log.cancelled:
            await asyncio.sleep(0.005)
        code = Code.CANCELLED if log.cancelled else None
        log.items.append(response(request_id, "".join(words), code))

    async def cancel(self, request_id: str, tenant: str) -> None:
        if request_id in self.logs and not self.logs[request_id].can_be_cancelled:
            raise Problem(503, "overloaded", "Kafka is away")
        if request_id in self.logs and self.logs[request_id].tenant == tenant:
            self.logs[request_id].cancelled = True

    async def models(self) -> list[JsonObject]:
        return [{"id": "tiny", "created": 0, "owned_by": "fake"}]

    async def resume(self, token: str, caller: Caller) -> Answers:
        request_id, _, at = token.rpartition(":")
        log = self.logs.get(request_id)
        if log is None or log.tenant != caller.tenant or not at.isdigit():
            raise Problem(404, "not_found", "there is no such stream")
        return FakeAnswers(request_id, log, int(at))

    async def find(self, request_id: str, caller: Caller) -> Answers:
        return await self.resume(f"{request_id}:0", caller)


class FakeDoors:
    """Keys are names; a cookie `sid=NAME` is a session; a ticket `t-NAME` is good once."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self.used: set[str] = set()
        self.charged: defaultdict[str, int] = defaultdict(int)

    async def admit(self, headers: Mapping[str, str], scope: str, model: str | None = None) -> Caller:
        name = headers.get("authorization", "").removeprefix("Bearer ")
        name = name or headers.get("x-api-key", "") or headers.get("cookie", "").removeprefix("sid=")
        if name not in KEYS or name in self.revoked:
            raise Problem(401, "invalid_api_key", "this key is not known")
        if not KEYS[name].may(scope):
            raise Problem(403, "forbidden", f"this needs the scope {scope}")
        return KEYS[name]

    async def redeem(self, ticket: str) -> Caller:
        name = ticket.removeprefix("t-")
        if name not in KEYS or ticket in self.used:
            raise Problem(401, "invalid_ticket", "this ticket is not good")
        self.used.add(ticket)
        return KEYS[name]

    def charge(self, caller: Caller) -> Mapping[str, tuple[int, int, float]]:
        self.charged[caller.id] += 1
        return {}

    async def note(self, caller: Caller | None, action: str, details: JsonObject) -> None:
        pass


@dataclass
class Fakes:
    exchange: FakeExchange = field(default_factory=FakeExchange)
    doors: FakeDoors = field(default_factory=FakeDoors)
    hub: Hub | None = None
    settings: GatewaySettings = field(default_factory=GatewaySettings)

    def parts(self) -> Parts:
        return Parts(
            cluster=Cluster(),
            settings=self.settings,
            secret=b"s" * 32,
            exchange=self.exchange,
            streams=self.exchange,
            doors=self.doors,
            tickets=self.doors,
            count=len,
            hub=self.hub,
        )

    def app(self, pace: Pace | None = None) -> Starlette:
        return Starlette(routes=routes(self.parts(), pace))


@contextmanager
def serving(app: object) -> Generator[int]:
    """The application behind a real server in a thread; gives its port on the loopback."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, **SERVER_OPTIONS)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="test-server")
    thread.start()
    try:
        end_s = time.monotonic() + 20
        while not server.started and thread.is_alive() and time.monotonic() < end_s:
            time.sleep(0.01)
        assert server.started
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        with suppress(RuntimeError):
            thread.join(20)
        assert not thread.is_alive()
