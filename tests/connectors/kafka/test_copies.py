"""Fetching single responses: for repeats that want a copy, and for turns that are owed."""

import queue
from collections.abc import Generator
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka import errors as foreign

from connectors.kafka import copies as module
from connectors.kafka.copies import Copies
from schemas.arrivals import Outcome
from schemas.records import Record
from schemas.responses import Latency, Response
from schemas.topics import RESPONSES
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker
LATENCY = Latency(queue_ms=1, routing_ms=1, provider_ms=1, total_ms=1)
RECORD = Record(0, 2, 7, 1, None, b"{}")


class Bench:
    """Copies over three responses, the last of which nobody can read."""

    def __init__(self, topics: Topics) -> None:
        events = [Response(request_id=f"r{n}", tenant="t", latency=LATENCY).to_bytes() for n in range(2)]
        topics.produce(RESPONSES, [*events, b"{}"], partition=2)
        self.failures: list[str] = []
        self.copies = Copies(topics.cluster, self.failures.append)
        self.found: queue.SimpleQueue[Response | None] = queue.SimpleQueue()

    def fetch(self, outcome: Outcome) -> str | None:
        self.copies.fetch(outcome, self.found.put)
        found = self.found.get(timeout=30)
        return None if found is None else found.request_id


@pytest.fixture
def bench(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> Generator[Bench]:
    made: list[Any] = []

    def consumer(**settings: Any) -> Any:
        made.append(KafkaConsumer(**settings))
        return made[-1]

    monkeypatch.setattr(module, "KafkaConsumer", consumer)
    yield Bench(topics)
    for each in made:
        each.close()


def repeat(offset: int) -> Outcome:
    return Outcome(RECORD, None, repeat_of=offset)


def owed(offset: int) -> Outcome:
    return Outcome(RECORD, None, owed=True, response_offset=offset)


def test_the_response_of_a_repeat_and_of_a_turn_is_found_by_its_offset(bench: Bench):
    assert [bench.fetch(one) for one in (repeat(1), owed(0), repeat(0))] == ["r1", "r0", "r0"]


def test_what_cannot_be_read_or_is_not_there_is_nothing(bench: Bench, caplog: pytest.LogCaptureFixture):
    assert bench.fetch(owed(2)) is None
    assert "can't be read" in caplog.text


def test_a_turn_waits_for_a_broker_that_does_not_answer_and_a_repeat_does_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    read, answers = Copies._read, [True, False, False, False]

    def unsure(self: Copies, consumer: Any, outcome: Outcome) -> Response | None:
        if answers and not answers.pop():
            raise foreign.KafkaTimeoutError("away")
        return read(self, consumer, outcome)

    monkeypatch.setattr(Copies, "_read", unsure)

    assert bench.fetch(repeat(1)) is None
    assert bench.fetch(owed(1)) == "r1"
    assert answers == []


def test_a_response_that_never_comes_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FETCH_S", 0.3)

    assert bench.fetch(repeat(3)) is None


def test_repeats_are_turned_away_where_too_many_wait_and_turns_are_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "WAITING", 0)

    assert bench.fetch(repeat(1)) is None
    assert "too many repeats" in caplog.text
    assert bench.fetch(owed(1)) == "r1"


def test_a_fault_in_what_follows_ends_the_worker(bench: Bench):
    failed: queue.SimpleQueue[str] = queue.SimpleQueue()
    bench.copies._fatal = failed.put
    bench.copies.fetch(repeat(1), lambda _: 1 / 0)  # type: ignore[arg-type,return-value]

    assert "ZeroDivisionError" in failed.get(timeout=20)
