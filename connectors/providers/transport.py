"""The seam between the shell and what moves the bytes: our own connections, or an official SDK's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from connectors.providers.wire import Gate
from schemas.calls import HttpRequest, Route

MAX_ERROR_BYTES = 64 * 1024
"""How much is read of a reply that is an error."""


class Reply(Protocol):
    """A reply whose head is there. Reading is all that moves its bytes."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive or in lower case."""
        ...

    async def next(self, gather: bool = False) -> bytes:
        """The bytes that came since; none at the end.

        With `gather` it may take 20 ms longer: bytes that come soon after each other come as one.

        Raises:
            Unavailable: When they come too slowly, or the connection is lost.
            Malformed: When there are too many.
        """
        ...

    async def end(self) -> None:
        """Let the end of a finished stream arrive, so that its connection can be used again."""
        ...

    async def close(self) -> None:
        """Done with it: a connection with bytes still to come is closed."""
        ...


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections to one server at one moment."""

    open: int = 0
    """All that stand or are about to."""
    idle: int = 0
    """Those of them that no call uses."""
    waiting: int = 0
    """Calls that wait for one."""


class Transport(Protocol):
    """Moves the bytes of calls to one server."""

    async def send(self, route: Route, request: HttpRequest, gate: Gate, max_bytes: int) -> Reply:
        """Send a request and wait for the head of its reply; an answer has at most `max_bytes`.

        Raises:
            Unavailable: When the gate says no (nothing was sent), or no reply came.
            Missing: When the route's settings can't be used.
        """
        ...

    async def warm(self, route: Route, request: HttpRequest) -> None:
        """Open one connection to where the request would go; send nothing.

        Raises:
            ProviderError: When that fails.
        """
        ...

    def connections(self) -> Connections:
        """The connections now; from any thread."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...
