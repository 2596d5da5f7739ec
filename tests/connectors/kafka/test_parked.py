"""Records that were fetched and parked while their partition was paused come back when it is resumed."""

from collections.abc import Callable
from time import monotonic

import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from connectors.kafka.clients import client_settings
from connectors.kafka.polls import make_room_for_parked
from schemas.topics import REQUESTS
from tests.support.kafka import Topics

COUNT = 10


def leave_alone(_: KafkaConsumer) -> None:
    """kafka-python as it is."""


@pytest.mark.parametrize(
    ("before_poll", "expected"),
    [(make_room_for_parked, COUNT), (leave_alone, 4)],
    ids=["Weir's consumer", "kafka-python 3.0.12: when this fails, the work-round can go"],
)
def test_a_partition_paused_in_the_middle_of_what_was_fetched_goes_on_when_it_is_resumed(
    topics: Topics, before_poll: Callable[[KafkaConsumer], None], expected: int
):
    for partition in (0, 1):
        topics.produce(REQUESTS, [b"%d" % number for number in range(COUNT)], partition=partition)
    consumer = KafkaConsumer(
        **client_settings(topics.cluster), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    places = [TopicPartition(topics.name(REQUESTS), number) for number in (0, 1)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    read = dict.fromkeys(places, 0)

    def poll(until: Callable[[], bool], bound_s: float) -> None:
        end_s = monotonic() + bound_s
        while not until() and monotonic() < end_s:
            before_poll(consumer)
            for place, records in consumer.poll(timeout_ms=50, max_records=4).items():
                read[place] += len(records)

    poll(lambda: sum(read.values()) > 0, 20)
    [begun] = [place for place in places if read[place]]
    [other] = [place for place in places if not read[place]]
    consumer.pause(begun)
    poll(lambda: read[other] == COUNT, 20)
    consumer.resume(begun)
    poll(lambda: read[begun] == COUNT, 20 if expected == COUNT else 2)
    consumer.close()

    assert read == {begun: expected, other: COUNT}
