"""What the gateway is made of: the values and seams that its packages get.

Each package exports `routes(parts)`; `app.py` puts them together. Those that hold connections or threads are
a `Part`, made by `flows/cli_gateway.py` and started in this order: exchange, doors, socket.

    exchange    KafkaExchange: Part, Exchange, Streams
    doors       Part, Doorkeeper, Tickets; routes(parts), and admin_app(parts) mounted at /api
    dialects    routes(parts): /v1/...
    socket      Part (its hub); routes(parts): /ws, /api/streams/{id}/events, the page
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from connectors.gateway.ports import Doorkeeper, Exchange, Streams, Tickets
from connectors.gateway.socket.hub import Hub
from schemas.cluster import Cluster


class Part(Protocol):
    """Something that is started before the gateway serves, and stopped after."""

    @property
    def ready(self) -> bool:
        """Whether requests can be served: its logs are read, its ends are known."""
        ...

    async def start(self) -> None:
        """Begin; returns when ready.

        Raises:
            KafkaProblem: When Kafka can't be reached.
        """
        ...

    async def stop(self) -> None:
        """End threads and connections."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Totals since the start, by name, for `/metrics` and `llm.metrics`."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """Values of the moment, by name."""
        ...


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What can be set of a gateway."""

    host: str = "127.0.0.1"
    """Where it listens; beyond loopback only when there are keys."""
    port: int = 8080
    """Port; 0 for any."""
    ordinal: int = 0
    """Number of this gateway among its fellows, from 0."""
    instances: int = 0
    """How many share the reply topic's partitions; 0: every gateway reads all of it."""
    tls_cert: str | None = None
    """PEM file of the server's certificate; `None` for plain HTTP."""
    tls_key: str | None = None
    """PEM file of its key."""
    origins: tuple[str, ...] = ()
    """Origins besides the gateway's own that browsers may come from, as `https://host:port`."""
    timeout: timedelta = timedelta(minutes=10)
    """Longest wait for an answer where the request doesn't say."""
    requests: int = 5000
    """Most requests under way at once; more are told 503."""
    outgoing_bytes: int = 64 * 1024 * 1024
    """Most bytes of requests that Kafka has not acknowledged; more are told 503."""
    drain: timedelta = timedelta(seconds=10)
    """How long open streams may go on when it is told to stop."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a package may use."""

    cluster: Cluster
    """How to reach Kafka."""
    settings: GatewaySettings
    """What is set."""
    secret: bytes = field(repr=False)
    """32 bytes that all gateways of an installation share: signs stream tokens and tickets."""
    exchange: Exchange
    """Requests and answers."""
    streams: Streams
    """Answers found again."""
    doors: Doorkeeper
    """Who may."""
    tickets: Tickets
    """One-use tickets for browsers' WebSockets."""
    count: Callable[[str], int]
    """Tokens of a text, by the local counter; an estimate for models with another tokenizer."""
    hub: Hub | None = None
    """Feeds of the topics that sockets watch; `None`: nothing can be watched."""
