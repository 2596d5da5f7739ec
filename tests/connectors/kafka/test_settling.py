"""Settling: the copy, then the ledger and one settled record; acknowledged, the offsets are done."""

import logging
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from connectors.kafka import settling as module
from connectors.kafka.partitions import Partition
from connectors.kafka.rules.derived import Written
from connectors.kafka.settling import Keeping, Settling
from schemas.arrivals import Identity, Outcome
from schemas.codes import Code
from schemas.contexts import Turn
from schemas.memories import Remembered
from schemas.packed import MOVED, NO_OFFSET, REMEMBERED, REPEAT, Seal, Settled, unpack_settled
from schemas.records import Outgoing, Record
from schemas.requests import Request
from schemas.responses import Attempt, ErrorInfo, Latency, Response
from tests.connectors.kafka.owning import CLUSTER, FakeOutbox, live, owned, record, who

LATENCY = Latency(queue_ms=1, routing_ms=1, provider_ms=1, total_ms=1)
ATTEMPT = Attempt(attempt=1, route="p:m", provider="p", model="m", outcome="ok", started_ms=1, duration_ms=2)
MOVE = Outgoing("x.llm.requests", b"moved", 5)


def response(**fields: object) -> Response:
    return Response.model_validate(
        {"request_id": "r", "tenant": "t", "latency": LATENCY, "attempts": [ATTEMPT]} | fields
    )


class Bench:
    """A settling over one live partition, with requests under way."""

    def __init__(self) -> None:
        self.ownership, self.outbox = owned(), FakeOutbox()
        self.fetched: list[Callable[[Response | None], None]] = []
        self.kept: list[tuple[Turn, bytes, int, int, Callable[[], None]]] = []
        keeping = Keeping(lambda *kept: self.kept.append(kept), turn_bytes=2000)
        self.settling = Settling(CLUSTER, self.ownership, self.outbox, self._fetch, keeping)  # type: ignore[arg-type]
        self.partition = live(self.ownership)
        self.taken = self.read(self.partition)

    def _fetch(self, _: Outcome, fetched: Callable[[Response | None], None]) -> None:
        self.fetched.append(fetched)

    def read(self, partition: Partition) -> dict[int, Record]:
        records = [record(partition, offset) for offset in (10, 11, 12)]
        self.ownership.put(partition, records, 12)
        return {each.offset: each for each in self.ownership.take(9)}

    def outcome(self, offset: int = 10, identity: Identity | None = None, **fields: object) -> Outcome:
        if isinstance(fields.get("response"), Response):
            fields.setdefault("response_offset", 70 + offset)
        return Outcome(self.taken[offset], identity, **fields)  # type: ignore[arg-type]

    def settle(self, *outcomes: Outcome) -> None:
        self.settling.settle(list(outcomes))
        self.settling.flush()

    def acked(self) -> None:
        """The last record is acknowledged, and the time of what is gathered has come."""
        self.outbox.sent.pop().ack()
        self.settling.flush()

    def entries(self, at: int = -1) -> list[Settled]:
        return unpack_settled(self.outbox.sent[at].record.value or b"")


def test_the_ledger_comes_before_one_settled_record_for_all_of_a_partition():
    bench = Bench()
    first = bench.outcome(10, who("r", 11, 12), response=response(), remembered=True)
    bench.settle(first, bench.outcome(11, who(), response=response()))

    assert bench.outbox.kinds == ["finished", "finished", "settled"]
    assert bench.entries() == [
        Settled(0, REMEMBERED, 10, 11, 12, 80),
        Settled(0, 0, 11, 0, 1, 81),
    ]


def test_an_offset_is_done_when_the_settled_record_is_acknowledged():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), response=response()))

    assert bench.partition.marks.watermark()[0] == 10
    bench.outbox.ack_all(90)
    assert bench.partition.marks.watermark()[0] == 11
    assert bench.partition.marks.ends.usage_offset == 92
    assert (bench.ownership.under_way, bench.ownership.counters["settled"]) == (2, 1)


