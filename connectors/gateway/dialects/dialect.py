"""What the APIs have in common: a body is read, an answer is written whole or as a stream of events.

A dialect is pure: it knows one API's words and does no I/O; `answering.py` moves the bytes of all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.requests import Request
from schemas.responses import Response

Style = Literal["openai", "anthropic"]
"""Whose shape errors and limits have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A body that was read."""

    request: Request
    """The wish, as it goes to the topic; ids, tenant and addresses are still missing."""
    options: JsonObject = field(default_factory=dict[str, object])
    """What is only between the client and the gateway: `include_usage`, parameters to echo."""


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer says of itself."""

    request_id: str
    """The request."""
    created_s: int
    """When it was asked, Unix time in seconds."""
    model: str
    """The model that was asked for; streams say it before anybody knows who answers."""

    def named(self, prefix: str) -> str:
        """An id in the API's own style, of the request's: `chatcmpl-...`."""
        return prefix + self.request_id.removeprefix("req_")


class Writer(Protocol):
    """Writes one stream in an API's words. Every method gives the bytes of none, one or more events."""

    heartbeat: bytes
    """Says that we are alive; clients don't see it as an event."""

    def open(self) -> bytes:
        """What comes first."""
        ...

    def piece(self, chunk: Chunk) -> bytes:
        """More of the answer."""
        ...

    def end(self, response: Response) -> bytes:
        """The end of an answer, whose pieces were all written."""
        ...

    def idle(self) -> bytes:
        """An event without content, for clients that count silence."""
        ...

    def fail(self, problem: Problem) -> bytes:
        """The end without an answer, so that no client takes it for a success."""
        ...


class Dialect(Protocol):
    """One API."""

    style: Style
    """Whose shape errors and limits have."""

    def read(self, body: JsonObject, headers: Mapping[str, str]) -> Asked:
        """The request that a body is.

        Raises:
            Problem: 400 `invalid_request`, which names the parameter at fault.
        """
        ...

    def whole(self, asked: Asked, head: Head, response: Response) -> JsonObject:
        """An answer as one object."""
        ...

    def writer(self, asked: Asked, head: Head) -> Writer | None:
        """A writer of one stream; `None` where the API has none, and `read` refuses them."""
        ...
