"""The connections to one server: pooled, gated, without cookies. Lives on one event loop."""

import asyncio
import socket
from contextvars import ContextVar
from functools import lru_cache

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from connectors.providers.wire import Gate
from schemas.calls import Timeouts, Unavailable

KEEPALIVE_S = 60.0
"""How long an idle connection is kept."""
DNS_S = 300
"""How long a server's addresses are remembered."""

GATE: ContextVar[Gate] = ContextVar("gate")
"""The gate of the call that runs in this context."""


class Resolver(aiohttp.ThreadedResolver):
    """Resolves names within the time that a connection may take."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self._limit_s = limit_s

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host.

        Raises:
            TimeoutError: When the name server takes too long.
        """
        async with asyncio.timeout(self._limit_s):
            return await super().resolve(host, port, family)


class GatedConnector(aiohttp.TCPConnector):
    """Asks the call's gate when its connection stands; on a no the connection goes back to the pool."""

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection that may be written to at once.

        Raises:
            Unavailable: When the gate says no.
        """
        connection = await super().connect(req, traces, timeout)
        allowed = False
        try:
            allowed = GATE.get()()
        finally:
            if not allowed:
                connection.release()
        if not allowed:
            raise Unavailable("not allowed to call now")
        return connection


def open_session(max_connections: int, connect_s: float) -> aiohttp.ClientSession:
    """A session with a pool of its own on the running loop."""
    connector = GatedConnector(
        limit=max_connections,
        keepalive_timeout=KEEPALIVE_S,
        ttl_dns_cache=DNS_S,
        resolver=Resolver(connect_s),
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"user-agent": "weir"}
    )


@lru_cache(maxsize=256)
def client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """The phases that aiohttp keeps; waiting for a free connection counts in the total only."""
    return aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.first_byte_s)
