"""What a run leaves behind, as seen from outside: records of the topics and calls of the provider's log."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

CallEnd = Literal["finished", "closed", "fault", "open"]
"""How a call ended: answered whole, cut by the caller, failed on purpose, or not yet."""


class Place(NamedTuple):
    """The identity of a request record."""

    source: int
    """Number of its topic in `schemas.topics.SOURCES`."""
    partition: int
    """Its partition."""
    offset: int
    """Its offset."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request record."""

    place: Place
    """Where it lies."""
    request_id: str
    """Its id, or its place as text where it has none that can be read."""
    append_ms: int
    """When the broker appended it, Unix time in milliseconds."""
    kind: str = ""
    """What the bench made it for, from its `bench-kind` header; empty on plain loads."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A response record."""

    place: Place | None
    """The request record that its `source` header names; `None` where it names none."""
    partition: int
    """Partition it lies on."""
    append_ms: int
    """When the broker appended it, Unix time in milliseconds."""
    code: str | None
    """The failure it carries; `None` for an answer."""
    unknown_outcome: bool
    """Whether it says that an earlier call was never heard of again."""
    known_attempts: int
    """Attempts it lists whose outcome is known."""
    value_bytes: int
    """Length of its value."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A `started` entry of the ledger."""

    place: Place
    """The request record."""
    attempt: int
    """Try of the call, from 1."""
    append_ms: int
    """When the broker appended it, Unix time in milliseconds."""


@dataclass(frozen=True, slots=True)
class Done:
    """A `settled` entry of the ledger."""

    place: Place
    """The request record."""
    unanswered: bool
    """Whether it was recognised as a repeat or moved elsewhere, so that no response is due here."""


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter."""

    place: Place | None
    """The request record it was made of."""
    code: str
    """The failure it names."""


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """A call as the fake provider saw it."""

    request_id: str
    """The request, from the `x-request-id` header."""
    start_ms: float
    """When its last byte had arrived, Unix time in milliseconds."""
    end_ms: float | None
    """When the full answer was sent, or the call ended otherwise; `None` while it is open."""
    end: CallEnd
    """How it ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A worker that was killed or stopped from outside."""

    at_ms: float
    """When the signal was sent, Unix time in milliseconds."""
    until_ms: float
    """When the process was gone, or went on."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was read from topics and the provider, each list in the order of its log."""

    asked: tuple[Asked, ...] = ()
    """Request records."""
    answered: tuple[Answered, ...] = ()
    """Response records."""
    begun: tuple[Begun, ...] = ()
    """Started entries."""
    done: tuple[Done, ...] = ()
    """Settled entries."""
    buried: tuple[Buried, ...] = ()
    """Dead letters."""
    calls: tuple[ProviderCall, ...] = ()
    """Calls at the provider."""

    def only(self, prefix: str) -> "Facts":
        """The part that belongs to requests whose id starts with `prefix`."""
        return self._where(lambda request_id: request_id.startswith(prefix))

    def without(self, prefix: str) -> "Facts":
        """The part that belongs to all other requests, those without a readable id included."""
        return self._where(lambda request_id: not request_id.startswith(prefix))

    def _where(self, wanted: Callable[[str], bool]) -> "Facts":
        asked = tuple(one for one in self.asked if wanted(one.request_id))
        places = {one.place for one in asked}
        return Facts(
            asked,
            tuple(answer for answer in self.answered if answer.place in places),
            tuple(entry for entry in self.begun if entry.place in places),
            tuple(entry for entry in self.done if entry.place in places),
            tuple(letter for letter in self.buried if letter.place in places),
            tuple(call for call in self.calls if wanted(call.request_id)),
        )
