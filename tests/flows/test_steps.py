"""The steps bound to clock and ports: what they let by, and what becomes of what they don't."""

import time
from uuid import UUID

import orjson
import pytest

from flows.orchestrate import Waiting
from flows.stages.forward import home
from flows.stages.jobs import Ended, Failed, Job, Work
from flows.steps import BoundSteps, murmur2
from schemas.arrivals import Arrival, Outcome
from schemas.calls import Answer
from schemas.codes import Code
from schemas.packed import NO_OFFSET
from schemas.records import Record
from tests.flows.doubles import CLUSTER, FakeAnswers, FakeDoor, bound
from tests.flows.stages.making import job, route

CONTEXT = UUID(int=7)


def record(offset: int, **fields: object) -> Record:
    body = orjson.dumps({"prompt": "hi", "request_id": f"r{offset}"} | fields)
    return Record(0, 3, offset, time.time_ns() // 1_000_000, None, body)


def through(steps: BoundSteps, *records: Record) -> list[Work]:
    """What comes out of all steps before the call."""
    work = steps.decode(list(records))
    for _, rule in steps.between:
        assert not isinstance(rule, Waiting)
        work = rule(work)
    return work


def one(work: list[Work]) -> Ended:
    assert len(work) == 1
    assert isinstance(work[0], Ended)
    return work[0]


def failed(work: list[Work]) -> Failed:
    failure = one(work).failed
    assert failure is not None
    return failure


def test_the_steps_stand_in_the_order_of_the_design():
    assert [name for name, _ in bound().between] == [
        "admit", "recall", "count", "cache", "route", "compress", "batch",
    ]  # fmt: skip


def test_a_request_comes_through_counted_with_its_plan_and_deadline():
    (work,) = through(bound(), record(7, timeout_ms=5000))

    assert isinstance(work, Job)
    assert work.plan is not None
    assert [each.route.name for each in work.plan.routes] == ["p:m"]
    assert (work.input_tokens, work.estimate_kind, work.cache) == (8, "exact", "miss")
    assert work.messages[0].content == "hi"
    assert work.deadline_ms == work.record.timestamp_ms + 5000
    assert abs(work.taken_ms - work.record.timestamp_ms) < 5000


def test_what_cannot_be_read_passes_all_steps_by_before_the_jobs():
    door = FakeDoor()
    good, bad = record(7), Record(0, 3, 8, 1, None, b"?")
    work = through(bound(door), good, bad)

    assert [type(item) for item in work] == [Ended, Job]
    assert failed(work[:1]).code is Code.INVALID_REQUEST
    assert door.arrived == ["r7"]


@pytest.mark.parametrize("arrival", [Arrival.HELD, Arrival.GONE])
def test_what_must_wait_or_is_gone_leaves_the_flow(arrival: Arrival):
    assert through(bound(FakeDoor({"r7": (arrival, NO_OFFSET)})), record(7)) == []


def test_a_repeat_names_the_response_to_the_earlier_request():
    ended = one(through(bound(FakeDoor({"r7": (Arrival.REPEAT, 50)})), record(7)))

    assert (ended.repeat, ended.repeat_of, ended.failed) == (True, 50, None)


@pytest.mark.parametrize(
    ("arrival", "code", "conflict", "buried"),
    [(Arrival.CANCELLED, Code.CANCELLED, False, False), (Arrival.CONFLICT, Code.INVALID_REQUEST, True, True)],
)
def test_a_cancelled_request_and_a_conflict_end_at_the_door(
    arrival: Arrival, code: Code, conflict: bool, buried: bool
):
    work = through(bound(FakeDoor({"r7": (arrival, NO_OFFSET)})), record(7))

    assert (failed(work).code, failed(work).dead_letter, one(work).conflict) == (code, buried, conflict)


@pytest.mark.parametrize("arrival", [Arrival.REPEAT, Arrival.CANCELLED, Arrival.CONFLICT])
@pytest.mark.parametrize(
    ("topic", "partition", "kept"),
    [
        ("llm.requests", None, False),
        ("reply.absent", None, False),
        ("reply.a", 9, False),
        ("reply.a", 1, True),
    ],
)
def test_what_ends_at_the_door_gets_no_copy_at_an_address_that_is_not_allowed(
    arrival: Arrival, topic: str, partition: int | None, kept: bool
):
    answers = FakeAnswers()
    steps = bound(FakeDoor({"r7": (arrival, 5)}), answers=answers, topics={"reply.a": 2, "llm.requests": 12})
    asked = {"reply_topic": topic} | ({} if partition is None else {"reply_partition": partition})
    steps.respond([one(through(steps, record(7, **asked)))], lambda _: None)
    outcome = answers.written[0]

    address = outcome.copy_to if outcome.response is None else outcome.response.reply_topic
    assert (address is not None) == kept


def test_a_request_that_may_not_pass_is_rejected():
    failure = failed(through(bound(), record(7, reply_topic="llm.requests")))

    assert (failure.code, failure.field) == (Code.INVALID_REQUEST, "reply_topic")


def test_a_turn_that_lies_elsewhere_is_forwarded_and_never_arrives():
    door = FakeDoor()
    partition = home(CONTEXT, CLUSTER.partitions, murmur2)
    ended = one(through(bound(door), record(7, context_id=str(CONTEXT), deadline_ms=9_000_000_000_000)))

    assert ended.move is not None
    assert (partition, ended.move.partition) == (partition, partition)
    assert partition != 3
    headers = dict(ended.move.headers)
    assert headers["request_id"] == b"r7"
    assert int(headers["deadline_ms"]) <= 9_000_000_000_000
    assert door.arrived == []


def test_a_model_that_nobody_knows_ends_at_the_route():
    failure = failed(through(bound(), record(7, model="nobody")))

    assert (failure.code, failure.stage) == (Code.MODEL_UNAVAILABLE, "route")


def test_a_route_that_fails_is_not_the_first_choice():
    steps = bound(routes=(route("p:a", "a"), route("p:b", "b")))
    for _ in range(3):
        steps._health.record("p:a", ok=False, now_ms=time.time_ns() // 1_000_000)
    (work,) = through(steps, record(7))

    assert isinstance(work, Job)
    assert work.plan is not None
    assert work.plan.routes[0].route.name == "p:b"


def test_only_jobs_are_called():
    called: list[Job] = []
    asked = job()
    bound(submit=lambda jobs, _: called.extend(jobs)).call([asked, Ended(asked.record)], lambda _: None)

    assert called == [asked]


def test_responses_are_observed_before_they_are_written_and_done_when_durable():
    answers, observed, done = FakeAnswers(), list[Outcome](), list[Outcome]()
    asked = job()
    ends = [Ended(asked.record, asked, answer=Answer("yes", "stop", None)), Ended(asked.record)]
    bound(answers=answers, observed=observed).respond(ends, done.append)

    assert observed == answers.written == done
    response = answers.written[0].response
    assert response is not None
    assert response.response == "yes"


def test_dead_letters_go_to_this_installations_topic():
    answers = FakeAnswers()
    failure = Failed(Code.INVALID_REQUEST, "no", "decode", dead_letter=True)
    bound(answers=answers).respond([Ended(record(7), failed=failure)], lambda _: None)
    letter = answers.written[0].dead_letter

    assert letter is not None
    assert letter.topic == "x.llm.dead-letters"


def test_what_is_to_be_embedded_passes_all_steps_without_a_turn():
    (work,) = through(bound(), record(7, prompt=None, input=["a", "bc"], model="m"))

    assert isinstance(work, Job)
    assert (work.messages, work.input_tokens) == ((), 3)
    assert work.plan is not None
    assert [(each.route.name, each.max_tokens) for each in work.plan.routes] == [("p:m", None)]


def test_a_request_that_owes_its_turn_passes_all_steps_by():
    ended = one(through(bound(FakeDoor({"r7": (Arrival.OWED, 50)})), record(7)))

    assert (ended.owed, ended.repeat, ended.repeat_of, ended.failed) == (True, False, 50, None)
