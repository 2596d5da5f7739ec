"""From the end of a request's way to its outcome."""

from base64 import b64decode
from uuid import UUID

import pytest

from flows.stages.jobs import CallPlan, Ended, Failed, Job, PlannedRoute
from flows.stages.respond import respond
from schemas.arrivals import Outcome
from schemas.calls import Answer
from schemas.codes import NOT_REMEMBERED, Code
from schemas.dead_letters import DeadLetter
from schemas.packed import NO_OFFSET
from schemas.records import Outgoing, Record
from schemas.responses import Attempt, Latency, Response, RouteChoice, Usage
from tests.flows.stages.making import job, record, record_of, route

NOW_MS = 1_000_500
MAX_BYTES = 2000
USAGE = Usage(input_tokens=10, output_tokens=4)
ANSWER = Answer("yes", "stop", USAGE)
CONTEXT = UUID(int=5)


def outcome_of(ended: Ended, max_bytes: int = MAX_BYTES) -> Outcome:
    return respond(ended, NOW_MS, max_bytes, "x.")


def response_of(ended: Ended, max_bytes: int = MAX_BYTES) -> Response:
    response = outcome_of(ended, max_bytes).response
    assert response is not None
    return response


def attempt(number: int = 1, outcome: str = "ok", **fields: object) -> Attempt:
    values = {"route": "p:m", "provider": "p", "model": "m", "started_ms": 1_000_100, "duration_ms": 300}
    return Attempt.model_validate({"attempt": number, "outcome": outcome} | values | fields)


def ended(asked: Job | None = None, **fields: object) -> Ended:
    asked = asked or job()
    return Ended(asked.record, asked, **fields)  # type: ignore[arg-type]


def failure(code: Code, **fields: object) -> Failed:
    return Failed(code, "no", "here", **fields)  # type: ignore[arg-type]


def test_an_answer_carries_all_that_is_derived_from_it():
    asked = job(
        model="auto", context_id=str(CONTEXT), tenant="t", metadata={"a": 1}, correlation_id="c",
        traceparent="tp", reply_topic="reply.a", reply_partition=2,
    )  # fmt: skip
    asked.taken_ms, asked.input_tokens, asked.estimate_kind, asked.cache = 1_000_020, 9, "exact", "miss"
    other = route("p:other")
    asked.plan = CallPlan((PlannedRoute(route("p:m"), None), PlannedRoute(other, None)), "first healthy")
    tries = [attempt(1, "throttled"), attempt(2, cost_usd=0.5), attempt(3, cost_usd=0.25)]
    response = response_of(
        ended(asked, answer=ANSWER, attempts=tries, route=other, reason="fallback after throttled")
    )

    assert response == Response(
        request_id="r",
        context_id=CONTEXT,
        tenant="t",
        response="yes",
        finish_reason="stop",
        tokens_used=14,
        usage=USAGE,
        cost_usd=0.75,
        model="other",
        provider="p",
        attempts=tries,
        estimated_input_tokens=9,
        estimate_kind="exact",
        cache="miss",
        route=RouteChoice(
            asked="auto", route="p:other", reason="fallback after throttled", considered=["p:m", "p:other"]
        ),
        latency=Latency(queue_ms=20, routing_ms=100, provider_ms=900, total_ms=500),
        metadata={"a": 1},
        reply_topic="reply.a",
        reply_partition=2,
        correlation_id="c",
        traceparent="tp",
    )


def test_the_model_is_the_one_the_provider_names_and_tools_are_handed_on():
    call = {"id": "1"}
    answer = Answer("", "tool_calls", None, model="m-2026", tool_calls=(call,))
    response = response_of(ended(answer=answer, route=route("p:m")))

    assert (response.model, response.tool_calls, response.tokens_used) == ("m-2026", [call], 0)
    assert response.estimated_input_tokens is None
    assert response.route is not None
    assert response.route.considered == []


def test_an_answer_without_a_route_names_nobody():
    response = response_of(ended(answer=ANSWER))

    assert (response.model, response.provider, response.route) == (None, None, None)


def test_a_failure_says_why_and_keeps_what_was_tried():
    tries = [attempt(1, "unknown"), attempt(2, "unavailable", started_ms=1_000_300)]
    response = response_of(
        ended(failed=failure(Code.MODEL_UNAVAILABLE, field="model"), attempts=tries, route=route("p:m"))
    )

    assert response.error is not None
    assert (response.error.code, response.error.message) == (Code.MODEL_UNAVAILABLE, "no")
    assert (response.error.field, response.error.stage) == ("model", "here")
    assert (response.response, response.route, response.provider) == (None, None, None)
    assert response.attempts == tries
    assert response.latency.routing_ms == 300


