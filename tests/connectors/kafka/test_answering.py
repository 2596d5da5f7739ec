"""Responses go out: to their partition, after their dead letter, and never for a partition given away."""

from collections.abc import Callable
from uuid import UUID

import pytest

from connectors.kafka.answering import Answering
from connectors.kafka.partitions import Partition
from schemas.arrivals import Identity, Outcome
from schemas.packed import NO_OFFSET, Seal, unpack_seal
from schemas.records import Outgoing
from schemas.responses import Latency, Response
from tests.connectors.kafka.owning import CLUSTER, FakeOutbox, live, owned, record, who

LATENCY = Latency(queue_ms=1, routing_ms=1, provider_ms=1, total_ms=1)
LETTER = Outgoing("x.llm.dead-letters", b"letter", 3)
MOVE = Outgoing("x.llm.requests", b"moved", 5, None, (("kind", b"move"),))


def response(**fields: object) -> Response:
    return Response.model_validate({"request_id": "r", "tenant": "t", "latency": LATENCY} | fields)


class Bench:
    """An answering, what it sent and what is done."""

    def __init__(self) -> None:
        self.ownership, self.outbox = owned(), FakeOutbox()
        self.copies: list[tuple[Response, Callable[[], None]]] = []
        self.answering = Answering(CLUSTER, self.ownership, self.outbox, self._copy)  # type: ignore[arg-type]
        self.done: list[Outcome] = []
        self.partition: Partition = live(self.ownership)

    def _copy(self, event: Response, then: Callable[[], None]) -> None:
        if event.reply_topic is None:
            then()
        else:
            self.copies.append((event, then))

    def write(self, *outcomes: Outcome) -> None:
        self.answering.write(list(outcomes), self.done.append)

    def outcome(self, offset: int = 10, identity: Identity | None = None, **fields: object) -> Outcome:
        return Outcome(record(self.partition, offset), identity, **fields)  # type: ignore[arg-type]


def test_a_response_goes_to_the_partition_of_its_request_and_names_its_record():
    bench = Bench()
    event = response(correlation_id="c", context_id=UUID(int=1))
    outcome = bench.outcome(identity=who("r", 11, 12), response=event, value=b"{}", remembered=True)
    bench.write(outcome)
    sent = bench.outbox.sent[0].record

    assert (sent.topic, sent.partition, sent.key, sent.value) == (
        "x.llm.responses",
        3,
        b"r",
        b"{}",
    )
    headers = dict(sent.headers)
    assert headers["source"] == b"llm.requests/3/10"
    assert (headers["kind"], headers["correlation_id"]) == (b"response", b"c")
    assert unpack_seal(headers["seal"]) == Seal(11, 12, True)


def test_an_outcome_is_done_when_its_response_is_acknowledged_and_knows_where_it_lies():
    bench = Bench()
    outcome = bench.outcome(response=response())
    bench.write(outcome)

    assert bench.done == []
    bench.outbox.ack_all(44)
    assert bench.done == [outcome]
    assert outcome.response_offset == 44
    assert bench.partition.marks.ends.response_offset == 45


def test_a_record_nobody_could_read_is_sealed_without_hashes():
    bench = Bench()
    bench.write(bench.outcome(response=response()))

    assert unpack_seal(dict(bench.outbox.sent[0].record.headers)["seal"]) == Seal(0, 0, False)


def test_the_dead_letter_is_durable_before_the_response_goes_out():
    bench = Bench()
    bench.write(bench.outcome(response=response(), dead_letter=LETTER))

    assert [sent.record for sent in bench.outbox.sent] == [LETTER]
    bench.outbox.sent.pop().ack()
    assert bench.outbox.kinds == ["response"]
    assert bench.done == []
    bench.outbox.ack_all(9)
    assert bench.done[0].response_offset == 9


def test_a_partition_that_went_while_the_dead_letter_was_written_gets_no_response():
    bench = Bench()
    bench.write(bench.outcome(response=response(), dead_letter=LETTER))
    bench.ownership.give_up(bench.partition)
    bench.outbox.ack_all()

    assert [outcome.response_offset for outcome in bench.done] == [NO_OFFSET]


def test_a_partition_given_away_gets_nothing_and_the_outcome_is_dropped():
    bench = Bench()
    outcome = bench.outcome(response=response())
    bench.ownership.seal([bench.partition])
    bench.write(outcome)

    assert bench.outbox.sent == []
    assert bench.done == [outcome]
    assert outcome.response_offset == NO_OFFSET
    assert bench.ownership.counters["dropped"] == 1


def test_a_move_takes_the_place_of_a_response():
    bench = Bench()
    outcome = bench.outcome(move=MOVE)
    bench.write(outcome)

    assert [sent.record for sent in bench.outbox.sent] == [MOVE]
    assert bench.done == []
    bench.outbox.ack_all()
    assert bench.done == [outcome]
    assert outcome.response_offset == NO_OFFSET


def test_a_repeat_has_nothing_to_write():
    bench = Bench()
    outcome = bench.outcome(repeat_of=5)
    bench.write(outcome)

    assert bench.outbox.sent == []
    assert bench.done == [outcome]


def test_nobody_is_between_asking_and_handing_over_when_it_returns():
    bench = Bench()
    bench.write(bench.outcome(response=response()), bench.outcome(11, move=MOVE))

    assert not bench.ownership.handing_over


def test_a_request_that_was_answered_before_gets_no_second_answer(caplog: pytest.LogCaptureFixture):
    bench = Bench()
    bench.partition.owed[10] = 66
    outcome = bench.outcome(identity=who(), response=response(), value=b"{}", dead_letter=LETTER)
    bench.write(outcome)

    assert bench.outbox.sent == []
    assert bench.done == [outcome]
    assert (outcome.response, outcome.dead_letter) == (None, None)
    assert bench.ownership.counters["turns_lost"] == 1
    assert "answered before" in caplog.text


def test_the_way_of_a_turn_that_is_owed_leads_past_the_responses():
    bench = Bench()
    bench.partition.owed[10] = 66
    outcome = bench.outcome(identity=who(context=7), owed=True, response_offset=66)
    bench.write(outcome)

    assert (bench.outbox.sent, bench.done) == ([], [outcome])


def test_responses_that_a_reply_topic_waits_for_leave_at_once_and_take_the_others_along():
    bench = Bench()
    awaited = [
        bench.outcome(offset, response=response(reply_topic="reply.a", reply_partition=1))
        for offset in (10, 11)
    ]
    bench.write(*awaited, bench.outcome(12, response=response()))

    assert bench.outbox.hurries == 1


def test_nothing_hurries_for_responses_that_nobody_waits_for_or_that_are_dropped():
    bench = Bench()
    bench.write(bench.outcome(10, response=response()), bench.outcome(11, move=MOVE))
    bench.ownership.seal([bench.partition])
    bench.write(bench.outcome(12, response=response(reply_topic="reply.a")))

    assert bench.outbox.hurries == 0


def test_a_response_with_a_reply_topic_is_done_when_its_copy_is():
    bench = Bench()
    outcome = bench.outcome(response=response(reply_topic="reply.a"))
    bench.write(outcome)
    assert bench.copies == []
    bench.outbox.ack_all(44)
    ((copied, then),) = bench.copies

    assert (copied, outcome.response_offset, bench.done) == (outcome.response, 44, [])
    then()
    assert bench.done == [outcome]
