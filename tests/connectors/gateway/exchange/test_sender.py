"""The producer of a gateway, where Kafka doesn't take what it is given."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from kafka import errors as foreign

from connectors.gateway.exchange.sender import Sender
from connectors.gateway.ports import Problem
from schemas.cluster import Cluster
from schemas.records import Outgoing

RECORD = Outgoing("t", b"x" * 100, 0, b"k")


class Sent:
    """kafka-python's future."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def add_callback(self, work: Callable[[Any], None]) -> None:
        if self._error is None:
            work(type("Metadata", (), {"partition": 1, "offset": 2}))

    def add_errback(self, work: Callable[[Any], None]) -> None:
        if self._error is not None:
            work(self._error)


class Producer:
    """A producer that refuses, loses, or takes."""

    def __init__(self, refuses: Exception | None = None, loses: Exception | None = None) -> None:
        self._refuses, self._loses = refuses, loses

    def send(self, *_: object, **__: object) -> Sent:
        if self._refuses is not None:
            raise self._refuses
        return Sent(self._loses)

    def close(self, timeout: int) -> None:
        raise foreign.KafkaTimeoutError("it can't flush")


def made(producer: Producer) -> Sender:
    sender = Sender(Cluster(), 1000)
    sender._producer, sender._loop = producer, asyncio.get_running_loop()
    return sender


def test_a_record_that_is_acknowledged_says_where_it_lies():
    async def play() -> None:
        sender = made(Producer())
        assert await sender.send(RECORD) == (1, 2)
        assert (sender.bytes, sender.waiting) == (0, 0)

    asyncio.run(play())


@pytest.mark.parametrize(
    "producer",
    [
        Producer(refuses=foreign.KafkaTimeoutError("no metadata")),
        Producer(refuses=ValueError("no partition")),
        Producer(loses=foreign.KafkaTimeoutError("not in time")),
    ],
)
def test_a_record_that_kafka_does_not_take_is_told_and_leaves_nothing(producer: Producer):
    async def play() -> None:
        sender = made(producer)
        with pytest.raises(Problem) as told:
            await sender.send(RECORD)
        assert (told.value.status, told.value.code) == (503, "overloaded")
        assert (sender.bytes, sender.waiting) == (0, 0)

    asyncio.run(play())


def test_a_record_that_may_be_lost_is_lost_in_silence_and_closing_never_fails():
    async def play() -> None:
        sender = made(Producer(refuses=foreign.KafkaTimeoutError("no metadata")))
        sender.post(RECORD)
        sender.close()

    asyncio.run(play())
    Sender(Cluster(), 1).close()
