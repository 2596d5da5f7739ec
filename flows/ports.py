"""The seams of the flow: what it needs from outside, each a Protocol of one to three methods."""

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from typing import Protocol

from flows.stages.jobs import Failed, Gathered, Job
from schemas.arrivals import Arrival, Identity, Outcome, Start
from schemas.calls import Answer, Call, HttpRequest, Piece, Route
from schemas.contexts import Asking, Past
from schemas.records import Outgoing, Record
from schemas.references import ContextRef

RunPiece = Callable[[bytes], Awaitable[bytes]]
"""Has a pickled task done by the pool; raises `PoolProblem` where that fails."""


class PoolProblem(Exception):  # noqa: N818 - named for whose fault it is
    """The pool could not do a task; the text says why."""


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

    def fits(self, text: str, limit: int) -> bool:
        """Whether a text has at most `limit` tokens; a far longer one isn't looked at whole."""
        ...

    def prefix(self, text: str, limit: int) -> str:
        """The longest prefix of at most `limit` tokens, on a character boundary."""
        ...


class Providers(Protocol):
    """Finds the provider of a route."""

    def of(self, route: Route) -> Provider:
        """The provider that serves the route.

        Raises:
            KeyError: When no codec of that name is registered.
        """
        ...


class Door(Protocol):
    """The bookkeeping of requests: who may go on, and whose they are."""

    def arrive(self, record: Record, identity: Identity) -> tuple[Arrival, int]:
        """What becomes of a request at the door, and where the earlier response of a repeat lies."""
        ...

    def owns(self, record: Record) -> bool:
        """Whether the record is still this worker's to work on."""
        ...

    def cancelled(self, record: Record, identity: Identity) -> bool:
        """Whether its tenant does not want it any more."""
        ...

    def passed(self, record: Record) -> None:
        """The record went through the synchronous steps."""
        ...


class Ledger(Protocol):
    """The ledger's `started` entries."""

    def begin(self, starts: list[Start], loop: AbstractEventLoop) -> None:
        """Note first attempts; each one's `go` is called on the loop when that is durable.

        On the flow's thread, once for all jobs of a turn. Whether an attempt may still be made is asked then.
        """
        ...

    async def started(self, record: Record, identity: Identity, attempt: int, route: str) -> bool:
        """Note that an attempt is about to start, durably; whether it may."""
        ...


class Answers(Protocol):
    """Writes outcomes: the commit point."""

    def write(self, outcomes: list[Outcome], done: Callable[[Outcome], None]) -> None:
        """Hand outcomes over; `done` gets each one when it is durable, on any thread."""
        ...


class Outlet(Protocol):
    """Takes records without waiting; bounded in bytes."""

    @property
    def full(self) -> bool:
        """Whether nothing more should be handed over for now."""
        ...

    def send(
        self,
        record: Outgoing,
        acked: Callable[[int], None] | None = None,
        lost: Callable[[Exception], None] | None = None,
    ) -> None:
        """Hand a record over; without `lost`, its loss ends the process."""
        ...


class Turns(Protocol):
    """The turns of conversations."""

    def read(self, asking: Asking, done: Callable[[Past], None]) -> None:
        """Fetch the turns before a request; `done` gets them on another thread."""
        ...


class Gatherer(Protocol):
    """Fetches what a request needs from outside before it is counted: a context, a history, memories."""

    @property
    def name(self) -> str:
        """What it fetches, in words, as messages say it: `the referenced context`."""
        ...

    @property
    def field(self) -> str | None:
        """The request's field that asks for it."""
        ...

    def wants(self, job: Job) -> bool:
        """Whether the job needs it. On the flow's thread, for every job: one look at an attribute."""
        ...

    async def gather(self, job: Job) -> Gathered | Failed:
        """Fetch it; the job itself stays as it is. Runs on the call loop and never blocks it.

        It is cancelled when its time is over; what it began in a thread must end by itself.
        """
        ...


class Recollection(Protocol):
    """Finds what is remembered of a tenant's user."""

    async def search(self, query: str, tenant: str, user: str) -> list[str]:
        """Texts that may help, best first; in a short, bounded time.

        Raises:
            MemoryProblem: When the memory does not work, or not in time.
        """
        ...


class References(Protocol):
    """Reads contexts that lie outside the topic."""

    async def read(self, ref: ContextRef, tenant: str) -> tuple[str, object]:
        """The text, and what to keep for as long as the text is kept: it bounds what is held at a time.

        Raises:
            ReferenceProblem: One of its leaves.
        """
        ...
