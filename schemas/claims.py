"""`gateway.idempotency`: which request an `Idempotency-Key` stands for, so that any gateway can answer it."""

from typing import Annotated

from annotated_types import Ge, MaxLen, MinLen

from schemas.base import Event


class Claim(Event):
    """A request that can be asked for again. Key: SHA-256 of tenant, caller and the client's key, as hex.

    Written and acknowledged before the request. The first claim of a key holds for 24 hours, unless a later
    one says that it `replaces` it.
    """

    request_id: Annotated[str, MinLen(1), MaxLen(200)]
    """The request that the key stands for."""
    tenant: Annotated[str, MinLen(1), MaxLen(200)]
    """Who pays; nobody else finds it."""
    body_hash: Annotated[str, MinLen(64), MaxLen(64)]
    """SHA-256 of what is asked, in hexadecimal; the same key with another one is a conflict."""
    streamed: bool
    """Whether pieces of the answer are wanted."""
    home: Annotated[int, Ge(0)]
    """Partition number of the request record, and so of its response."""
    partition: Annotated[int, Ge(0)]
    """Partition of the reply topic that pieces and copy are written to."""
    offset: Annotated[int, Ge(0)]
    """Offset there, before which none of them lies."""
    asked_ms: Annotated[int, Ge(0)]
    """When it was asked, Unix time in milliseconds."""
    deadline_ms: Annotated[int, Ge(0)]
    """Moment after which no answer is wanted, Unix time in milliseconds."""
    replaces: str | None = None
    """The earlier request of this key, where its failure may pass and the client asked again."""


class Resumed(Event):
    """Somebody follows a stream again. Key: `resumed/` and the request id.

    A gateway that waits before it cancels a stream whose reader has gone, leaves it alone then.
    """

    request_id: Annotated[str, MinLen(1), MaxLen(200)]
    """The request whose answer is followed again."""
    at_ms: Annotated[int, Ge(0)]
    """When, Unix time in milliseconds."""
