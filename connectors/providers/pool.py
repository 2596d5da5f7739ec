"""The connections to one server: pooled, gated, without cookies. Lives on one event loop.

A route's settings of the way to its server (`Way`) hold for all of a pool: proxy, TLS. Where the route's
`proxy` is the word `environment`, HTTPS_PROXY, HTTP_PROXY and NO_PROXY say which proxy is used; else they
have no effect.
"""

import asyncio
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit
from urllib.request import (
    getproxies_environment,
    proxy_bypass_environment,  # pyright: ignore[reportAttributeAccessIssue] (typeshed hasn't it)
)

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from connectors.providers.transport import Connections
from connectors.providers.wire import Gate
from schemas.calls import Missing, Route, Timeouts, Unavailable

KEEPALIVE_S = 30.0
"""How long an idle connection is kept."""
DNS_S = 300
"""How long a server's addresses are remembered."""
OUR_HEADERS = {"user-agent": "weir"}
"""Headers of all requests that don't name them themselves."""
ENVIRONMENT = "environment"
"""A route's `proxy` that leaves the choice to the environment."""

GATE: ContextVar[Gate] = ContextVar("gate")
"""The gate of the call that runs in this context."""


@dataclass(frozen=True, slots=True)
class Way:
    """What calls must share to share connections."""

    max_connections: int = 4096
    """Most connections at once."""
    proxy: str | None = None
    """URL of the proxy, or `environment`; may hold a password."""
    ca_file: str | None = None
    """Authorities that may sign the server's certificate."""
    client_cert_file: str | None = None
    """Our certificate and its key."""
    verify_tls: bool = True
    """Whether the server's certificate is checked."""


def way_of(route: Route) -> Way:
    """The way of a route."""
    return Way(route.max_connections, route.proxy, route.ca_file, route.client_cert_file, route.verify_tls)


def tls_of(way: Way) -> ssl.SSLContext | bool:
    """How TLS is spoken on it; `True` for the defaults.

    Raises:
        Missing: When a file can't be used; the reason names it.
    """
    if not (way.ca_file or way.client_cert_file):
        return way.verify_tls
    at = way.ca_file
    try:
        context = ssl.create_default_context(cafile=way.ca_file)
        if way.client_cert_file:
            at = way.client_cert_file
            # Without a password of ours a key that has one would make OpenSSL ask the terminal.
            context.load_cert_chain(at, password="")
    except ssl.SSLError as error:
        raise Missing(f"the file {at} can't be used for TLS: not the right PEM") from error
    except OSError as error:
        raise Missing(f"the file {at} can't be used for TLS: {error.strerror}") from error
    if not way.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def proxy_for(way: Way, url: str) -> str | None:
    """The proxy on the way to an address; `None` for none."""
    if way.proxy != ENVIRONMENT:
        return way.proxy
    parts = urlsplit(url)
    proxies: dict[str, str] = getproxies_environment()
    if proxy_bypass_environment(parts.netloc.rpartition("@")[2], proxies):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


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
    """Asks the call's gate when its connection stands; on a no the connection goes back to the pool.

    Gives out the connection that was used last. aiohttp gives out the oldest: after a burst every connection
    is used in turn, so none is ever idle for long enough to be closed.

    Takes `_conns`, `_acquired`, `_waiters`, `_get` and `_create_connection` of aiohttp's connector.
    """

    connect_s = 5.0
    """How long a proxy may take for its part; aiohttp gives it all the time in the world."""

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        idle = self._conns.get(key)
        if idle:
            idle.rotate(1)
        return await super()._get(key, traces)

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

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        if req.proxy is None:
            return await super()._create_connection(req, traces, timeout)
        async with asyncio.timeout(self.connect_s):
            return await super()._create_connection(req, traces, timeout)

    def counts(self) -> Connections:
        """The connections now; from any thread, so that a figure may be one behind the others."""
        idle = sum(len(found) for found in list(self._conns.values()))
        waiting = sum(len(found) for found in list(self._waiters.values()))
        return Connections(len(self._acquired) + idle, idle, waiting)


def open_connector(way: Way, connect_s: float) -> GatedConnector:
    """A pool on the running loop.

    Raises:
        Missing: When a file for TLS can't be used.
    """
    connector = GatedConnector(
        limit=way.max_connections,
        keepalive_timeout=KEEPALIVE_S,
        ttl_dns_cache=DNS_S,
        resolver=Resolver(connect_s),
        ssl=tls_of(way),
    )
    connector.connect_s = connect_s
    return connector


def open_session(connector: GatedConnector) -> aiohttp.ClientSession:
    """A session on a pool of its own; nothing of it comes from the environment."""
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=OUR_HEADERS
    )


@lru_cache(maxsize=256)
def client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """The phases that aiohttp keeps; waiting for a free connection counts in the total only."""
    return aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.first_byte_s)
