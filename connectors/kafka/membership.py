"""What reaches into kafka-python's private parts, with the modules whose `PARTS` are named below.

It is pinned to 3.0.12 for this.

- The lease hangs on the coordinator's heartbeat.
- The producer's client is gated by the lease, down to the line above the socket.
- Late release: the follow-up join of a cooperative move is put off until the revoked partitions are drained,
  and any other join still claims them as owned, so that nobody gets a partition that is still written to.
- A join in flight is not forgotten (a bug of 3.0.12: `need_rejoin` drops it when its cause goes away).

`missing_parts()` names what a later version lacks; a test asks it.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from kafka import KafkaConsumer, structs
from kafka import errors as foreign
from kafka.cluster import ClusterMetadata
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.heartbeat import Heartbeat
from kafka.future import Future
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.structs import TopicPartition

from connectors.kafka.containers import PARTS as CONTAINER_PARTS
from connectors.kafka.fetches import PARTS as FETCH_PARTS
from connectors.kafka.headers import PARTS as HEADER_PARTS
from connectors.kafka.hurry import PARTS as HURRY_PARTS
from connectors.kafka.polls import PARTS as POLL_PARTS
from connectors.kafka.records import PARTS as RECORD_PARTS
from connectors.kafka.rules.lease import Lease
from connectors.kafka.sockets import PARTS as SOCKET_PARTS
from connectors.kafka.transports import PARTS as TRANSPORT_PARTS
from connectors.kafka.unpack import PARTS as READ_PARTS

BRIEF_MS = 10.0
"""A producer that waits no longer than this is not woken for a new batch."""
_PRODUCE = b"\0\0"
_STABLE: Any = cast(Any, structs).MemberState.STABLE
_PARTS: tuple[tuple[type, str], ...] = (
    (BaseCoordinator, "request_rejoin"),
    (BaseCoordinator, "need_rejoin"),
    (BaseCoordinator, "rejoining"),
    (BaseCoordinator, "heartbeat"),
    (BaseCoordinator, "_client"),
    (KafkaConsumer, "_coordinator"),
    (BaseCoordinator, "join_group_async"),
    (Heartbeat, "sent_heartbeat"),
    (Heartbeat, "received_heartbeat"),
    (Heartbeat, "reset_timeouts"),
    (KafkaConnectionManager, "_build_transport"),
    (KafkaTCPTransport, "_sock_send"),
    (KafkaSSLTransport, "_sock_send"),
    (KafkaTCPTransport, "_write_buffer"),
    (KafkaNetClient, "_manager"),
    (KafkaNetClient, "_net"),
    (KafkaNetClient, "connection_delay"),
    (KafkaConnectionManager, "cluster"),
    (ClusterMetadata, "config"),
    (NetworkSelector, "_ready"),
    *POLL_PARTS,
    *CONTAINER_PARTS,
    *FETCH_PARTS,
    *RECORD_PARTS,
    *HEADER_PARTS,
    *READ_PARTS,
    *HURRY_PARTS,
    *SOCKET_PARTS,
    *TRANSPORT_PARTS,
)


def missing_parts() -> list[str]:
    """Private parts that this version of kafka-python lacks; empty for the pinned one."""
    return [f"{owner.__name__}.{name}" for owner, name in dict.fromkeys(_PARTS) if not _has(owner, name)]


def _has(owner: type, name: str) -> bool:
    """Whether a class has an attribute, or names it in its constructor."""
    constructor: Any = owner.__init__
    return hasattr(owner, name) or name in constructor.__code__.co_names


def boot_s() -> float:
    """Seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def remember_join(consumer: KafkaConsumer) -> None:
    """A join in flight is awaited even where its cause goes away; before the first poll."""
    coordinator: Any = cast(Any, consumer)._coordinator
    need: Callable[[], bool] = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: coordinator.rejoining or need()


class LeasedHeartbeat(Heartbeat):
    """kafka-python's heartbeat bookkeeping, which also keeps the lease."""

    def __init__(self, lease: Lease, stable: Callable[[], bool], **config: Any) -> None:
        super().__init__(**config)
        self._lease, self._stable = lease, stable

    def sent_heartbeat(self) -> None:
        self._lease.sent(boot_s())
        super().sent_heartbeat()

    def received_heartbeat(self) -> None:
        super().received_heartbeat()
        self._lease.accepted()

    def reset_timeouts(self) -> None:
        super().reset_timeouts()
        if self._stable():  # it is also called when the coordinator is found, long before a join may end
            self._lease.joined(boot_s())


