"""The private parts of kafka-python: that they are there, and what we hang on them."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import errors as foreign
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.heartbeat import Heartbeat
from kafka.net.compat import KafkaNetClient
from kafka.structs import MemberState, TopicPartition

from connectors.kafka import membership as module
from connectors.kafka.membership import (
    BRIEF_MS,
    LeasedHeartbeat,
    Membership,
    QuickClient,
    boot_s,
    claiming_assignor,
    gated_client,
    missing_parts,
)
from connectors.kafka.rules.lease import Lease

PRODUCE, METADATA = b"\0\0", b"\0\3"


def request(key: bytes, size_bytes: int = 10) -> bytes:
    return size_bytes.to_bytes(4) + key + bytes(size_bytes - 2)


def test_the_pinned_version_has_all_parts():
    assert missing_parts() == []


@pytest.mark.parametrize(("owner", "name"), [(Heartbeat, "sent_heartbeat"), (BaseCoordinator, "need_rejoin")])
def test_a_part_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, owner: type, name: str):
    for each in owner.__mro__:
        if name in vars(each):
            monkeypatch.delattr(each, name)

    assert f"{owner.__name__}.{name}" in missing_parts()


def test_an_attribute_that_no_constructor_sets_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(KafkaNetClient, "__init__", lambda self: None)

    assert missing_parts() == ["KafkaNetClient._manager", "KafkaNetClient._net"]


def test_the_boot_clock_goes_on():
    assert 0 < boot_s() <= boot_s()


def test_heartbeats_keep_the_lease(monkeypatch: pytest.MonkeyPatch):
    now_s = 100.0
    monkeypatch.setattr(module, "boot_s", lambda: now_s)
    lease = Lease(10.0)
    stable = False
    heartbeat = LeasedHeartbeat(lease, lambda: stable, session_timeout_ms=10_000)
    heartbeat.reset_timeouts()
    assert not lease.opened
    stable = True
    heartbeat.reset_timeouts()
    assert lease.until_s == 108.0
    now_s = 103.0
    heartbeat.sent_heartbeat()
    heartbeat.reset_timeouts()
    assert lease.until_s == 108.0
    now_s = 104.0
    heartbeat.received_heartbeat()

    assert lease.until_s == 111.0
    assert heartbeat.last_send > 0
    assert heartbeat.last_receive > 0


class Coordinator:
    """As much of a consumer's coordinator as membership touches."""

    def __init__(self) -> None:
        self.state = MemberState.UNJOINED
        self.config = {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 500}
        self.heartbeat: object = None
        self.rejoining = False
        self.needs = False
        self.asked = 0

    def request_rejoin(self) -> None:
        self.asked += 1

    def need_rejoin(self) -> bool:
        return self.needs


class Member:
    """A membership over such a coordinator."""

    def __init__(self) -> None:
        self.coordinator: Any = Coordinator()
        consumer: Any = SimpleNamespace(_coordinator=self.coordinator)
        self.membership = Membership(consumer, Lease(10.0))


def test_the_follow_up_join_is_swallowed_once_and_made_up_for():
    member = Member()
    member.membership.put_off_rejoin()
    member.coordinator.request_rejoin()
    assert member.coordinator.asked == 0
    member.membership.rejoin()
    assert member.coordinator.asked == 1
    member.coordinator.request_rejoin()

    assert member.coordinator.asked == 2


def test_a_join_in_flight_is_not_forgotten():
    member = Member()
    assert not member.coordinator.need_rejoin()
    member.coordinator.rejoining = True
    assert member.coordinator.need_rejoin()
    member.coordinator.rejoining, member.coordinator.needs = False, True

    assert member.coordinator.need_rejoin()


def test_heartbeats_of_the_member_are_leased():
    assert isinstance(Member().coordinator.heartbeat, LeasedHeartbeat)


def test_a_join_claims_what_is_still_draining_and_nothing_else():
    kept, draining = TopicPartition("t", 1), TopicPartition("t", 2)
    assignor = claiming_assignor(lambda: [draining])()
    assignor.member_assignment = [kept]
    claimed = assignor.metadata(["t"]).owned_partitions

    assert [(each.topic, each.partitions) for each in claimed] == [("t", [1, 2])]
    assert assignor.member_assignment == [kept]


class Transport:
    """Sends what is buffered, all at once."""

    def __init__(self, *frames: Any) -> None:
        self._write_buffer = deque(frames)
        self.sent: list[bytes] = []

    def _sock_send(self) -> tuple[int, Exception | None]:
        self.sent += [bytes(frame) for frame in self._write_buffer]
        self._write_buffer.clear()
        return len(self.sent), None


class Manager:
    """As much of the connection manager as the client touches."""

    def __init__(self, transport: Transport) -> None:
        self._conns = {1: SimpleNamespace(connected=True, paused=False)}
        self.transport = transport
        self.sent: list[object] = []

    async def _build_transport(self, *_: object) -> Transport:
        return self.transport

    def connection_delay(self, _: int) -> int:
        return 7

    def send(self, request: object, node_id: int) -> str:
        self.sent.append((request, node_id))
        return "future"


