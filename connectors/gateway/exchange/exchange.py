"""Requests go out, answers come back: the `Exchange` and `Streams` of the gateway.

A request is on the topic, acknowledged, before anybody is told so, and its answer is followed from before
that moment. Nothing here outlives a crash, and nothing needs to: claims, requests and answers are on the log.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping

from connectors.gateway.exchange.cancels import Cancels
from connectors.gateway.exchange.inbox import Batch, Inbox
from connectors.gateway.exchange.keeping import Keeping
from connectors.gateway.exchange.lookups import Lookups
from connectors.gateway.exchange.rules import requests as rules
from connectors.gateway.exchange.rules.requests import Asked, Stamp
from connectors.gateway.exchange.rules.tokens import Place, read
from connectors.gateway.exchange.sender import Sender, overloaded
from connectors.gateway.exchange.stream import GRACE_S, Desk, Stream
from connectors.gateway.parts import GatewaySettings
from connectors.gateway.ports import Answers, Caller, Problem
from connectors.kafka.errors import TopicMismatch
from connectors.kafka.reading import partition_of
from schemas.base import JsonObject
from schemas.claims import Resumed
from schemas.cluster import Cluster
from schemas.records import Outgoing
from schemas.requests import MAX_REQUEST_BYTES, Request
from schemas.topics import CONTROL, GATEWAY_IDEMPOTENCY, GATEWAY_REPLIES, METRICS, REQUESTS, RESPONSES

_HEAD = (("content-type", b"application/json"),)


class KafkaExchange:
    """The exchange on Kafka: a `Part`, an `Exchange`, and `Streams`. Used on one asyncio loop."""

    def __init__(
        self,
        cluster: Cluster,
        settings: GatewaySettings,
        secret: Callable[[], bytes],
        models: Callable[[], list[JsonObject]] = list,
    ) -> None:
        """Nothing is connected before `start`.

        Args:
            cluster: Where Kafka is.
            settings: Bounds, and which partitions are this gateway's.
            secret: What tokens are signed with; asked when one is.
            models: What `models` says.
        """
        self._cluster, self._settings, self._models = cluster, settings, models
        self._replies = cluster.topic(GATEWAY_REPLIES.name)
        self._requests = cluster.topic(REQUESTS.name)
        self.sender = Sender(cluster, settings.outgoing_bytes)
        self.inbox: Inbox[Stream] = Inbox(cluster)
        self._lookups = Lookups(cluster)
        responses = cluster.topic(RESPONSES.name)
        self.cancels = Cancels(self.sender, cluster.topic(CONTROL.name), self.is_open)
        self.desk = Desk(
            self.inbox, self._lookups, self._replies, responses, secret, self._forget, self.cancels.later
        )
        self.keeping = Keeping(self, cluster.topic(GATEWAY_IDEMPOTENCY.name))
        self._open: dict[str, set[Stream]] = {}
        self.under_way = 0
        """Streams that are open."""
        self._partitions: dict[str, int] = {}
        self._mine: list[int] = []
        self.ready = False
        """Whether the ends of the logs are known and the claims are read."""

    async def start(self) -> None:
        """Connect; returns when ready.

        Raises:
            KafkaProblem: When Kafka can't be reached, or lacks a topic.
        """
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self.inbox.open, self._is_mine)
        self._mine = sorted(self.inbox.position)
        if not self._mine:
            raise TopicMismatch(f"no partition of {self._replies} is ours", hint="set --instances to fewer")
        names = [
            self._cluster.topic(topic.name) for topic in (REQUESTS, CONTROL, GATEWAY_IDEMPOTENCY, METRICS)
        ]
        self._partitions = await asyncio.to_thread(self.sender.open, loop, names)
        self.inbox.start(loop, self._deliver)
        await self.keeping.read_up_to(self.inbox.claims_end)
        self.ready = True

    def _is_mine(self, partition: int) -> bool:
        instances = self._settings.instances
        return not instances or partition % instances == self._settings.ordinal

    async def stop(self) -> None:
        """End threads and connections; streams that are open end as lost."""
        self.ready = False
        self.end_streams("the gateway stops; come again")
        await self.cancels.stop()
        for close in (self.inbox.stop, self._lookups.close, self.sender.close):
            await asyncio.to_thread(close)

    def end_streams(self, reason: str) -> None:
        """Open streams end as lost; they can be resumed at another gateway."""
        for streams in list(self._open.values()):
            for stream in list(streams):
                stream.end(reason)

    async def ask(self, request: Request, caller: Caller, *, key: str | None = None) -> Answers:
        """Put a request on the topic, durably, and follow its answer; see `Exchange`."""
        self.desk.count("asked")
        if key is not None:
            return await self.keeping.ask(request, caller, key)
        return await self.put(self.prepared(request, caller))

    def prepared(self, request: Request, caller: Caller) -> Asked:
        """A request with a new id, on its way to the topic."""
        now_ms = _now_ms()
        chance = os.urandom(34)
        request_id = rules.request_id(now_ms, chance[:10])
        partition = self._mine[partition_of(request_id.encode(), len(self._mine))]
        stamp = Stamp(
            request_id=request_id,
            tenant=caller.tenant,
            reply_topic=self._replies,
            reply_partition=partition,
            deadline_ms=rules.deadline_ms(request, now_ms, _ms(self._settings.timeout.total_seconds())),
            traceparent=rules.trace(request.traceparent, chance[10:]),
        )
        return self.placed(rules.stamped(request, stamp), now_ms, self.inbox.position[partition])

    def placed(self, request: Request, asked_ms: int, offset: int) -> Asked:
        """A stamped request, and where its answer is followed from."""
        place = Place(
            request_id=str(request.request_id),
            tenant=request.tenant,
            partition=request.reply_partition or 0,
            offset=offset,
            streamed=request.stream,
            attempt=0,
            seq=-1,
            whole=False,
            deadline_ms=request.deadline_ms or 0,
            asked_ms=asked_ms,
            home=partition_of(rules.key_of(request), self._partitions[self._requests]),
        )
        return Asked(request, place)

    async def put(self, asked: Asked) -> Stream:
        """Follow an answer, then write its request.

        Raises:
            Problem: 503 `overloaded`, 413 `too_large`.
        """
        stream = self.open(asked.place, live=True)
        try:
            await self.write(asked)
        except asyncio.CancelledError:
            await stream.close(cancel=True)  # it may be on the topic already
            raise
        except Problem:
            await stream.close(cancel=False)
            raise
        return stream

    async def write(self, asked: Asked) -> None:
        """Write a request to its partition; returns when it is durable.

        Raises:
            Problem: 503 `overloaded`, 413 `too_large`.
        """
        request = asked.request
        value = request.to_bytes()
        if len(value) > MAX_REQUEST_BYTES:
            raise Problem(
                413, "too_large", f"the request has {len(value)} bytes; at most {MAX_REQUEST_BYTES}"
            )
        headers = (*_HEAD, ("request_id", asked.place.request_id.encode()))
        key = rules.key_of(request)
        await self.sender.send(Outgoing(self._requests, value, asked.place.home, key, headers))

    def open(self, place: Place, *, live: bool) -> Stream:
        """Follow an answer from a place on; `live` where nothing of it can have come yet.

        Raises:
            Problem: 503 `overloaded` when too much is under way.
        """
        if self.under_way >= self._settings.requests:
            raise overloaded("too many requests are under way; try again in a moment")
        stream = Stream(self.desk, place, live_from=place.offset if live else None)
        streams = self._open.setdefault(place.request_id, set())
        streams.add(stream)
        self.under_way += 1
        self.inbox.wanted[place.request_id.encode()] = tuple(streams)
        if live:  # from here on the inbox brings all: `position` is read after `wanted` was written
            stream.window.next = stream.window.live_from = self.inbox.position[place.partition]
        return stream

    def _forget(self, stream: Stream) -> None:
        """A stream has ended, or nobody reads it any more."""
        streams = self._open.get(stream.request_id, set())
        if stream in streams:
            self.under_way -= 1
            streams.discard(stream)
        if streams:
            self.inbox.wanted[stream.request_id.encode()] = tuple(streams)
        else:
            self._open.pop(stream.request_id, None)
            self.inbox.wanted.pop(stream.request_id.encode(), None)

    def is_open(self, request_id: str) -> bool:
        """Whether somebody here follows the answer to a request."""
        return request_id in self._open

    def _deliver(self, batch: Batch[Stream]) -> None:
        """The inbox read something."""
        for waiting, raw in batch.raws:
            for stream in waiting:
                stream.window.push(raw)
                stream.wake()
        if batch.noted is not None:
            self.keeping.take(batch.notes, batch.noted)

    async def resume(self, token: str, caller: Caller) -> Answers:
        """Go on right after a place that `Answers.token` named; see `Streams`."""
        place = read(token, self.desk.secret())
        if place is None or place.tenant != caller.tenant:
            raise Problem(404, "not_found", "there is no such stream")
        stream = self.open(place, live=False)
        stream.grace_s = GRACE_S
        try:
            if await stream.catch_up() > place.offset:
                raise Problem(410, "gone", "the pieces of this answer are not kept any more")
        except (Problem, asyncio.CancelledError):
            await stream.close(cancel=False)
            raise
        self.desk.count("resumed")
        self.cancels.keep(place.request_id)
        resumed = Resumed(request_id=place.request_id, at_ms=_now_ms())
        self.keeping.post(f"resumed/{place.request_id}", resumed.to_bytes())
        return stream

    async def find(self, request_id: str, caller: Caller) -> Answers:
        """The answer to a request that was asked with a key; see `Streams`."""
        return await self.keeping.find(request_id, caller)

    async def cancel(self, request_id: str, tenant: str) -> None:
        """Tell the workers to stop.

        Raises:
            Problem: 503 `overloaded` when Kafka doesn't take it.
        """
        await self.cancels.now(request_id, tenant)

    async def models(self) -> list[JsonObject]:
        """Model names that can be asked for."""
        return self._models()

    def counters(self) -> Mapping[str, int]:
        """Totals since the start."""
        own = {"foreign_records": self.inbox.foreign, "scans": self._lookups.scans}
        own |= {"cancelled": self.cancels.sent, "claims_dropped": self.keeping.claims.dropped}
        return self.desk.counters | own

    def gauges(self) -> Mapping[str, float]:
        """Values of the moment."""
        streams = [stream for several in self._open.values() for stream in several]
        return {
            "streams": float(self.under_way),
            "held_bytes": float(sum(stream.window.held_bytes for stream in streams)),
            "outgoing_bytes": float(self.sender.bytes),
            "lookups": float(self._lookups.waiting),
            "claims": float(len(self.keeping.claims)),
        }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
