"""Takeover over logs that a stand-in consumer reads: fences, what is owed, and what the window learns."""

import logging
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest

from connectors.kafka import recovery as module
from connectors.kafka.partitions import Partition, State
from connectors.kafka.recovery import Recovery, RecoveryParts
from connectors.kafka.rules.marks import Mark, Note
from connectors.kafka.rules.poison import Poison
from connectors.kafka.settling import Keeping, Settling
from schemas.arrivals import Arrival
from schemas.codes import Code
from schemas.packed import REMEMBERED, Seal, Settled, Started, pack_seal, pack_settled, pack_started
from schemas.records import Headers
from schemas.responses import ErrorInfo, Latency, Response
from tests.connectors.kafka.logs import RESPONSES, USAGE, FakeConsumer, LogOutbox, append
from tests.connectors.kafka.owning import CLUSTER, DELIVERY, owned, record, who

EVENT = Response(
    request_id="r", tenant="t", latency=Latency(queue_ms=1, routing_ms=1, provider_ms=1, total_ms=1)
)
NOW_MS = 1_000_000
BEGIN = Mark(10, Note(0, 0))


class FakeTurns:
    """Conversations that are read at once, or never."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.in_time = True

    def take_over(self, partitions: Iterable[int]) -> None:
        self.taken += partitions

    def wait(self, partitions: Iterable[int], timeout_s: float) -> bool:
        return self.in_time


class Bench:
    """A partition to be taken over, and its logs."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.logs: dict[str, list[Any]] = {RESPONSES: [], USAGE: []}
        self.outbox = LogOutbox(self.logs)
        self.ownership = owned()
        self.failures: list[str] = []
        self.turns = FakeTurns()
        settling = Settling(CLUSTER, self.ownership, self.outbox, lambda *_: None, Keeping())  # type: ignore[arg-type]
        parts = RecoveryParts(self.ownership, self.outbox, settling, self.turns)  # type: ignore[arg-type]
        self.recovery = Recovery(CLUSTER, DELIVERY, parts, self.failures.append)
        self.consumer: type[FakeConsumer] = type("Consumer", (FakeConsumer,), {"logs": self.logs})
        patch.setattr(module, "KafkaConsumer", self.consumer)

    def take_over(self, mark: Mark = BEGIN) -> Partition:
        partition = self.ownership.adopt(0, 3, mark, Poison.takeover(mark))
        self.recovery._guarded([(partition, mark)])
        return partition

    def started(self, *entries: tuple[int, int], request_hash: int = 5) -> None:
        packed = pack_started(Started(0, attempt, 1, offset, request_hash, 1) for offset, attempt in entries)
        append(self.logs, USAGE, packed, (("kind", b"started"),))

    def settled(self, offset: int, flags: int, response: int) -> None:
        entry = Settled(0, flags, offset, 5, 1, response)
        append(self.logs, USAGE, pack_settled([entry]), (("kind", b"settled"),))

    def response(
        self, offset: int, seal: Seal, value: bytes = EVENT.to_bytes(), topic: str = "llm.requests"
    ) -> None:
        headers = (("source", f"{topic}/3/{offset}".encode()), ("seal", pack_seal(seal)))
        append(self.logs, RESPONSES, value, headers, b"r")

    def arrive(self, partition: Partition, offset: int) -> tuple[Arrival, int]:
        partition.marks.read([offset], offset)
        return self.ownership.arrive(record(partition, offset, at_ms=NOW_MS), who("r", 5))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_an_empty_log_leaves_the_partition_live_at_its_mark(bench: Bench):
    partition = bench.take_over()

    assert bench.recovery.take_done() == [partition]
    assert bench.recovery.take_done() == []
    assert (partition.state, partition.marks.next, partition.marks.ends) == (State.LIVE, 10, Note(1, 1))
    assert bench.failures == []


def test_the_scan_ends_at_its_own_fence_and_not_at_another(bench: Bench):
    for topic in (RESPONSES, USAGE):
        append(bench.logs, topic, None, (("kind", b"fence"), ("nonce", b"theirs")))
    bench.started((10, 2))
    partition = bench.take_over()

    assert partition.attempts == {10: 2}
    assert partition.marks.high == 11
    assert bench.ownership.counters["unknown_outcomes"] == 1
    fence = bench.logs[USAGE][-1]
    assert (fence.key, fence.value, dict(fence.headers)["kind"]) == (None, None, b"fence")


def test_an_answer_without_its_settled_entry_is_settled_again_and_remembered(bench: Bench):
    bench.started((10, 1))
    bench.response(10, Seal(5, 1, True))
    partition = bench.take_over()

    assert partition.marks.answered == {10}
    assert bench.outbox.kinds == ["fence", "fence", "settled"]
    assert bench.arrive(partition, 11) == (Arrival.REPEAT, 0)


def test_a_failure_that_is_not_remembered_does_not_make_its_retry_wait_for_ever(bench: Bench):
    bench.started((10, 1))
    bench.response(10, Seal(5, 1, False))
    partition = bench.take_over()

    assert bench.arrive(partition, 11) == (Arrival.GO, (1 << 64) - 1)


