"""Reading by assignment, and where a key belongs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import DefaultPartitioner

from connectors.kafka.errors import TopicMismatch
from connectors.kafka.reading import Place, Seen, partition_of, reading
from schemas.topics import CONTROL, REQUESTS
from tests.support.kafka import Topics


@pytest.mark.parametrize(
    ("key", "java_hash"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partition_of_a_key_is_that_of_the_java_client(key: bytes, java_hash: int):
    assert partition_of(key, 12) == (java_hash & 0x7FFFFFFF) % 12


class Metadata:
    """As much of kafka-python's cluster as its partitioner asks for."""

    def __init__(self, partitions: int) -> None:
        self.numbers = set(range(partitions))

    def topics(self) -> set[str]:
        return {"t"}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return self.numbers

    available_partitions_for_topic = partitions_for_topic


@given(st.binary(max_size=60), st.integers(1, 40))
def test_partition_of_a_key_is_that_of_kafka_python(key: bytes, partitions: int):
    wanted = DefaultPartitioner().partition("t", key, key, None, None, Metadata(partitions))

    assert partition_of(key, partitions) == wanted


def test_last_header_of_a_name_holds():
    seen = Seen(Place("t", 0), 0, 0, None, b"", (("a", b"1"), ("b", b"x"), ("a", b"2")))

    assert (seen.header("a"), seen.header("c")) == ("2", None)


@pytest.mark.broker
def test_scan_reads_from_the_starts_to_the_ends_and_no_further(topics: Topics):
    topics.produce(REQUESTS, [b"0", b"1", b"2", b"3"], partition=0)
    topics.produce(REQUESTS, [b"4"], partition=1)
    with reading(topics.cluster) as reader:
        first, second, *others = reader.places(topics.name(REQUESTS))
        ends = reader.ends([first, second, *others])
        topics.produce(REQUESTS, [b"late"], partition=0)
        starts = {first: 1, second: 0} | dict.fromkeys(others, 0)
        values = sorted(seen.value or b"" for seen in reader.scan(starts, ends))

    assert values == [b"1", b"2", b"3", b"4"]


@pytest.mark.broker
def test_moment_is_found_as_an_offset_or_the_end(topics: Topics):
    at_ms = topics.produce(REQUESTS, [b"0", b"1"], partition=0)[1].timestamp
    with reading(topics.cluster) as reader:
        places = reader.places(topics.name(REQUESTS))[:2]
        past = reader.since(places, at_ms - 60_000)
        future = reader.since(places, at_ms + 60_000)

    assert [past[place] for place in places] == [0, 0]
    assert [future[place] for place in places] == [2, 0]


@pytest.mark.broker
def test_poll_gives_each_record_once_with_its_place(topics: Topics):
    topics.produce(CONTROL, [b"0"])
    with reading(topics.cluster) as reader:
        (place,) = reader.places(topics.name(CONTROL))
        reader.assign({place: 0})
        seen = [one for _ in range(10) for one in reader.poll(0.1)]

    assert [(one.offset, one.value, one.place) for one in seen] == [(0, b"0", place)]


@pytest.mark.broker
def test_topic_that_does_not_exist_is_named(topics: Topics):
    with reading(topics.cluster) as reader, pytest.raises(TopicMismatch, match="no topic nowhere"):
        reader.places("nowhere")
