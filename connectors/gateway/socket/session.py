"""One socket's state: what may come, what goes out, what is dropped. Pure: the time is an argument.

The shell hands in what the client sent (`receive`), what became of its requests (`accepted`, `piece`,
`ended`, `refused`) and the feeds four times a second (`tick`); it takes messages out (`take`) and sends them.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.gateway.ports import INVOKE, METRICS_READ, Caller, Lost, Problem
from connectors.gateway.socket import protocol as wire
from connectors.gateway.socket.feed import Feed, Filter
from connectors.gateway.socket.protocol import Limits, NotUnderstoodError
from schemas.chunks import Chunk
from schemas.responses import Response

PATIENCE_S = 5
"""Seconds' worth of messages over the rate, after which the socket is closed."""

Act = wire.Submit | wire.Follow | wire.Cancel
"""What the shell has to do."""


@dataclass(slots=True)
class _Watch:
    topic: str
    wanted: Filter
    epoch: str | None
    """Of the count that `told` belongs to."""
    cursor: int
    """Number of the newest row looked at."""
    told: int | None
    """`seq` the client was told last; `None` before the first message."""
    paused: bool = False
    shown: bool = False
    """Whether a message of it has gone out."""


class Session:
    """The protocol's state for one socket."""

    def __init__(
        self, caller: Caller, limits: Limits, now_s: float, private: frozenset[str] = frozenset()
    ) -> None:
        """A socket of `caller`; topics in `private` are for the scope `admin` alone."""
        self.closing: tuple[int, str] | None = None
        """Code and reason to close with, when all that waits is sent."""
        self.queued_bytes = 0
        """Bytes that wait to be sent."""
        self.greeted = False
        """Whether the client's hello has come."""
        self._caller = caller
        self._limits = limits
        self._all = caller.may("admin")
        watchable = caller.may(METRICS_READ)
        self.topics = [one for one in wire.TOPICS if watchable and (self._all or one not in private)]
        """Topics that this caller may watch."""
        self._streams: dict[str, bool] = {}
        self._watches: dict[str, _Watch] = {}
        self._out: deque[bytes] = deque()
        self._allowance = 2.0 * limits.messages_per_s
        self._at_s = now_s

    @property
    def room(self) -> bool:
        """Whether more of an answer, or of the client's messages, may be taken."""
        return self.queued_bytes < self._limits.queue_bytes

    @property
    def watched(self) -> set[str]:
        """Topics whose feeds `tick` needs."""
        return {watch.topic for watch in self._watches.values()}

    def take(self) -> bytes | None:
        """The next message to send."""
        if not self._out:
            return None
        message = self._out.popleft()
        self.queued_bytes -= len(message)
        return message

    def receive(self, text: str, now_s: float) -> Act | None:
        """Take a message from the client; what is returned has to be done by the shell."""
        if self.closing is not None or not self._within_rate(now_s):
            return None
        if len(text) > self._limits.message_bytes:
            self.close(wire.TOO_LARGE, "the message is too large")
            return None
        try:
            message = wire.read(text)
        except NotUnderstoodError as fault:
            self._send(wire.error("invalid_request", fault.message, fault.id, fault.param))
            if not self.greeted:
                self.close(wire.BAD_PROTOCOL, "the first message must be a hello")
            return None
        if isinstance(message, wire.Hello) or not self.greeted:
            self._greet(message)
            return None
        return self._do(message)

    def close(self, code: int, reason: str) -> None:
        """End the socket when what waits is sent; the first reason holds."""
        self.closing = self.closing or (code, reason)

    def accepted(self, ref: str, request_id: str, token: str) -> None:
        """A request is durable, or is followed again."""
        if ref in self._streams:
            self._streams[ref] = True
            self._send(wire.submitted(ref, request_id, token))

    def piece(self, ref: str, item: Chunk) -> None:
        """A piece of an answer came."""
        if self._streams.get(ref):
            self._send(wire.chunk(ref, item))

    def ended(self, ref: str, item: Response | Lost) -> None:
        """The end of an answer came."""
        if self._streams.pop(ref, False):
            whole = isinstance(item, Response)
            self._send(wire.response(ref, item) if whole else wire.error("lost", item.reason, ref))

    def refused(self, ref: str, problem: Problem) -> None:
        """There will be no answer, or not what was asked for."""
        self._streams.pop(ref, None)
        self._send(wire.error(problem.code, problem.message, ref, problem.param))

    def complain(self, ref: str, problem: Problem) -> None:
        """Something asked of a stream was not done; the stream goes on."""
        self._send(wire.error(problem.code, problem.message, ref, problem.param))

    def tick(self, feeds: Mapping[str, Feed]) -> None:
        """Queue what is new on the watched topics, as far as the client keeps up."""
        for ref, watch in self._watches.items():
            feed = feeds.get(watch.topic)
            if feed is None or not feed.ready:
                continue
            if self.queued_bytes > self._limits.queue_bytes // 4:
                if not watch.paused:
                    watch.paused = True
                    self._send(wire.note("paused", ref))
                continue
            self._show(ref, watch, feed)

    def _show(self, ref: str, watch: _Watch, feed: Feed) -> None:
        watch.paused = False
        viewer = None if self._all else self._caller.tenant
        bounds = (self._limits.rows, self._limits.queue_bytes // 8)
        if watch.told is None or watch.epoch != feed.epoch or not feed.holds(watch.cursor):
            before, rows = feed.last(watch.wanted, viewer, *bounds)
            known = watch.epoch == feed.epoch
            dropped = max(0, before - watch.cursor) if known else 0
            self._send(wire.snapshot(ref, watch.topic, (feed.epoch, feed.seq), rows, dropped))
            watch.epoch, watch.cursor, watch.told, watch.shown = feed.epoch, feed.seq, feed.seq, True
            return
        watch.cursor, rows = feed.after(watch.cursor, watch.wanted, viewer, *bounds)
        if rows or not watch.shown:
            self._send(wire.delta(ref, watch.told, watch.cursor, rows))
            watch.told, watch.shown = watch.cursor, True

    def _greet(self, message: wire.FromClient) -> None:
        if not isinstance(message, wire.Hello) or self.greeted:
            self.close(wire.BAD_PROTOCOL, "a hello comes first, and once")
        elif message.version != wire.VERSION:
            self.close(wire.BAD_PROTOCOL, f"this gateway speaks version {wire.VERSION}")
        else:
            self.greeted = True
            self._send(wire.hello(self._caller, self.topics, self._limits))

    def _do(self, message: wire.AfterHello) -> Act | None:
        match message:
            case wire.Submit() | wire.Follow():
                return message if self._may_start(message.id) else None
            case wire.Cancel():
                if message.id in self._streams:
                    return message
                self._send(wire.error("not_found", "no stream of that id is under way", message.id))
            case wire.Subscribe():
                self._subscribe(message)
            case wire.Unsubscribe():
                if self._watches.pop(message.id, None) is None:
                    self._send(wire.error("not_found", "there is no subscription of that id", message.id))
                else:
                    self._send(wire.note("unsubscribed", message.id))
            case _:
                self._send(wire.note("pong", message.id))
        return None

    def _may_start(self, ref: str) -> bool:
        if not self._caller.may(INVOKE):
            refusal = "forbidden", f"asking needs the scope {INVOKE}"
        elif ref in self._streams or ref in self._watches:
            refusal = "conflict", "the id is in use on this socket"
        elif len(self._streams) >= self._limits.streams:
            refusal = "overloaded", f"at most {self._limits.streams} answers at once on a socket"
        else:
            self._streams[ref] = False
            return True
        self._send(wire.error(*refusal, ref=ref))
        return False

    def _subscribe(self, asked: wire.Subscribe) -> None:
        if asked.topic not in wire.TOPICS:
            refusal = "not_found", f"`topic` must be one of {', '.join(self.topics) or 'none'}"
        elif asked.topic not in self.topics:
            refusal = "forbidden", f"watching it needs the scope {METRICS_READ}, or admin"
        elif asked.id in self._streams or asked.id in self._watches:
            refusal = "conflict", "the id is in use on this socket"
        elif len(self._watches) >= self._limits.subscriptions:
            refusal = "overloaded", f"at most {self._limits.subscriptions} subscriptions on a socket"
        else:
            told = asked.since if asked.epoch is not None else None
            self._watches[asked.id] = _Watch(asked.topic, asked.filter, asked.epoch, told or 0, told)
            return
        self._send(wire.error(*refusal, ref=asked.id))

    def _within_rate(self, now_s: float) -> bool:
        """Whether the message may be acted on; each one costs, those over the rate too."""
        rate = self._limits.messages_per_s
        self._allowance = min(2.0 * rate, self._allowance + max(0.0, now_s - self._at_s) * rate) - 1
        self._at_s = max(now_s, self._at_s)
        if self._allowance >= 0:
            return True
        if self._allowance < -PATIENCE_S * rate:
            self.close(wire.TOO_FAST, "too many messages")
        else:
            self._send(wire.error("rate_limited", f"at most {rate} messages a second"))
        return False

    def _send(self, message: bytes) -> None:
        self._out.append(message)
        self.queued_bytes += len(message)
