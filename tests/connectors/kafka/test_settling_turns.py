"""Turns: durable and kept before their request settles."""

from uuid import UUID

import pytest

from connectors.kafka.rules.derived import Written
from schemas.arrivals import Outcome
from schemas.codes import Code
from schemas.packed import REMEMBERED, Seal, Settled
from schemas.requests import Request
from schemas.responses import ErrorInfo
from tests.connectors.kafka.owning import who
from tests.connectors.kafka.settling_bench import Bench, response

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
