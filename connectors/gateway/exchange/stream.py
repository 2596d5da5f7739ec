"""The answer to one request, as one reader takes it: live from the shared consumer, or from the log.

Lives on the asyncio loop; one reader at a time. Taking the next item may be given up at any time. What is
held of it is bounded by `rules.window`; what is waited for, by its deadline.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from connectors.gateway.exchange.inbox import Inbox
from connectors.gateway.exchange.lookups import Lookups
from connectors.gateway.exchange.rules.streams import Item, Order
from connectors.gateway.exchange.rules.tokens import Place, sign
from connectors.gateway.exchange.rules.window import Raw, Window
from connectors.gateway.ports import Lost
from connectors.kafka import reading
from connectors.kafka.errors import KafkaProblem
from schemas.chunks import Chunk
from schemas.responses import Response

SLACK_MS = 5_000
"""How long after its deadline an answer may still come: the worker says that it is over."""
COPY_WAIT_S = 2.0
"""How long after the last piece the copy of the response is waited for; then it is read where it was made."""
AGAIN_S = 0.25
"""Rest before the log is read again, where nothing came or it could not be read."""
UNREAD_S = 60.0
"""How long after its deadline a stream that nobody reads is kept."""
GRACE_S = 30.0
"""Time in which the reader of an answer that can be found again may come back, before it is cancelled."""
SKEW_MS = 60_000
"""How far clocks may be apart."""


@dataclass(slots=True)
class Desk:
    """What all streams of a gateway share."""

    inbox: "Inbox[Stream]"
    """The shared consumer."""
    lookups: Lookups
    """The log, for those who can't wait for it."""
    replies: str
    """The reply topic, with the installation's prefix."""
    responses: str
    """The responses' topic, with the installation's prefix."""
    secret: Callable[[], bytes]
    """Signs tokens."""
    leave: "Callable[[Stream], None]"
    """A stream has ended, or nobody reads it any more."""
    abandon: Callable[[str, str, float], None]
    """Cancel a request of a tenant, after so many seconds."""
    counters: dict[str, int] = field(default_factory=dict[str, int])
    """Totals since the start."""

    def count(self, name: str) -> None:
        """One more of it."""
        self.counters[name] = self.counters.get(name, 0) + 1

    async def response(self, request_id: str, home: int, asked_ms: int) -> Response | None:
        """The response where it was made; `None` while there is none.

        Raises:
            KafkaProblem: When the log can't be read now.
        """
        place = reading.Place(self.responses, home)
        raw = await self.lookups.first(place, request_id.encode(), max(0, asked_ms - SKEW_MS))
        return None if raw is None else Response.model_validate_json(raw.value)