class Membership:
    """A consumer's membership in its group: the lease, late release, and the join that isn't forgotten."""

    def __init__(self, consumer: KafkaConsumer, lease: Lease) -> None:
        """Hook into the consumer; before `subscribe`.

        Args:
            consumer: The group's consumer; no poll was made yet.
            lease: Kept up to date from now on.
        """
        coordinator = cast(Any, consumer)._coordinator
        self._coordinator = coordinator
        self._rejoin: Callable[[], None] = coordinator.request_rejoin
        self._swallow = False

        def stable() -> bool:
            return bool(coordinator.state == _STABLE)

        heartbeat = LeasedHeartbeat(lease, stable, **coordinator.config)
        coordinator.heartbeat = heartbeat
        coordinator.request_rejoin = self._request_rejoin
        remember_join(consumer)

    def put_off_rejoin(self) -> None:
        """Swallow the follow-up join of the cooperative move that is going on; `rejoin` makes up for it."""
        self._swallow = True

    def rejoin(self) -> None:
        """Ask for the join that was put off."""
        self._rejoin()

    def _request_rejoin(self) -> None:
        if self._swallow:
            self._swallow = False
            return
        self._rejoin()


def claiming_assignor(draining: Callable[[], Iterable[TopicPartition]]) -> type[CooperativeStickyAssignor]:
    """The cooperative assignor of a member that also claims what it is still draining."""

    class ClaimingAssignor(CooperativeStickyAssignor):
        """The assignor."""

        def metadata(self, topics: Any) -> Any:
            kept = self.member_assignment
            claimed = list(kept or [])
            claimed += [place for place in draining() if place not in claimed]
            self.member_assignment = claimed or kept
            try:
                return super().metadata(topics)
            finally:
                self.member_assignment = kept

    return ClaimingAssignor


class QuickClient(KafkaNetClient):
    """A client that asks for metadata again after its `retry_backoff_ms`.

    kafka-python 3.0.12 does not pass that on to where it is decided, so each topic that a client meets after
    its first costs 100 ms: half a second of a worker's start.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "retry_backoff_ms" in kwargs:
            cast(Any, self)._manager.cluster.config["retry_backoff_ms"] = kwargs["retry_backoff_ms"]


class BriefClient(QuickClient):
    """A producer's client that spares turns of its sender, each of which looks at all batches.

    - A new batch doesn't end a brief wait, for the sender looks afterwards anyway. It ends a long one, but
      only the linger later, or when somebody is in a hurry.
    - A sender that has just sent something looks by at once; it is let go on to its next wait.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._linger_ms = kwargs.get("linger_ms", 0)
        self._brief = self._passed = self._fresh = False
        self.in_a_hurry: Callable[[], bool] = lambda: False
        """Whether somebody waits for what the sender holds."""
        super().__init__(*args, **kwargs)

    def poll(self, timeout_ms: float | None = None, future: Any = None) -> Any:
        """Wait for the network; the sender looks at all batches afterwards."""
        if timeout_ms == 0 and not self._passed and not cast(Any, self)._net._ready:
            self._passed = True
            return
        self._passed = self._fresh = False
        self._brief = timeout_ms is not None and timeout_ms <= BRIEF_MS
        try:
            super().poll(timeout_ms=timeout_ms, future=future)
            if self._fresh and not self.in_a_hurry():
                self._brief = True
                super().poll(timeout_ms=self._linger_ms)
        finally:
            self._brief = False

    def wakeup(self) -> None:
        """A batch was begun: end a long wait."""
        if not self._brief:
            self._fresh = True
            super().wakeup()


def gated_client(allowed: Callable[[], bool]) -> type[KafkaNetClient]:
    """A client class for a producer that puts produce requests on the wire only while `allowed()`.

    Three gates: a node is not ready, so batches stay where they are; a send fails retriably; and right above
    the socket the bytes of a produce request are not sent and the connection is dropped.
    """

    class GatedClient(BriefClient):
        """The gated client."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            manager = cast(Any, self)._manager
            build = manager._build_transport

            async def gated(*args: Any, **kwargs: Any) -> Any:
                transport = await build(*args, **kwargs)
                transport._sock_send = _gate_socket(transport, allowed)
                return transport

            manager._build_transport = gated

        def is_ready(self, node_id: Any) -> bool:
            return allowed() and bool(super().is_ready(node_id))

        def connection_delay(self, node_id: Any) -> Any:
            return super().connection_delay(node_id) if allowed() else 50

        def send(self, node_id: Any, request: Any, **kwargs: Any) -> Any:
            if allowed():
                return super().send(node_id, request, **kwargs)
            return Future().failure(foreign.KafkaConnectionError("out of lease"))

    return GatedClient


def _gate_socket(transport: Any, allowed: Callable[[], bool]) -> Callable[[], tuple[int, Exception | None]]:
    send = transport._sock_send

    def gated_send() -> tuple[int, Exception | None]:
        if allowed() or not any(_may_produce(frame) for frame in transport._write_buffer):
            return send()
        return 0, foreign.KafkaConnectionError("out of lease")

    return gated_send


def _may_produce(frame: Any) -> bool:
    """Whether a frame holds a produce request, or is the rest of one that was cut.

    A frame is one or more requests, each 4 bytes of length, then the API's key.
    """
    if isinstance(frame, memoryview):
        return True
    at = 0
    while at < len(frame):
        if bytes(frame[at + 4 : at + 6]) == _PRODUCE:
            return True
        at += 4 + int.from_bytes(frame[at : at + 4])
    return False