def test_a_clock_that_lags_behind_the_brokers_makes_no_negative_time():
    asked = job()
    asked.taken_ms = 1
    response = respond(ended(asked, attempts=[attempt(started_ms=1)]), 2, MAX_BYTES, "").response

    assert response is not None
    assert (response.latency.queue_ms, response.latency.routing_ms, response.latency.total_ms) == (0, 0, 0)


def test_a_move_and_a_repeat_have_no_response():
    move = Outgoing("x.llm.requests", b"")
    asked = job()

    assert outcome_of(ended(asked, move=move)) == Outcome(asked.record, asked.identity, move=move)
    assert outcome_of(ended(asked, repeat=True, repeat_of=5)) == Outcome(
        asked.record, asked.identity, repeat_of=5
    )
    assert outcome_of(Ended(record(), repeat=True)) == Outcome(record(), None, repeat_of=NO_OFFSET)


def test_a_repeat_with_a_reply_address_wants_a_copy_there():
    asked = job(reply_topic="reply.a", reply_partition=2, correlation_id="c")

    assert outcome_of(ended(asked, repeat=True, repeat_of=5)).copy_to == ("reply.a", 2, "c")


def test_a_wrong_reply_topic_gets_no_copy_of_the_failure():
    asked = job(reply_topic="elsewhere")

    assert (
        response_of(ended(asked, failed=failure(Code.INVALID_REQUEST, field="reply_topic"))).reply_topic
        is None
    )
    assert (
        response_of(ended(asked, failed=failure(Code.INVALID_REQUEST, field="x"))).reply_topic == "elsewhere"
    )


REMEMBERED = [code for code in Code if code not in NOT_REMEMBERED]


@pytest.mark.parametrize("code", list(Code))
def test_only_a_failure_that_would_come_again_is_remembered(code: Code):
    assert outcome_of(ended(failed=failure(code))).remembered == (code in REMEMBERED)


def test_an_answer_is_remembered_but_not_for_an_id_made_from_the_place_a_replay_or_a_conflict():
    nameless, replay = job(), job()
    nameless.request_hash = 0
    replay.record = record(replay=b"1")

    assert outcome_of(ended(answer=ANSWER)).remembered
    assert not outcome_of(ended(nameless, answer=ANSWER)).remembered
    assert not outcome_of(ended(replay, answer=ANSWER)).remembered
    assert not outcome_of(ended(failed=failure(Code.INVALID_REQUEST), conflict=True)).remembered


def test_a_record_that_could_not_be_read_is_answered_with_what_could():
    sent = record_of({"request_id": "a", "tenant": "t", "context_id": str(CONTEXT)}, traceparent=b"tp")
    outcome = outcome_of(Ended(sent, failed=failure(Code.INVALID_REQUEST)))

    assert outcome.identity is None
    assert not outcome.remembered
    assert outcome.response is not None
    assert (outcome.response.request_id, outcome.response.tenant) == ("a", "t")
    assert (outcome.response.context_id, outcome.response.traceparent) == (CONTEXT, "tp")
    assert outcome.response.latency == Latency(queue_ms=500, routing_ms=0, provider_ms=0, total_ms=500)


def test_a_record_that_was_dropped_on_its_way_has_no_error_to_tell():
    assert response_of(Ended(record(b"?"))).error is None


def test_a_dead_letter_keeps_the_original_bytes_and_the_cost():
    sent = Record(0, 3, 7, -1, b"k", b"\xff", (("h", b"\x00"),))
    failed = failure(Code.INVALID_REQUEST, dead_letter=True)
    letter = outcome_of(Ended(sent, failed=failed, attempts=[attempt(cost_usd=0.5)])).dead_letter

    assert letter is not None
    assert (letter.topic, letter.partition, letter.key) == ("x.llm.dead-letters", 3, b"llm.requests/3/7")
    read = DeadLetter.model_validate_json(letter.value or b"")
    assert (b64decode(read.key or ""), b64decode(read.value or "")) == (b"k", b"\xff")
    assert [(name, b64decode(value)) for name, value in read.headers] == [("h", b"\x00")]
    assert (read.source, read.code, read.stage, read.timestamp_ms) == (
        "llm.requests/3/7",
        Code.INVALID_REQUEST,
        "here",
        0,
    )


def test_a_dead_letter_of_a_paid_request_says_what_was_spent_and_absent_bytes_stay_absent():
    asked = job()
    asked.record = Record(0, 3, 7, 5, None, None)
    failed = failure(Code.INTERNAL, dead_letter=True)
    letter = outcome_of(ended(asked, failed=failed, attempts=[attempt(cost_usd=0.5)])).dead_letter

    assert letter is not None
    read = DeadLetter.model_validate_json(letter.value or b"")
    assert (read.cost_usd, read.key, read.value) == (0.5, None, None)


def test_other_failures_leave_no_dead_letter():
    assert outcome_of(ended(failed=failure(Code.REFUSED))).dead_letter is None
    assert outcome_of(ended(answer=ANSWER)).dead_letter is None


