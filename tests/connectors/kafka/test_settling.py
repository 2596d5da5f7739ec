"""Settling: the ledger and one settled record; acknowledged, the offsets are done."""

import time

import pytest

from connectors.kafka import settling as module
from schemas.arrivals import Outcome
from schemas.packed import MOVED, NO_OFFSET, REMEMBERED, REPEAT, Settled
from schemas.records import Outgoing
from tests.connectors.kafka.owning import live, who
from tests.connectors.kafka.settling_bench import Bench, response

MOVE = Outgoing("x.llm.requests", b"moved", 5)


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