class Gate:
    """A gated client over stand-ins, and the switch."""

    def __init__(self, *frames: Any) -> None:
        self.open = True
        self.manager = Manager(Transport(*frames))
        client: Callable[..., KafkaNetClient] = gated_client(lambda: self.open)
        self.client: Any = client(net=SimpleNamespace(), manager=self.manager)

    def write(self) -> tuple[int, Exception | None]:
        """The manager builds a transport, and that sends what it has."""
        transport: Any = asyncio.run(self.manager._build_transport())
        return transport._sock_send()


def test_the_first_gate_a_node_is_not_ready_out_of_lease():
    gate = Gate()

    assert gate.client.is_ready(1)
    assert not gate.client.is_ready(2)
    assert gate.client.connection_delay(1) == 7
    gate.open = False
    assert not gate.client.is_ready(1)
    assert gate.client.connection_delay(1) == 50


def test_the_second_gate_a_send_fails_so_that_it_is_tried_again():
    gate = Gate()
    assert gate.client.send(1, "a") == "future"
    gate.open = False
    future = gate.client.send(1, "b")

    assert future.failed()
    assert isinstance(future.exception, foreign.KafkaConnectionError)
    assert future.exception.retriable
    assert gate.manager.sent == [("a", 1)]


@pytest.mark.parametrize(
    "frames",
    [
        (request(PRODUCE),),
        (request(METADATA), request(PRODUCE)),
        (request(METADATA) + request(METADATA, 30) + request(PRODUCE),),
        (memoryview(request(METADATA)[3:]),),
    ],
    ids=["alone", "after another", "joined with others", "the rest of one"],
)
def test_the_third_gate_no_byte_of_a_produce_request_leaves_out_of_lease(frames: tuple[Any, ...]):
    gate = Gate(*frames)
    gate.open = False
    sent, error = gate.write()

    assert (sent, gate.manager.transport.sent) == (0, [])
    assert isinstance(error, foreign.KafkaConnectionError)


@pytest.mark.parametrize("frame", [b"", request(METADATA), request(METADATA) + request(METADATA)])
def test_other_requests_may_leave_out_of_lease(frame: bytes):
    gate = Gate(frame)
    gate.open = False

    assert gate.write() == (1, None)
    assert gate.manager.transport.sent == [frame]


def test_within_the_lease_everything_leaves():
    gate = Gate(request(PRODUCE))

    assert gate.write() == (1, None)


def test_a_client_asks_for_metadata_again_after_the_time_it_was_told():
    manager: Any = SimpleNamespace(cluster=SimpleNamespace(config={"retry_backoff_ms": 100}), _net=None)
    quick: Any = QuickClient

    quick(net=SimpleNamespace(), manager=manager)
    untold = manager.cluster.config["retry_backoff_ms"]
    quick(net=SimpleNamespace(), manager=manager, retry_backoff_ms=20)

    assert untold == 100
    assert manager.cluster.config["retry_backoff_ms"] == 20


@pytest.mark.parametrize(
    ("timeout_ms", "wakes"), [(None, 2), (5000.0, 2), (BRIEF_MS + 1, 2), (BRIEF_MS, 1), (0, 1)]
)
def test_a_producer_that_waits_briefly_anyway_is_not_woken(timeout_ms: float | None, wakes: int):
    gate, woken = Gate(), list[int]()

    def poll(timeout_ms: float | None = None, future: object = None) -> None:
        gate.client.wakeup()

    gate.client._net = SimpleNamespace(poll=poll, wakeup=lambda: woken.append(1), _ready=())
    gate.client.poll(timeout_ms=timeout_ms)
    gate.client.wakeup()  # between two polls: the next one may be long

    assert len(woken) == wakes


@pytest.mark.parametrize(("hurried", "waits"), [(False, [5000.0, 7]), (True, [5000.0])])
def test_a_batch_that_ends_a_long_wait_is_given_its_linger(hurried: bool, waits: list[float]):
    gate, seen = Gate(), list[float | None]()

    def poll(timeout_ms: float | None = None, future: object = None) -> None:
        seen.append(timeout_ms)
        gate.client.wakeup()

    gate.client._linger_ms, gate.client.in_a_hurry = 7, lambda: hurried
    gate.client._net = SimpleNamespace(poll=poll, wakeup=lambda: None, _ready=())
    gate.client.poll(timeout_ms=5000.0)

    assert seen == waits


def test_a_look_by_is_let_go_on_once_and_not_where_work_waits():
    gate, seen = Gate(), list[float | None]()
    net = SimpleNamespace(poll=lambda timeout_ms, future: seen.append(timeout_ms), _ready=[])
    gate.client._net = net
    for timeout_ms in (0, 0, 0, 50.0, 0):
        gate.client.poll(timeout_ms=timeout_ms)
    net._ready = [object()]
    gate.client.poll(timeout_ms=50.0)
    gate.client.poll(timeout_ms=0)

    assert seen == [0, 50.0, 50.0, 0]
