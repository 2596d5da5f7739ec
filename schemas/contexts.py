"""`llm.contexts`: the turns of conversations, one record each, and the bounds of what is kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from annotated_types import Ge, MinLen

from schemas.base import Event
from schemas.requests import Message, Name

MAX_TURN_BYTES = 4 * 1024 * 1024
"""Largest turn that is kept, where nothing else is set."""
SYSTEM = ("system", "developer")
"""Roles of turns that instruct."""


class Turn(Event):
    """One turn of a conversation: what was asked, and the answer. Failures are no turns.

    Topic `llm.contexts` (compacted), key `context_id/seq`, on the partition that the conversation's
    requests lie on. Written after the response, and again at a takeover where the first writing is not
    proven, with the same key and value. A record without a value forgets its turn.
    """

    context_id: UUID
    """The conversation."""
    seq: Annotated[int, Ge(0)]
    """Offset of the request record on the conversation's partition: rising with gaps, for ever the same."""
    tenant: Name
    """Whose turn it is; turns of other tenants are never part of its history."""
    request_id: str
    """The request that was answered."""
    asked: Annotated[list[Message], MinLen(1)]
    """What the request brought, oldest first, without its `context`."""
    answer: Message
    """The answer as the assistant's turn: text, tool calls, thinking and the provider's own content."""
    model: str | None = None
    """Model that answered, by the provider's name."""
    asked_ms: Annotated[int, Ge(0)]
    """When the request was appended, Unix time in milliseconds."""


def turn_key(context_id: UUID, seq: int) -> bytes:
    """Key of a turn's record."""
    return f"{context_id}/{seq}".encode()


def parse_turn_key(key: bytes | None) -> tuple[UUID, int]:
    """Conversation and number of a turn, from its record's key.

    Raises:
        ValueError: When it is none.
    """
    context_id, _, seq = (key or b"").decode().partition("/")
    return UUID(context_id), int(seq)


@dataclass(frozen=True, slots=True)
class Conversations:
    """How much is kept of conversations, and where."""

    folder: str | None = None
    """Where each worker keeps its file; `None` for `~/.cache/weir/contexts`. It can be lost at any time."""
    store_bytes: int = 1024**3
    """Most bytes of turns in a worker's file; over it the oldest turns are forgotten there."""
    max_age: timedelta = timedelta(days=30)
    """Turns that are older are forgotten."""
    turn_bytes: int = MAX_TURN_BYTES
    """Largest turn that is kept; a larger one is answered, and is no turn."""
    history_bytes: int = 4 * 1024 * 1024
    """Most bytes of turns that a request is given as history; the oldest are left out."""
    history_turns: int = 1000
    """Greatest number of turns that a request is given as history."""


class Asking(NamedTuple):
    """Which turns a request wants as its history."""

    context_id: UUID
    """Its conversation."""
    tenant: str
    """Its tenant."""
    partition: int
    """The partition it lies on."""
    seq: int
    """Offset of its own record: only earlier turns are wanted."""


@dataclass(frozen=True, slots=True)
class Past:
    """The turns before a request, within the bounds."""

    turns: tuple[Turn, ...] = ()
    """Oldest first, without gaps but those that failures leave."""
    system: tuple[Message, ...] = ()
    """The system turns that hold by now: those of the last turn that brought some."""


def leading_system(messages: Sequence[Message]) -> int:
    """How many system turns stand at the beginning."""
    return next((at for at, turn in enumerate(messages) if turn.role not in SYSTEM), len(messages))
