"""Requests that can be asked for again by their `Idempotency-Key`, from any gateway.

A claim is written and acknowledged before its request, and read back: the first in the log's order holds.
Who comes with the same key gets the stored answer, or follows the one that is being made. A gateway that died
between claim and request loses nothing: whoever comes back sends it again, and workers know a repeat.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from pydantic import ValidationError

from connectors.gateway.exchange.cancels import Cancels
from connectors.gateway.exchange.inbox import Note
from connectors.gateway.exchange.rules import claims as rules
from connectors.gateway.exchange.rules.claims import Claims
from connectors.gateway.exchange.rules.requests import Asked, Stamp, stamped, trace
from connectors.gateway.exchange.rules.streams import Item, Order
from connectors.gateway.exchange.rules.tokens import Place, sign
from connectors.gateway.exchange.sender import Sender, overloaded
from connectors.gateway.exchange.stream import GRACE_S, SLACK_MS, Desk, Stream
from connectors.gateway.ports import Answers, Caller, Problem
from connectors.kafka.errors import KafkaProblem
from schemas.claims import Claim, Resumed
from schemas.codes import NOT_REMEMBERED
from schemas.records import Outgoing
from schemas.requests import Request
from schemas.responses import Response

READ_BACK_S = 10.0
"""Longest wait until a claim is read back."""
START_S = 60.0
"""Longest wait until the claims are read at the start."""
RESUMED = "resumed/"
"""Begins the key of a `Resumed`."""


class Stored:
    """`Answers` of a request that was answered before: from the response alone."""

    def __init__(self, response: Response, place: Place, secret: bytes) -> None:
        self.request_id = place.request_id
        """The request."""
        self._items: tuple[Item, ...] = Order(place.streamed).late(response)
        self._given = 0
        self._place, self._secret = place, secret

    @property
    def token(self) -> str:
        """The start of the answer, or its end."""
        ended = self._given == len(self._items)
        return sign(self._place.model_copy(update={"ended": ended}), self._secret)

    async def __aiter__(self) -> AsyncIterator[Item]:
        while self._given < len(self._items):
            self._given += 1
            yield self._items[self._given - 1]

    async def close(self, *, cancel: bool, grace_s: float = 0.0) -> None:
        """Nothing is under way."""


class _Exchange(Protocol):
    """What is needed of the exchange."""

    desk: Desk
    sender: Sender
    cancels: Cancels

    def prepared(self, request: Request, caller: Caller) -> Asked: ...
    def placed(self, request: Request, asked_ms: int, offset: int) -> Asked: ...
    async def write(self, asked: Asked) -> None: ...
    async def put(self, asked: Asked) -> Stream: ...
    def open(self, place: Place, *, live: bool) -> Stream: ...
    def is_open(self, request_id: str) -> bool: ...


class Keeping:
    """The claims of all gateways, and what follows from them. Lives on the loop."""

    def __init__(self, exchange: _Exchange, topic: str) -> None:
        self._exchange, self._topic = exchange, topic
        self.claims = Claims()
        """What holds."""
        self._read = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def take(self, notes: Iterable[Note], read: int) -> None:
        """The inbox read records of the topic, up to an offset."""
        for note in notes:
            try:
                if note.key.startswith(RESUMED):
                    self._exchange.cancels.keep(Resumed.model_validate_json(note.value).request_id)
                else:
                    self.claims.apply(note.key, Claim.model_validate_json(note.value))
            except ValidationError:
                self._exchange.desk.count("unreadable_claims")
        self.claims.expire(_now_ms())
        self._read = read
        for upto, waiter in self._waiting:
            if upto <= read and not waiter.done():
                waiter.set_result(None)
        self._waiting = [pair for pair in self._waiting if pair[0] > read]

    async def read_up_to(self, offset: int, timeout_s: float = START_S) -> None:
        """Wait until all claims before an offset are read.

        Raises:
            Problem: 503 `overloaded` when that takes too long.
        """
        if self._read >= offset:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((offset, waiter))
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            raise overloaded("idempotency keys can't be read now; try again in a moment") from None

    async def ask(self, request: Request, caller: Caller, key: str) -> Answers:
        """The answer to the request that holds the key: a new one, or an earlier one like it."""
        if not key or len(key) > rules.MAX_KEY_CHARS:
            most = rules.MAX_KEY_CHARS
            raise Problem(400, "invalid_request", f"Idempotency-Key must have 1 to {most} characters")
        name = rules.scope(caller.tenant, caller.id, key)
        body = rules.hash_of(request.model_copy(update={"tenant": caller.tenant}))
        held = self.claims.holder(name, _now_ms())
        if held is not None and (again := await self._again(held, body, request)) is not None:
            return again
        asked = self._exchange.prepared(request, caller)
        mine = _claim(asked.place, body, replaces=held.request_id if held is not None else None)
        written = await self._exchange.sender.send(Outgoing(self._topic, mine.to_bytes(), 0, name.encode()))
        await self.read_up_to(written.offset + 1, READ_BACK_S)
        held = self.claims.holder(name, _now_ms())
        if held is None or held.request_id == mine.request_id:
            return _lasting(await self._exchange.put(asked))
        self.post(name, held.model_copy(update={"replaces": mine.request_id}).to_bytes())
        if (again := await self._again(held, body, request)) is not None:
            return again
        raise overloaded("the same Idempotency-Key was asked at the same time, and failed; try again")

    async def _again(self, held: Claim, body: str, request: Request) -> Answers | None:
        """The answer to the request of a claim; `None` where the key may be claimed anew."""
        if held.body_hash != body:
            raise Problem(422, "conflict", "this Idempotency-Key was used with another request")
        self._exchange.desk.count("asked_again")
        here = self._exchange.is_open(held.request_id)
        response = None if here else await self._response(held)
        if response is not None:
            failed = response.error is not None and response.error.code in NOT_REMEMBERED
            return None if failed else self._stored(held, response)
        if _now_ms() > held.deadline_ms + SLACK_MS:
            return None
        if _now_ms() - held.asked_ms < rules.RESEND_MS and not here:
            await self._send_again(held, request)
        self._exchange.cancels.keep(held.request_id)
        return _lasting(self._exchange.open(place_of(held), live=False))

    async def _send_again(self, held: Claim, request: Request) -> None:
        """The gateway of the claim may have died before it wrote the request."""
        stamp = Stamp(
            request_id=held.request_id,
            tenant=held.tenant,
            reply_topic=self._exchange.desk.replies,
            reply_partition=held.partition,
            deadline_ms=held.deadline_ms,
            traceparent=trace(request.traceparent, held.request_id.encode()[-24:]),
        )
        again = self._exchange.placed(stamped(request, stamp), held.asked_ms, held.offset)
        await self._exchange.write(again)

    async def find(self, request_id: str, caller: Caller) -> Answers:
        """The answer to a request that was asked with a key."""
        held = self.claims.of_request(request_id, _now_ms())
        if held is None or held.tenant != caller.tenant:
            raise Problem(404, "not_found", "there is no such request")
        response = await self._response(held)
        if response is not None:
            return self._stored(held, response)
        self._exchange.cancels.keep(held.request_id)
        return _lasting(self._exchange.open(place_of(held), live=False))

    async def _response(self, held: Claim) -> Response | None:
        """The response where it was made.

        Raises:
            Problem: 503 `overloaded` when the log can't be read now.
        """
        try:
            return await self._exchange.desk.response(held.request_id, held.home, held.asked_ms)
        except (KafkaProblem, ValidationError) as error:
            raise overloaded("earlier answers can't be read now; try again in a moment") from error

    def _stored(self, held: Claim, response: Response) -> Stored:
        return Stored(response, place_of(held), self._exchange.desk.secret())

    def post(self, name: str, value: bytes) -> None:
        """Write a record of the topic that may be lost."""
        self._exchange.sender.post(Outgoing(self._topic, value, 0, name.encode()))


def _lasting(stream: Stream) -> Stream:
    """Its reader can come back with the key."""
    stream.grace_s = GRACE_S
    return stream


def _claim(place: Place, body_hash: str, replaces: str | None) -> Claim:
    return Claim(
        request_id=place.request_id,
        tenant=place.tenant,
        body_hash=body_hash,
        streamed=place.streamed,
        home=place.home,
        partition=place.partition,
        offset=place.offset,
        asked_ms=place.asked_ms,
        deadline_ms=place.deadline_ms,
        replaces=replaces,
    )


def place_of(held: Claim) -> Place:
    """The start of the answer to the request of a claim."""
    return Place(
        request_id=held.request_id,
        tenant=held.tenant,
        partition=held.partition,
        offset=held.offset,
        streamed=held.streamed,
        attempt=0,
        seq=-1,
        whole=False,
        deadline_ms=held.deadline_ms,
        asked_ms=held.asked_ms,
        home=held.home,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