def test_moved_requests_repeats_and_unreadable_ones_are_settled_as_such():
    bench = Bench()
    unread = bench.outcome(12, response=response(attempts=[]))
    bench.settle(bench.outcome(10, who("r", 11, 12), move=MOVE), bench.outcome(11, who()), unread)

    assert bench.entries() == [
        Settled(0, MOVED, 10, 11, 12, NO_OFFSET),
        Settled(0, REPEAT, 11, 0, 1, NO_OFFSET),
        Settled(0, 0, 12, 0, 0, 82),
    ]


def test_partitions_have_settled_records_of_their_own():
    bench = Bench()
    other = bench.read(live(bench.ownership, 4))[10]
    bench.settle(bench.outcome(10, who()), Outcome(other, who()))

    assert [sent.record.partition for sent in bench.outbox.sent] == [3, 4]


def test_the_acknowledgement_of_a_copy_is_awaited():
    bench = Bench()
    done: list[int] = []
    bench.settling.copy(response(reply_topic="reply.a", reply_partition=1), lambda: done.append(1))

    assert [(sent.record.topic, sent.record.partition) for sent in bench.outbox.sent] == [("reply.a", 1)]
    assert done == []
    bench.outbox.sent.pop().ack()
    assert done == [1]


def test_where_no_copy_is_wanted_the_rest_follows_at_once():
    bench = Bench()
    done: list[int] = []
    bench.settling.copy(response(), lambda: done.append(1))

    assert (bench.outbox.sent, done) == ([], [1])


def test_a_copy_that_cannot_be_written_is_counted_and_the_rest_follows_all_the_same(
    caplog: pytest.LogCaptureFixture,
):
    bench = Bench()
    done: list[int] = []
    bench.settling.copy(response(reply_topic="reply.a"), lambda: done.append(1))
    lost = bench.outbox.sent.pop().lost
    assert lost is not None
    with caplog.at_level(logging.WARNING):
        lost(RuntimeError("no such topic"))

    assert "reply.a" in caplog.text
    assert (bench.ownership.counters["copies_lost"], done) == (1, [1])


def test_a_response_whose_copy_has_gone_settles_without_another():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), response=response(reply_topic="reply.a", reply_partition=1)))

    assert bench.outbox.kinds == ["finished", "settled"]


REMEMBERED_ONE = Remembered(tenant="acme", user="ada", id="1", text="tea", request_id="r", at_ms=1)


def test_the_memory_is_acknowledged_before_the_ledger_is_written():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), response=response(memory=REMEMBERED_ONE)))
    (sent,) = bench.outbox.sent

    assert sent.record == Outgoing(CLUSTER.topic("llm.memories"), REMEMBERED_ONE.to_bytes(), 0, b"acme/ada/1")
    bench.acked()
    assert bench.outbox.kinds == ["finished", "settled"]


def test_a_memory_that_cannot_be_written_is_counted_and_the_request_settles_all_the_same():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), response=response(memory=REMEMBERED_ONE)))
    lost = bench.outbox.sent.pop().lost
    assert lost is not None
    lost(RuntimeError("no such topic"))
    bench.settling.flush()

    assert bench.ownership.counters["memories_lost"] == 1
    assert bench.outbox.kinds == ["finished", "settled"]


def test_a_successor_writes_the_memory_again_under_the_same_key():
    bench = Bench()
    written = Written(response(memory=REMEMBERED_ONE), Seal(1, 2, True), 0, 3, 10, 80)
    done: list[int] = []
    bench.settling.write_again(written, lambda: done.append(1))

    assert bench.outbox.sent.pop().record.key == b"acme/ada/1"
    assert done == []


def test_what_was_dropped_is_not_settled():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), response=response(), response_offset=NO_OFFSET))

    assert bench.outbox.sent == []


def test_nothing_is_derived_for_a_partition_that_went():
    bench = Bench()
    outcome = bench.outcome(10, who(), response=response())
    bench.ownership.give_up(bench.partition)
    bench.settle(outcome)

    assert bench.outbox.sent == []