def test_an_answer_that_cannot_be_read_is_skipped_all_the_same_and_its_repeat_known(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    bench.started((10, 1))
    bench.response(10, Seal(5, 1, True), b"{}")
    partition = bench.take_over()

    assert "can't be read" in caplog.text
    assert partition.marks.answered == {10}
    assert bench.arrive(partition, 11)[0] is Arrival.REPEAT


def test_settled_entries_fill_the_window_and_owe_nothing(bench: Bench):
    bench.started((10, 1))
    bench.response(10, Seal(5, 1, True))
    bench.settled(10, REMEMBERED, 0)
    partition = bench.take_over()

    assert bench.outbox.kinds == ["fence", "fence"]
    assert bench.arrive(partition, 11) == (Arrival.REPEAT, 0)


def test_a_settled_entry_that_is_not_remembered_empties_the_window(bench: Bench):
    bench.started((10, 1))
    bench.settled(10, 0, 0)
    partition = bench.take_over()

    assert bench.arrive(partition, 11)[0] is Arrival.GO


def test_requests_without_an_id_of_their_own_stay_out_of_the_window(bench: Bench):
    bench.started((10, 1), request_hash=0)
    bench.response(10, Seal(0, 0, True))
    append(bench.logs, USAGE, pack_settled([Settled(0, 1, 9, 0, 0, 0)]), (("kind", b"settled"),))
    bench.take_over()

    assert len(bench.ownership.window) == 0


def test_other_records_of_the_logs_are_passed_over(bench: Bench, caplog: pytest.LogCaptureFixture):
    append(bench.logs, USAGE, b"{}", (("kind", b"finished"),), b"r")
    append(bench.logs, USAGE, b"\x09", (("kind", b"started"),))
    append(bench.logs, USAGE, b"{}", (("kind", b"odd"),))
    bench.response(10, Seal(5, 1, True), topic="llm.waiting")
    partition = bench.take_over()

    assert "usage 3/1 is skipped" in caplog.text
    assert partition.marks.answered == set()
    assert bench.failures == []


def test_the_usage_log_is_read_from_the_window_or_the_note_whichever_is_earlier(bench: Bench):
    bench.started((10, 1))
    bench.started((11, 1))
    bench.consumer.since = 1
    assert bench.take_over(Mark(10, Note(0, 9))).attempts == {11: 1}
    bench.consumer.since = 9
    assert bench.take_over(Mark(10, Note(0, 0))).attempts == {10: 1, 11: 1}


def test_a_partition_that_went_during_its_scan_is_not_handed_out(bench: Bench):
    mark = Mark(10, Note(0, 0))
    partition = bench.ownership.adopt(0, 3, mark, Poison.takeover(mark))
    bench.ownership.drain(partition)
    bench.recovery._guarded([(partition, mark)])

    assert bench.recovery.take_done() == []


def test_derived_records_that_are_not_acknowledged_end_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "ACK_S", 0.02)
    bench.outbox.takes = False
    bench.response(10, Seal(5, 1, True))
    bench.take_over()

    assert "not acknowledged" in bench.failures[0]
    assert bench.recovery.take_done() == []


@pytest.mark.parametrize(
    "headers", [(), (("source", b"?"), ("seal", b"")), (("source", b"llm.requests/3/10"), ("seal", b"?"))]
)
def test_a_response_that_is_not_ours_is_passed_over(
    bench: Bench, headers: Headers, caplog: pytest.LogCaptureFixture
):
    append(bench.logs, RESPONSES, b"{}", headers)
    partition = bench.take_over()

    assert "is not Weir's" in caplog.text
    assert partition.marks.answered == set()


def test_a_long_scan_tells_how_far_it_is_and_runs_beside_the_feeder(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "PROGRESS_S", -1.0)
    bench.started((10, 1))
    partition = bench.ownership.adopt(0, 3, BEGIN, Poison.takeover(BEGIN))
    with caplog.at_level(logging.INFO):
        bench.recovery.begin([(partition, BEGIN)])
        end_s = time.monotonic() + 5
        while not (done := bench.recovery.take_done()) and time.monotonic() < end_s:
            time.sleep(0.002)

    assert done == [partition]
    assert "partitions left" in caplog.text


def test_nothing_to_take_over_starts_nothing(bench: Bench):
    bench.recovery.begin([])

    assert bench.outbox.sent == []


TURN = EVENT.model_copy(update={"context_id": UUID(int=7), "response": "yes"})


def test_an_answer_whose_turn_is_not_proven_is_read_again_for_it_and_not_settled(bench: Bench):
    bench.started((10, 1))
    bench.response(10, Seal(5, 1, True), TURN.to_bytes())
    partition = bench.take_over()

    assert (partition.marks.answered, partition.owed) == (set(), {10: 0})
    assert partition.marks.high == 11
    assert bench.outbox.kinds == ["fence", "fence"]
    assert bench.arrive(partition, 10) == (Arrival.OWED, 0)
    assert bench.arrive(partition, 11) == (Arrival.REPEAT, 0)


@pytest.mark.parametrize(
    "update", [{"error": ErrorInfo(code=Code.REFUSED, message="no")}, {"embeddings": [[1.0]]}]
)
def test_failures_and_vectors_owe_no_turn(bench: Bench, update: dict[str, object]):
    bench.response(10, Seal(5, 1, True), TURN.model_copy(update=update).to_bytes())
    partition = bench.take_over()

    assert (partition.marks.answered, partition.owed) == ({10}, {})
    assert bench.outbox.kinds == ["fence", "fence", "settled"]


def test_a_turn_that_was_settled_is_owed_no_more(bench: Bench):
    bench.response(10, Seal(5, 1, True), TURN.to_bytes())
    bench.settled(10, REMEMBERED, 0)
    partition = bench.take_over()

    assert (partition.marks.answered, partition.owed) == ({10}, {})


def test_the_turns_of_conversations_are_read_before_the_partition_is_fed(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    bench.turns.in_time = False
    bench.take_over()

    assert bench.turns.taken == [3]
    assert "still being read" in caplog.text
