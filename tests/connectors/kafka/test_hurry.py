"""Records that are in a hurry don't wait for the end of the linger, and take the others along."""

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from kafka import KafkaProducer

from connectors.kafka.clients import client_settings
from connectors.kafka.hurry import Hurry
from connectors.kafka.membership import BriefClient
from schemas.topics import USAGE
from tests.support.kafka import Topics

LINGER_S = 3.0


@pytest.fixture
def producer(topics: Topics) -> Iterator[KafkaProducer]:
    made = KafkaProducer(
        **client_settings(topics.cluster), kafka_client=BriefClient, linger_ms=round(LINGER_S * 1000)
    )
    made.partitions_for(topics.name(USAGE))
    yield made
    made.close(timeout=10)


def test_a_hurry_sends_all_that_was_handed_over(topics: Topics, producer: KafkaProducer):
    hurry = Hurry(producer)
    for _ in range(3):  # the first one also signs on
        begun_s = time.monotonic()
        futures = [producer.send(topics.name(USAGE), value=b"x", partition=number) for number in (0, 1)]
        hurry.hurry()
        hurry.hurry()
        for future in futures:
            future.get(timeout=20)

    assert time.monotonic() - begun_s < LINGER_S / 2


def test_what_an_acknowledgement_asks_for_comes_after_all_that_came_with_it(
    topics: Topics, producer: KafkaProducer
):
    hurry, acked, seen = Hurry(producer), list[int](), list[int]()

    def on_ack(number: int) -> None:
        acked.append(number)
        hurry.after_answer(lambda: seen.append(len(acked)))

    producer.send(topics.name(USAGE), value=b"x", partition=0)  # signs on
    hurry.hurry()
    time.sleep(0.5)
    hurry.hold()
    for number in (0, 1, 2):
        future = producer.send(topics.name(USAGE), value=b"x", partition=number)
        future.add_callback(lambda _, number=number: on_ack(number))
    hurry.release(in_a_hurry=True)
    end_s = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < end_s:
        time.sleep(0.01)

    assert sorted(acked) == [0, 1, 2]
    assert seen == [3, 3, 3]


@pytest.mark.parametrize("in_a_hurry", [True, False])
def test_what_is_handed_over_in_a_turn_wakes_the_sender_once_after_it(
    topics: Topics, producer: KafkaProducer, in_a_hurry: bool
):
    hurry, wakes = Hurry(producer), list[int]()
    producer.send(topics.name(USAGE), value=b"x", partition=0)  # signs on
    hurry.hurry()
    time.sleep(0.5)
    net: Any = cast(Any, producer)._sender._client._net
    wake = net.wakeup
    net.wakeup = lambda: (wakes.append(1), wake())[1]
    begun_s = time.monotonic()
    hurry.hold()
    futures = [producer.send(topics.name(USAGE), value=b"x", partition=number) for number in (0, 1)]
    before = len(wakes)
    hurry.release(in_a_hurry)
    after = len(wakes)
    for future in futures:
        future.get(timeout=20)

    assert (before, after) == (0, 1)
    assert (time.monotonic() - begun_s < LINGER_S / 2) is in_a_hurry


def test_without_one_the_linger_holds(topics: Topics, producer: KafkaProducer):
    hurry = Hurry(producer)
    hurry.hurry()  # there is nothing to send: it is over before the record comes
    time.sleep(0.5)
    begun_s = time.monotonic()
    producer.send(topics.name(USAGE), value=b"x", partition=0).get(timeout=20)

    assert time.monotonic() - begun_s > LINGER_S * 0.9
