"""Runs a gateway: makes its parts, starts them, serves until it is told to stop, and ends in good order.

At SIGTERM or SIGINT no new connection is taken, `/readyz` says so, and what is open goes on for `drain`; then
open streams end with an error that says to come again, which they can, at any other gateway.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn

from connectors.gateway.app import create_app
from connectors.gateway.doors import setup
from connectors.gateway.doors.admin import Admin, admin_of
from connectors.gateway.doors.listening import refusal
from connectors.gateway.doors.store import KafkaStore
from connectors.gateway.doors.wire import GuardedProtocol
from connectors.gateway.exchange.exchange import KafkaExchange
from connectors.gateway.ops import Ops
from connectors.gateway.parts import GatewaySettings, Part, Parts
from connectors.gateway.socket.hub import Hub
from connectors.gateway.socket.quiet import hide_queries
from connectors.gateway.socket.ws import SERVER_OPTIONS
from connectors.process.errors import NotReady
from schemas.base import JsonObject
from schemas.cluster import Cluster

_log = logging.getLogger("weir.gateway")

LAST_S = 5.0
"""How long connections may take to end after their streams have."""
SEND_BUFFER_BYTES = 128 * 1024
"""What the kernel is asked to hold of a connection's answer; it takes twice that. By default it holds 4 MB,
more than most answers have, and a reader that never reads would not be noticed."""
BACKLOG = 2048
"""Connections that wait to be taken."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway is given by whoever runs it."""

    env: Mapping[str, str]
    """The environment: pepper, secret, origins."""
    models: Callable[[], list[JsonObject]]
    """Models that can be asked for."""
    count: Callable[[str], int]
    """Tokens of a text."""
    serving: Callable[[str], None]
    """Gets the address, once it listens."""


class _Server(uvicorn.Server):
    """uvicorn's server, whose signals and end are ours."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Our own handlers: a stop that was asked for is no failure."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new; what is open ends when the drain is over."""
        self._stopping()
        await super().shutdown(sockets)


class Gateway:
    """One gateway, from start to stop."""

    def __init__(self, cluster: Cluster, settings: GatewaySettings, around: Surroundings) -> None:
        self._cluster, self._settings, self._around = cluster, settings, around
        self._store = KafkaStore(cluster)
        self._running: list[Part] = []

    async def serve(self, first_key: Callable[[str], None] | None) -> None:
        """Start, serve, stop. Where there are no keys yet, `first_key` gets the text of a new admin key.

        Raises:
            KafkaProblem: When Kafka can't be reached.
            NotReady: When it may not listen where it should.
        """
        await self._store.start()
        try:
            await self._serve(first_key)
        finally:
            for part in reversed(self._running):
                await part.stop()
            await self._store.stop()

    async def _serve(self, first_key: Callable[[str], None] | None) -> None:
        env, settings = self._around.env, self._settings
        why = refusal(settings.host, self._store.book, setup.clock_ms())
        if why is not None:
            raise NotReady(why)
        secret = await setup.secret_of(self._store, env)
        doors = setup.doors_of(self._store, secret, env, gateways=settings.instances)
        admin = admin_of(doors, env)
        exchange = KafkaExchange(self._cluster, settings, lambda: secret, self._around.models)
        hub = Hub(self._cluster)
        for part in (exchange, doors, hub):
            self._running.append(part)
            await part.start()
        if first_key is not None:
            await _make_first_key(admin, first_key)
        parts = Parts(
            self._cluster, settings, secret, exchange, exchange, doors, doors, self._around.count, hub
        )
        await self._listen(parts, admin, exchange)

    async def _listen(self, parts: Parts, admin: Admin, exchange: KafkaExchange) -> None:
        name = f"gateway-{socket.gethostname()}-{os.getpid()}"
        ops = Ops(parts, self._running, name)
        drain_s = self._settings.drain.total_seconds()

        def stopping() -> None:
            ops.stopping = True
            reason = "the gateway stops; come again, with the same key or the stream's token"
            asyncio.get_running_loop().call_later(drain_s, exchange.end_streams, reason)

        hide_queries()
        listener = _listener(self._settings)
        server = _Server(_config(create_app(parts, admin, ops), self._settings), stopping)
        publishing = asyncio.create_task(ops.publish(exchange.sender.post))
        try:
            self._around.serving(_address(self._settings, listener))
            await server.serve(sockets=[listener])
        finally:
            listener.close()
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)


async def _make_first_key(admin: Admin, first_key: Callable[[str], None]) -> None:
    made = await admin.accounts.first_key()
    if made is not None:
        first_key(made.text)


def _listener(settings: GatewaySettings) -> socket.socket:
    """The socket that connections come to, bound before anybody is told its address.

    Raises:
        NotReady: When the address is taken, or isn't ours.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # its connections inherit it
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        hint = "choose another with --port or WEIR_GATEWAY_PORT"
        raise NotReady(f"the gateway can't listen at {where} ({error.strerror})", hint=hint) from error
    return listener


def _address(settings: GatewaySettings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _config(app: Any, settings: GatewaySettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        lifespan="off",
        access_log=False,
        server_header=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(settings.drain.total_seconds() + LAST_S),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        **SERVER_OPTIONS,
    )
