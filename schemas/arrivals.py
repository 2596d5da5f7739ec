"""What passes between the flow and the bookkeeping of requests: who a request is, and what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

from schemas.packed import NO_OFFSET
from schemas.records import Outgoing, Record
from schemas.requests import Request
from schemas.responses import Response


class Identity(NamedTuple):
    """What the rules need to know of a request, besides its record."""

    tenant: str
    """Who pays."""
    request_id: str
    """Its id."""
    request_hash: int
    """Hash of both; 0 where the id was made from its place."""
    body_hash: int
    """Hash of what is asked."""
    context_id: UUID | None
    """Its conversation."""


class Start(NamedTuple):
    """A request's attempt that is about to be made."""

    record: Record
    """The request record."""
    identity: Identity
    """Who it is."""
    attempt: int
    """Number of the attempt: 1, or more where earlier owners made some."""
    route: str
    """Name of the route."""
    go: Callable[[], None]
    """Called on the call loop once the attempt is noted."""


class Closing(NamedTuple):
    """A request record that is done with, derived records included."""

    record: Record
    """The record."""
    identity: Identity | None
    """Who it was; `None` where it could not be read."""
    response_offset: int
    """Where its response lies, or `NO_OFFSET`."""
    remembered: bool
    """Whether the same request, sent again, is a repeat."""


class Arrival(Enum):
    """What becomes of a request that reached the door."""

    GO = auto()
    """It goes on."""
    HELD = auto()
    """It waits for an earlier one and will come again."""
    REPEAT = auto()
    """It was answered before: no second answer."""
    CONFLICT = auto()
    """Its id was used with another body."""
    CANCELLED = auto()
    """Its tenant does not want it any more."""
    OWED = auto()
    """An earlier owner answered it, and its turn is not proven written: only that is left to do."""
    GONE = auto()
    """Its partition is another worker's now."""


@dataclass(slots=True)
class Outcome:
    """How a request record ends: with a response, moved elsewhere, or as a repeat without an answer."""

    record: Record
    """The request record."""
    identity: Identity | None
    """Who it was; `None` where it could not be read."""
    response: Response | None = None
    """The answer or failure; absent for moves and repeats."""
    value: bytes = b""
    """The response as it is written."""
    remembered: bool = False
    """Whether the same request, sent again, is a repeat of this one."""
    move: Outgoing | None = None
    """The record to write elsewhere instead of a response."""
    repeat_of: int = NO_OFFSET
    """Offset of the response to the earlier request, for a repeat."""
    owed: bool = False
    """Whether an earlier owner answered it, and its turn must be written; `response_offset` says where."""
    request: Request | None = None
    """What was asked, where it is a turn of a conversation."""
    copy_to: tuple[str, int | None, str | None] | None = None
    """Reply topic, partition and correlation id of a repeat that wants a copy."""
    dead_letter: Outgoing | None = None
    """The original bytes, to be written before the response."""
    response_offset: int = NO_OFFSET
    """Where the response lies; set when it is acknowledged."""
