"""The doors without Kafka: a store in memory, a clock that is set by hand, cheap passwords."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from connectors.gateway.dialects.errors import error_body
from connectors.gateway.doors.accounts import Accounts, KeySpec
from connectors.gateway.doors.admin import Admin, admin_app
from connectors.gateway.doors.book import Book
from connectors.gateway.doors.hardening import Bounds, Hardened
from connectors.gateway.doors.keeper import Doors
from connectors.gateway.doors.signin import SignIn
from connectors.gateway.doors.users import Cost, Passwords
from connectors.gateway.ports import ADMIN, INVOKE, Problem
from schemas.topics import Topic

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
SECRET = bytes(range(32))
START_MS = 1_795_305_600_000
PASSWORD = "correct horse battery"


class MemoryStore:
    """A `Store` whose log is a list; gateways that share the log see each other's records when they read."""

    def __init__(self, log: list[tuple[str, str, bytes | None]] | None = None) -> None:
        self.book = Book()
        self.log = [] if log is None else log
        self.away = False
        self._at = 0

    @property
    def ready(self) -> bool:
        return True

    async def start(self) -> None:
        self.read()

    async def stop(self) -> None:
        pass

    async def write(self, topic: Topic, key: str, value: bytes | None) -> None:
        if self.away:
            raise Problem(503, "overloaded", "Kafka is away")
        self.log.append((topic.name, key, value))
        self.read()

    def read(self) -> None:
        """Take what others wrote."""
        for topic, key, value in self.log[self._at :]:
            self.book.apply(topic, key.encode(), value)
        self._at = len(self.log)


@dataclass(slots=True)
class Clock:
    """Unix time in milliseconds, set by hand."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass(slots=True)
class House:
    """Doors with all that belongs to them."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)
    pepper: bytes | None = None
    gateways: int = 1
    bounds: Bounds = field(default_factory=Bounds)
    doors: Doors = field(init=False)
    accounts: Accounts = field(init=False)
    signin: SignIn = field(init=False)

    def __post_init__(self) -> None:
        passwords = Passwords(CHEAP)
        self.doors = Doors(self.store, self.clock, pepper=self.pepper, gateways=self.gateways, secret=SECRET)
        self.accounts = Accounts(self.store, self.clock, passwords, self.pepper)
        self.signin = SignIn(self.doors, passwords, self.clock)

    async def key(self, spec: KeySpec | None = None) -> str:
        """The text of a new key."""
        return (await self.accounts.create_key(spec or KeySpec("test"), "test"))[1].text

    async def admin_key(self) -> str:
        """The text of a new key that may do everything."""
        return await self.key(KeySpec("admin", scopes=(ADMIN,)))

    async def user(self, name: str, tenant: str = "default", scopes: tuple[str, ...] = (INVOKE,)) -> None:
        """A new user with the password `PASSWORD`."""
        await self.accounts.create_user(name, PASSWORD, tenant, scopes)

    def app(self) -> Hardened:
        """The admin API at /api and an echo at /v1/echo, behind the bounds, as a gateway has them."""

        async def echo(request: Request) -> JSONResponse:
            caller = await self.doors.admit(request.headers, INVOKE)
            self.doors.charge(caller)
            return JSONResponse({"caller": caller.id, "bytes": len(await request.body())})

        admin = Admin(self.doors, self.accounts, self.signin, self.clock)
        routes = [Route("/v1/echo", echo, methods=["GET", "POST"]), Mount("/api", admin_app(admin))]
        handlers: Any = {Problem: problem, HTTPException: foreign}
        app = Starlette(routes=routes, exception_handlers=handlers)
        return Hardened(app, self.doors.leave, self.bounds)

    def client(self, base: str = "http://localhost", **headers: str) -> httpx.AsyncClient:
        """A client of that application, in this process."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app()), base_url=base, headers=headers)


async def problem(_: Request, error: Exception) -> Response:
    """As the gateway's application writes it."""
    assert isinstance(error, Problem)
    return JSONResponse(error_body(error, "openai", ""), error.status, headers=error.headers)


async def foreign(request: Request, error: Exception) -> Response:
    """What the router says, in the same shape."""
    assert isinstance(error, HTTPException)
    return await problem(request, Problem(error.status_code, "not_found", str(error.detail)))


def bearer(text: str) -> Mapping[str, str]:
    """The header that a key comes in."""
    return {"authorization": f"Bearer {text}"}