class Stream:
    """`Answers` of the exchange."""

    __slots__ = (
        "_batch", "_closed", "_desk", "_ended", "_items", "_mark", "_order", "_over", "_overdue", "_place",
        "_raw_end", "_timer", "_waiter", "grace_s", "request_id", "window",
    )  # fmt: skip

    def __init__(self, desk: Desk, place: Place, live_from: int | None) -> None:
        self._desk, self._place = desk, place
        self.request_id = place.request_id
        """The request."""
        self.grace_s = 0.0
        """Shortest grace before it is cancelled: where its reader can come back."""
        self.window = Window(place.offset, live_from)
        """What is held."""
        self._order = Order(place.streamed, place.attempt, place.seq, place.whole)
        self._batch: deque[Raw] = deque()
        self._items: deque[Item] = deque()
        self._mark = self._raw_end = place.offset
        self._waiter: asyncio.Future[None] | None = None
        self._overdue = False
        self._over: str | None = None
        self._ended, self._closed = place.ended, False
        self._timer = asyncio.get_running_loop().call_later(self._left_s(), self._due)

    @property
    def token(self) -> str:
        """Signed place right after the last item that was given."""
        order = self._order
        place = self._place.model_copy(
            update={
                "offset": self._mark,
                "attempt": order.attempt,
                "seq": order.seq,
                "whole": order.whole,
                "ended": self._ended,
            }
        )
        return sign(place, self._desk.secret())

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Item:
        while True:
            if self._items:
                return self._given(self._items.popleft())
            if self._over is not None and not self._ended:
                self._items.append(Lost(self._over))
            elif self._ended or self._closed:
                raise StopAsyncIteration
            elif self._batch:
                self._read(self._batch.popleft())
            elif (raw := self.window.take()) is not None:
                self._read(raw)
            elif not self.window.live:
                await self.catch_up()
            elif self._overdue:
                await self._look_elsewhere()
            else:
                await self._rest()

    def _given(self, item: Item) -> Item:
        if not self._items:
            self._mark = self._raw_end
        if not isinstance(item, Chunk):
            self._ended = True
            self._desk.count("answered" if isinstance(item, Response) else "lost")
            self._leave()
        return item

    def _read(self, raw: Raw) -> None:
        """Make of a record what is shown of it, if anything."""
        self._raw_end = raw.offset + 1
        try:
            if raw.final:
                self._items.extend(self._order.end(Response.model_validate_json(raw.value)))
            elif (item := self._order.chunk(Chunk.model_validate_json(raw.value))) is not None:
                self._items.append(item)
                if self._order.whole:
                    self._look_later()
        except ValidationError:
            self._items.append(Lost("a record of the answer can't be read"))
        if not self._items:
            self._mark = self._raw_end

    async def catch_up(self) -> int:
        """Read the log from where the reader is; the offset of the oldest record that is kept."""
        desk, place = self._desk, reading.Place(self._desk.replies, self._place.partition)
        if (position := desk.inbox.position.get(self._place.partition)) is not None:
            self.window.rearm(position)
        try:
            found = await desk.lookups.records(place, self.request_id.encode(), self.window.next)
        except KafkaProblem:
            await self._pause()
            return 0
        desk.count("caught_up")
        self._batch.extend(raw for raw in found.raws if raw.offset >= self.window.next)
        self.window.caught(found.upto)
        if not found.raws and not self.window.live:
            await self._pause()
        return found.beginning

    async def _pause(self) -> None:
        """Before the log is read again; what is overdue is looked for elsewhere meanwhile."""
        if self._overdue:
            await self._look_elsewhere()
        else:
            await asyncio.sleep(AGAIN_S)

    async def _look_elsewhere(self) -> None:
        """The copy of the response has not come: read it where it was made."""
        self._overdue = False
        place = self._place
        try:
            response = await self._desk.response(self.request_id, place.home, place.asked_ms)
        except (KafkaProblem, ValidationError):
            response = None
        if self._items or self._batch or self.window.held:
            self._look_later()
        elif response is not None:
            self._desk.count("found_elsewhere")
            self._items.extend(self._order.late(response))
        elif not self._left_s():
            self._items.append(Lost("no answer came before the deadline"))
        else:
            self._look_later()

    def _left_s(self) -> float:
        """Until nothing can come any more."""
        return max(0.0, (self._place.deadline_ms + SLACK_MS) / 1000 - time.time())

    def _look_later(self) -> None:
        """Look for the response soon, unless it comes."""
        self._call_later(min(COPY_WAIT_S, self._left_s()), self._due)

    def _due(self) -> None:
        self._overdue = True
        self.wake()
        self._call_later(self._left_s() + UNREAD_S, self._unread)

    def _unread(self) -> None:
        """Nobody has asked for more, long after the deadline."""
        self._over = "the answer was not read in time"
        self._leave()

    def _call_later(self, wait_s: float, work: Callable[[], None]) -> None:
        self._timer.cancel()
        if not self._closed:
            self._timer = asyncio.get_running_loop().call_later(wait_s, work)

    async def _rest(self) -> None:
        """Wait until there is something to look at."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """There is something to look at."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, reason: str) -> None:
        """Nothing more is read: the gateway stops."""
        self._over = reason
        self.wake()

    def _leave(self) -> None:
        """Hold nothing any more."""
        self._timer.cancel()
        if not self._closed:
            self._closed = True
            self.window.drop()
            self._batch.clear()
            self._desk.leave(self)
            self.wake()

    async def close(self, *, cancel: bool, grace_s: float = 0.0) -> None:
        """Nobody waits any more; with `cancel` the workers are told to stop, unless it has ended."""
        ended = self._ended or self._closed
        self._leave()
        if cancel and not ended:
            self._desk.abandon(self.request_id, self._place.tenant, max(grace_s, self.grace_s))