def test_an_acknowledgement_after_the_partition_went_closes_nothing():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), response=response()))
    bench.ownership.give_up(bench.partition)
    bench.outbox.ack_all()

    assert bench.ownership.under_way == 0
    assert 10 in bench.partition.marks.open


@pytest.mark.parametrize(
    ("address", "topics"),
    [
        (("reply.new", 2, "c"), ["reply.new"]),
        (("reply.old", 1, "c"), []),
        (("reply.old", 2, "c"), ["reply.old"]),
    ],
)
def test_a_repeat_with_a_new_address_gets_a_copy_of_the_first_answer(
    address: tuple[str, int, str], topics: list[str]
):
    bench = Bench()
    bench.settle(bench.outcome(10, who(), repeat_of=5, copy_to=address))
    assert bench.outbox.sent == []
    first = response(response="yes", reply_topic="reply.old", reply_partition=1, correlation_id="c")
    bench.fetched[0](first)
    copies = [sent.record for sent in bench.outbox.sent if sent.kind == b"response"]

    assert [copy.topic for copy in copies] == topics
    assert all(copy.partition == address[1] for copy in copies)
    if copies:
        assert Response.model_validate_json(copies[0].value or b"").response == "yes"
        bench.outbox.sent.pop(0).ack()
    bench.settling.flush()
    assert bench.entries() == [Settled(0, REPEAT, 10, 0, 1, NO_OFFSET)]


def test_a_repeat_whose_first_answer_cannot_be_had_settles_without_a_copy():
    bench = Bench()
    bench.settle(bench.outcome(10, who(), repeat_of=5, copy_to=("reply.a", None, None)))
    bench.fetched[0](None)
    bench.settling.flush()

    assert bench.outbox.kinds == ["settled"]


def test_a_successor_writes_the_derived_records_again():
    bench = Bench()
    event = response(reply_topic="reply.a")
    done: list[str] = []
    bench.settling.write_again(Written(event, Seal(11, 12, True), 0, 3, 9, 70), lambda: done.append("done"))

    assert [sent.record.topic for sent in bench.outbox.sent] == ["reply.a"]
    bench.acked()
    assert bench.outbox.kinds == ["finished", "settled"]
    assert bench.entries() == [Settled(0, REMEMBERED, 9, 11, 12, 70)]
    assert done == []
    bench.outbox.sent[-1].ack()
    assert done == ["done"]


def test_few_outcomes_are_gathered_until_their_time_has_come(monkeypatch: pytest.MonkeyPatch):
    bench = Bench()
    now_s = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now_s)
    bench.settling.settle([bench.outcome(10, who(), response=response())])
    bench.settling.flush_due()
    assert bench.outbox.sent == []
    now_s += module.GATHER_S
    bench.settling.flush_due()

    assert bench.outbox.kinds == ["finished", "settled"]
    bench.settling.flush_due()
    assert len(bench.outbox.sent) == 2


def test_many_outcomes_go_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GATHER", 2)
    bench = Bench()
    bench.settling.settle([bench.outcome(10, who())])
    assert bench.outbox.sent == []
    bench.settling.settle([bench.outcome(11, who())])

    assert len(bench.entries()) == 2


def test_what_the_next_turn_may_wait_for_goes_at_once():
    bench = Bench()
    bench.settling.settle([bench.outcome(10, who(context=7))])

    assert bench.outbox.kinds == ["settled"]


def test_nothing_is_gathered_while_the_worker_or_a_partition_is_leaving():
    bench = Bench()
    bench.settling.settle([bench.outcome(10, who())])
    bench.ownership.drain(bench.partition)
    bench.settling.flush_due()
    assert len(bench.outbox.sent) == 1
    bench.ownership.stopping = True
    bench.settling.settle([bench.outcome(11, who())])

    assert len(bench.outbox.sent) == 2


ASKED = Request(prompt="hi", context_id=UUID(int=7), tenant="t")


