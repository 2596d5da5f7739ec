"""Stand-ins for the ports of the flow."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bytewax.inputs import DynamicSource, StatelessSourcePartition

from flows.ports import PieceSink
from flows.stages.catalogue import Catalogue
from flows.stages.health import Health
from flows.stages.jobs import CallPlan, Job, PlannedRoute
from flows.stages.limits import Limits
from flows.steps import BoundSteps, StepPolicy, StepPorts, Submit
from schemas.arrivals import Arrival, Identity, Outcome, Start
from schemas.calls import Answer, Call, HttpRequest, Piece, ProviderError, Refused, Route
from schemas.cluster import Cluster
from schemas.packed import NO_OFFSET
from schemas.records import Outgoing, Record
from schemas.responses import Usage
from tests.flows.stages.making import job, route

X = TypeVar("X")
USAGE = Usage(input_tokens=10, output_tokens=4)
ANSWER = Answer("yes", "stop", USAGE)


@dataclass
class FakeDoor:
    """Lets everybody in unless told otherwise."""

    arrivals: dict[str, tuple[Arrival, int]] = field(default_factory=dict[str, tuple[Arrival, int]])
    """By request id."""
    ours: bool = True
    arrived: list[str] = field(default_factory=list[str])
    through: list[int] = field(default_factory=list[int])
    unwanted: set[str] = field(default_factory=set[str])
    """Ids of requests that are cancelled."""

    def arrive(self, record: Record, identity: Identity) -> tuple[Arrival, int]:
        self.arrived.append(identity.request_id)
        return self.arrivals.get(identity.request_id, (Arrival.GO, NO_OFFSET))

    def owns(self, record: Record) -> bool:
        return self.ours

    def cancelled(self, record: Record, identity: Identity) -> bool:
        return identity.request_id in self.unwanted

    def passed(self, record: Record) -> None:
        self.through.append(record.offset)


class FakeCounter:
    """A token for every character."""

    kind = "exact"

    def count(self, text: str) -> int:
        return len(text)

    def count_many(self, texts: list[str]) -> list[int]:
        return [len(text) for text in texts]


class FakeOutlet:
    """Keeps what is sent; full while told so."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.full = False
        self.lost: list[Callable[[Exception], None] | None] = []

    def send(
        self,
        record: Outgoing,
        acked: Callable[[int], None] | None = None,
        lost: Callable[[Exception], None] | None = None,
    ) -> None:
        self.sent.append(record)
        self.lost.append(lost)


class FakeAnswers:
    """Every response is durable at once, at rising offsets."""

    def __init__(self) -> None:
        self.written: list[Outcome] = []

    def write(self, outcomes: list[Outcome], done: Callable[[Outcome], None]) -> None:
        for outcome in outcomes:
            if outcome.response is not None:
                outcome.response_offset = len(self.written)
            self.written.append(outcome)
            done(outcome)


class FakeLedger:
    """Notes attempts; says whether they may go on."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, str]] = []
        self.may = True
        self.wait: Callable[[], Awaitable[None]] | None = None

    def begin(self, starts: list[Start], loop: asyncio.AbstractEventLoop) -> None:
        async def note() -> None:
            for start in starts:
                await self.started(start.record, start.identity, start.attempt, start.route)
                start.go()

        asyncio.run_coroutine_threadsafe(note(), loop)

    async def started(self, record: Record, identity: Identity, attempt: int, route: str) -> bool:
        self.entries.append((record.offset, attempt, route))
        if self.wait is not None:
            await self.wait()
        return self.may


Reply = Answer | ProviderError | Callable[[PieceSink | None], Awaitable[Answer]]


class FakeProvider:
    """Answers from a list, then with `yes`."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.calls: list[Call] = []
        self.encoded: list[HttpRequest | None] = []
        self.gates: list[bool] = []
        self.refuses: set[str] = set()

    def encode(self, call: Call) -> HttpRequest | None:
        if call.route.name in self.refuses:
            raise Refused(f"{call.route.name} cannot do that")
        return HttpRequest("POST", call.route.name, {}, b"")

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Callable[[], bool]
    ) -> Answer:
        self.calls.append(call)
        self.encoded.append(request)
        self.gates.append(gate())
        reply = self.replies.pop(0) if self.replies else ANSWER
        if isinstance(reply, ProviderError):
            raise reply
        return reply if isinstance(reply, Answer) else await reply(sink)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class OneProvider:
    """The same provider for every route."""

    provider: FakeProvider

    def of(self, route: Route) -> FakeProvider:
        return self.provider


async def streamed(sink: PieceSink | None) -> Answer:
    """A streamed answer of two pieces."""
    assert sink is not None
    await sink(Piece("ye"))
    await sink(Piece("s"))
    return ANSWER


async def never(sink: PieceSink | None) -> Answer:
    """No answer within a test."""
    await asyncio.sleep(60)
    return ANSWER


def planned(*names: str, **fields: object) -> Job:
    """A job on its way to these routes."""
    made = job(**fields)
    made.plan = CallPlan(tuple(PlannedRoute(route(name), 5) for name in names or ("p:m",)), "named")
    return made


CLUSTER = Cluster(prefix="x.", partitions=12)


def bound(
    door: FakeDoor | None = None,
    submit: Submit | None = None,
    answers: FakeAnswers | None = None,
    routes: tuple[Route, ...] = (),
    topics: Mapping[str, int] | None = None,
    observed: list[Outcome] | None = None,
) -> BoundSteps:
    """The steps over stand-ins; every job is answered at once with `yes`."""
    seen: list[Outcome] = [] if observed is None else observed
    ports = StepPorts(
        door or FakeDoor(),
        FakeCounter(),
        submit or (lambda jobs, done: None),
        answers or FakeAnswers(),
        lambda: topics or {},
        seen.append,
    )
    catalogue = Catalogue(routes or (route("p:m"),))
    return BoundSteps(ports, StepPolicy(CLUSTER, catalogue, Limits(), ("reply.",)), Health())


class _Draining(StatelessSourcePartition[X]):
    def __init__(self, items: list[X], ended: Callable[[], bool]) -> None:
        self._items, self._ended = list(items), ended
        self._end_s = time.monotonic() + 10

    def next_batch(self) -> list[X]:
        batch, self._items = self._items[:3], self._items[3:]
        if not batch and (self._ended() or time.monotonic() > self._end_s):
            raise StopIteration
        return batch

    def next_awake(self) -> datetime | None:
        return None if self._items else datetime.now(UTC) + timedelta(milliseconds=1)


class DrainingSource(DynamicSource[X]):
    """Hands out items, then nothing, and ends when all is done, as the real one does; or after 10 s."""

    def __init__(self, items: list[X], ended: Callable[[], bool]) -> None:
        self._items, self._ended = items, ended

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Draining[X]:
        return _Draining(self._items, self._ended)
