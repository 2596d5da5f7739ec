"""The seams of the flow: what it needs from outside, each a Protocol of one to three methods."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from schemas.calls import Answer, Call, HttpRequest, Piece, Route

PieceSink = Callable[[Piece], Awaitable[None]]
"""Where a stream's pieces go; awaiting it is the back-pressure."""


class Provider(Protocol):
    """Who answers. One instance serves all routes of one codec."""

    def encode(self, call: Call) -> HttpRequest | None:
        """The bytes of a call; pure. `None` where nothing goes over a wire.

        Raises:
            Refused: When the provider can't honour a parameter; the reason names it.
        """
        ...

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Callable[[], bool]
    ) -> Answer:
        """Send a call and read its answer. Runs on the call loop; never blocks it.

        `gate` is asked once more when the connection stands, right before the first byte; where it
        says no, `Unavailable` is raised and nothing was sent. Pieces go to `sink` as they come where
        `call.stream`; a cut stream is an error.

        Raises:
            ProviderError: One of its leaves.
        """
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


class Counter(Protocol):
    """Counts tokens."""

    kind: str
    """`exact`, `calibrated` or `estimate`."""

    def count(self, text: str) -> int:
        """Tokens of a text."""
        ...

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text; faster than one by one."""
        ...


class Providers(Protocol):
    """Finds the provider of a route."""

    def of(self, route: Route) -> Provider:
        """The provider that serves the route.

        Raises:
            KeyError: When no codec of that name is registered.
        """
        ...
