"""What goes before the ledger: copies, memories, copies for repeats; all of it again for a predecessor."""

import logging

import pytest

from connectors.kafka.rules.derived import Written
from schemas.memories import Remembered
from schemas.packed import NO_OFFSET, REMEMBERED, REPEAT, Seal, Settled
from schemas.records import Outgoing
from schemas.responses import Response
from tests.connectors.kafka.owning import CLUSTER, who
from tests.connectors.kafka.settling_bench import Bench, response


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