def test_an_answer_too_large_for_the_topic_becomes_a_failure_that_was_paid():
    big = Answer("x" * 600_000, "stop", USAGE)
    response = response_of(ended(answer=big, attempts=[attempt(cost_usd=0.5)], route=route("p:m")), 500_000)

    assert response.error is not None
    assert response.error.code is Code.INTERNAL
    assert "lower max_tokens" in response.error.message
    assert (response.response, response.cost_usd) == (None, 0.5)
    assert response_of(ended(answer=big), 700_000).response == big.text


def test_metadata_too_large_for_the_topic_is_left_out():
    response = response_of(ended(job(metadata={"a": "x" * 3000}), answer=ANSWER))

    assert response.metadata is None
    assert response.error is not None
    assert response_of(ended(job(metadata={"a": 1}), answer=ANSWER)).error is None


def test_tools_too_large_for_the_topic_become_a_failure():
    answer = Answer("", "tool_calls", None, tool_calls=({"a": "x" * 3000},))

    assert response_of(ended(answer=answer)).error is not None


def test_an_unknown_outcome_is_flagged():
    asked = job()
    asked.record = Record(0, 3, 7, 5, None, b"", unknown_outcome=True)

    assert response_of(ended(asked, answer=ANSWER)).unknown_outcome
    assert response_of(Ended(asked.record)).unknown_outcome


def test_vectors_stand_in_place_of_a_text_written_as_asked():
    answer = Answer("", "stop", USAGE, embeddings=((1.0, -0.5), (0.25, 2.0)))
    plain = response_of(ended(job(input=["a", "b"]), answer=answer))
    packed = response_of(ended(job(input=["a", "b"], encoding_format="base64"), answer=answer))

    assert (plain.response, plain.embeddings) == (None, [[1.0, -0.5], [0.25, 2.0]])
    assert packed.embeddings == ["AACAPwAAAL8=", "AACAPgAAAEA="]
    assert Response.model_validate_json(packed.to_bytes()) == packed


def test_a_turn_takes_its_request_along_for_what_is_derived_from_both():
    asked = job(context_id=str(CONTEXT))

    assert outcome_of(ended(asked, answer=ANSWER)).request is asked.request
    assert outcome_of(ended(job(), answer=ANSWER)).request is None


def test_a_request_that_was_answered_before_ends_with_its_turn_only():
    asked = job(context_id=str(CONTEXT))
    outcome = outcome_of(ended(asked, owed=True, repeat_of=66))

    assert (outcome.owed, outcome.response, outcome.response_offset) == (True, None, 66)
    assert (outcome.request, outcome.remembered) == (asked.request, True)


def remembering(mode: str, **fields: object) -> Job:
    return job(memory=mode, user="ada", tenant="acme", **fields)


def test_question_and_answer_of_a_request_that_asks_for_it_are_remembered_once():
    turns = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "Tea?"}, {"type": "image_url"}]},
        {"role": "assistant", "content": "hm"},
    ]
    asked = remembering("write", messages=turns)
    kept = response_of(ended(asked, answer=Answer("x" * 9000, "stop", Usage())), 20_000).memory
    again = response_of(ended(remembering("read_write"), answer=Answer("Yes.", "stop", Usage()))).memory

    assert kept is not None
    assert again is not None
    assert (kept.tenant, kept.user, kept.request_id, kept.at_ms) == ("acme", "ada", "r", 1_000_000)
    assert kept.text == "Asked: Tea?\nAnswered: " + "x" * 1990
    assert again.text == "Asked: hi\nAnswered: Yes."
    assert kept.key == again.key == f"acme/ada/{kept.id}"


def test_an_answer_that_fits_only_without_its_memory_goes_without_it():
    response = response_of(ended(remembering("write"), answer=Answer("x" * 1000, "stop", Usage())))

    assert (response.response, response.error, response.memory) == ("x" * 1000, None, None)


def test_what_is_only_read_or_failed_is_not_remembered():
    assert response_of(ended(remembering("read"), answer=Answer("a", "stop", Usage()))).memory is None
    assert response_of(ended(job(), answer=Answer("a", "stop", Usage()))).memory is None
    assert response_of(ended(remembering("write"), failed=failure(Code.REFUSED))).memory is None


def test_a_request_without_a_word_of_the_user_is_remembered_by_its_answer():
    asked = remembering("write", messages=[{"role": "system", "content": "s"}])
    kept = response_of(ended(asked, answer=Answer("a", "stop", Usage()))).memory

    assert kept is not None
    assert kept.text == "Asked: \nAnswered: a"


def test_remarks_of_the_steps_stand_on_the_response():
    asked = job()
    asked.notes["memory"] = "went on without"

    assert response_of(ended(asked)).notes == {"memory": "went on without"}
    assert response_of(ended()).notes is None