def turn_outcome(bench: Bench, **fields: object) -> Outcome:
    event = response(**{"response": "yes", "context_id": UUID(int=7)} | fields)
    return bench.outcome(10, who("r", 11, 12, context=7), response=event, remembered=True, request=ASKED)


def test_a_turn_is_durable_and_kept_before_its_request_settles():
    bench = Bench()
    bench.settling.settle([turn_outcome(bench)])

    assert bench.outbox.kinds == ["turn"]
    sent = bench.outbox.sent.pop()
    assert (sent.record.topic, sent.record.partition) == ("x.llm.contexts", 3)
    assert sent.record.key == f"{UUID(int=7)}/10".encode()
    sent.ack(40)
    ((kept, value, partition, offset, done),) = bench.kept
    assert (kept.seq, value, partition, offset) == (10, sent.record.value, 3, 40)
    assert bench.outbox.sent == []
    done()
    assert bench.outbox.kinds == ["finished", "settled"]
    assert bench.entries() == [Settled(0, REMEMBERED, 10, 11, 12, 80)]


def test_a_failure_is_no_turn_and_settles_at_once():
    bench = Bench()
    error = ErrorInfo(code=Code.REFUSED, message="no")
    bench.settling.settle([turn_outcome(bench, response=None, error=error)])

    assert bench.outbox.kinds == ["finished", "settled"]


def test_a_turn_that_is_too_large_is_counted_and_its_request_settles(caplog: pytest.LogCaptureFixture):
    bench = Bench()
    bench.settling.settle([turn_outcome(bench, response="x" * 3000)])

    assert bench.outbox.kinds == ["finished", "settled"]
    assert bench.ownership.counters["turns_lost"] == 1
    assert "at most 2000 are kept" in caplog.text


def test_a_turn_of_a_partition_that_went_is_left_to_the_next_owner():
    bench = Bench()
    outcome = turn_outcome(bench)
    bench.ownership.give_up(bench.partition)
    bench.settling.settle([outcome])

    assert bench.outbox.sent == []


def test_a_turn_that_is_owed_is_written_when_its_response_was_fetched():
    bench = Bench()
    owed = bench.outcome(
        10, who("r", 11, 12, context=7), owed=True, remembered=True, request=ASKED, response_offset=66
    )
    bench.settling.settle([owed])
    assert bench.outbox.sent == []
    bench.fetched[0](response(response="yes", context_id=UUID(int=7)))
    first = bench.outbox.sent.pop()
    other = Bench()
    other.settling.settle([turn_outcome(other)])

    assert first.record == other.outbox.sent[0].record  # the very same as the first time
    first.ack(41)
    bench.kept[0][-1]()
    assert bench.outbox.kinds == ["settled"]
    assert bench.entries() == [Settled(0, REMEMBERED, 10, 11, 12, 66)]
    bench.outbox.ack_all()
    assert bench.partition.marks.watermark()[0] == 11


def test_a_turn_whose_response_is_gone_is_counted_and_its_request_settles():
    bench = Bench()
    bench.settling.settle([bench.outcome(10, who(context=7), owed=True, request=ASKED, response_offset=66)])
    bench.fetched[0](None)
    bench.settling.flush()

    assert bench.outbox.kinds == ["settled"]
    assert bench.ownership.counters["turns_lost"] == 1


def test_a_successor_settles_no_turn_before_it_has_written_it():
    bench = Bench()
    done: list[str] = []
    event = response(response="yes", context_id=UUID(int=7))
    bench.settling.write_again(Written(event, Seal(11, 12, True), 0, 3, 9, 70), lambda: done.append("done"))
    assert bench.outbox.kinds == ["finished"]
    bench.outbox.ack_all()
    assert done == ["done"]
    unpaid = event.model_copy(update={"attempts": []})
    bench.settling.write_again(Written(unpaid, Seal(11, 12, True), 0, 3, 9, 70), lambda: done.append("again"))

    assert (bench.outbox.sent, done) == ([], ["done", "again"])
