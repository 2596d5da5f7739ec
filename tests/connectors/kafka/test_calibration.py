"""The thread between `llm.calibration` and what a worker knows: on the real broker."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from connectors.kafka.calibration import CalibrationTopic
from connectors.kafka.errors import KafkaProblem
from schemas.cluster import Cluster
from schemas.records import Outgoing
from schemas.topics import CALIBRATION
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


@dataclass
class FakeBook:
    """Notes what it gets, in order; hands out what it has once it is caught up."""

    seen: list[tuple[bytes | None, bytes | None] | str] = field(
        default_factory=list[tuple[bytes | None, bytes | None] | str]
    )
    own: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])

    def take(self, key: bytes | None, value: bytes | None) -> None:
        self.seen.append((key, value))

    def caught_up(self) -> None:
        self.seen.append("caught up")

    def changes(self) -> list[tuple[bytes, bytes]]:
        own, self.own = ([], self.own) if "caught up" not in self.seen else (self.own, [])
        return own


def eventually(holds: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + 15
    while not holds() and time.monotonic() < end_s:
        time.sleep(0.05)
    return holds()


def test_what_lies_there_is_read_before_anything_is_written_and_later_records_follow(topics: Topics):
    topics.produce(CALIBRATION, [b"1", b"2"], key=b"m/w")
    book, sent = FakeBook(own=[(b"m/me", b"3")]), list[Outgoing]()
    topic = CalibrationTopic(topics.cluster, book, sent.append, every_s=0.1)
    topic.start()
    assert eventually(lambda: bool(sent))
    topics.produce(CALIBRATION, [b"4"], key=b"m/w")
    assert eventually(lambda: len(book.seen) == 4)
    topic.stop()

    assert book.seen == [(b"m/w", b"1"), (b"m/w", b"2"), "caught up", (b"m/w", b"4")]
    assert sent == [Outgoing(topics.name(CALIBRATION), b"3", 0, b"m/me")]


def test_an_empty_topic_is_caught_up_with_at_once_and_the_last_changes_are_written_at_the_end(topics: Topics):
    book, sent = FakeBook(), list[Outgoing]()
    topic = CalibrationTopic(topics.cluster, book, sent.append, every_s=60)
    topic.start()
    assert eventually(lambda: book.seen == ["caught up"])
    book.own = [(b"m/me", b"5")]
    topic.stop()

    assert [record.value for record in sent] == [b"5"]


def test_a_topic_that_is_not_there_stops_nobody(topics: Topics):
    elsewhere = Cluster(topics.cluster.bootstrap, prefix="nowhere.", partitions=4)
    topic = CalibrationTopic(elsewhere, FakeBook(), lambda _: None, every_s=0.1)
    with pytest.raises(KafkaProblem):
        topic.look()
    topic.start()
    time.sleep(0.5)
    topic.stop()
