"""Quick transports: the same bytes, fewer turns of the event loop, and the same ends."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka import errors as foreign
from kafka.net import manager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaTCPTransport
from kafka.structs import TopicPartition

from connectors.kafka.clients import client_settings
from connectors.kafka.transports import READ_BYTES, QuickTransport, use_quick_transports
from schemas.topics import USAGE
from tests.support.kafka import Topics

LARGE = 900_000


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "KafkaTCPTransport", KafkaTCPTransport)
    use_quick_transports()


class Ends:
    """A connection over a pair of sockets, driven by a thread as the producer's is; notes what comes."""

    _sensors = None

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.net = NetworkSelector()
        self.came = bytearray()
        self.lost = list[Exception | None]()
        self.transport: Any = QuickTransport(self.net, self.ours)
        self.transport.set_protocol(self)
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.came += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)

    def turn(self, until: Any, turns: int = 2000) -> None:
        for _ in range(turns):
            if until():
                return
            self.net.poll(timeout_ms=5)
        raise AssertionError("it did not come")

    def close(self) -> None:
        self.transport.abort()
        self.net.close()
        self.theirs.close()


@pytest.fixture
def ends(quick: None) -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_what_the_socket_takes_is_gone_at_once(ends: Ends):
    ends.transport.write(b"hello")

    assert ends.theirs.recv(100) == b"hello"


def test_what_it_does_not_take_follows_in_order(ends: Ends):
    sent = b"".join(number.to_bytes(4) for number in range(500_000))
    got = bytearray()

    def read() -> None:
        time.sleep(0.05)
        while len(got) < len(sent) + 3:
            got.extend(ends.theirs.recv(100_000))

    reader = threading.Thread(target=read)
    reader.start()
    ends.transport.write(sent)
    ends.transport.write(b"end")
    ends.turn(lambda: not reader.is_alive())

    assert bytes(got) == sent + b"end"


@pytest.mark.parametrize("size", [1, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 3 * READ_BYTES + 5])
def test_what_comes_is_read_whole_whatever_its_size(ends: Ends, size: int):
    writer = threading.Thread(target=ends.theirs.sendall, args=(b"x" * size,))
    writer.start()
    ends.turn(lambda: len(ends.came) == size)
    writer.join()

    assert ends.came == b"x" * size


def test_an_end_of_the_other_side_is_told(ends: Ends):
    ends.theirs.sendall(b"last words")
    ends.theirs.close()
    ends.turn(lambda: bool(ends.lost))

    assert ends.came == b"last words"
    assert isinstance(ends.lost[0], foreign.KafkaConnectionError)
    assert ends.ours.fileno() == -1


def test_a_write_to_a_dead_connection_ends_it_later_and_not_under_its_caller(ends: Ends):
    ends.transport.pause_reading()
    ends.theirs.close()
    ends.turn(lambda: not ends.net._ready, turns=5)
    ends.transport.write(b"hello")
    lost_at_once = list(ends.lost)
    ends.turn(lambda: bool(ends.lost))

    assert lost_at_once == []
    assert isinstance(ends.lost[0], foreign.KafkaConnectionError)


def test_a_closed_connection_takes_no_more(ends: Ends):
    with pytest.raises(ValueError, match="empty"):
        ends.transport.write(b"")
    ends.transport.close()

    with pytest.raises(RuntimeError, match="closed"):
        ends.transport.write(b"hello")


def registered_by(monkeypatch: pytest.MonkeyPatch, topics: Topics) -> int:
    """How often twenty records, one after the other, have the selector look out for a socket anew."""
    calls: Counter[str] = Counter()
    register: Any = NetworkSelector.register_event

    def counted(net: NetworkSelector, *args: Any) -> None:
        calls["registered"] += 1
        register(net, *args)

    producer = KafkaProducer(**client_settings(topics.cluster), linger_ms=0)
    try:
        producer.send(topics.name(USAGE), value=b"first", partition=0).get(timeout=20)
        with monkeypatch.context() as patch:
            patch.setattr(NetworkSelector, "register_event", counted)
            for _ in range(20):
                producer.send(topics.name(USAGE), value=b"x", partition=0).get(timeout=20)
    finally:
        producer.close(timeout=5)
    return calls["registered"]


def test_a_broker_is_asked_without_registering_anew(monkeypatch: pytest.MonkeyPatch, topics: Topics):
    monkeypatch.setattr(manager, "KafkaTCPTransport", KafkaTCPTransport)
    plain = registered_by(monkeypatch, topics)
    use_quick_transports()

    assert registered_by(monkeypatch, topics) <= plain / 5


def test_large_records_go_out_and_come_back_whole(quick: None, topics: Topics):
    name = topics.name(USAGE)
    settings = client_settings(topics.cluster)
    producer = KafkaProducer(**settings, linger_ms=0)
    consumer = KafkaConsumer(**settings, group_id=None, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(name, 1)])
    try:
        values = [bytes([number]) * LARGE for number in range(12)]
        for future in [producer.send(name, value=value, partition=1) for value in values]:
            future.get(timeout=20)
        got = list[bytes]()
        end_s = time.monotonic() + 20
        while len(got) < len(values) and time.monotonic() < end_s:
            for records in consumer.poll(timeout_ms=500).values():
                got += [record.value for record in records]
    finally:
        consumer.close(autocommit=False)
        producer.close(timeout=5)

    assert got == values
