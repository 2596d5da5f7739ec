"""What is written after a response: the ledger, the copy, the settled entry."""

from uuid import UUID

from connectors.kafka.rules.derived import (
    Written,
    answer_headers,
    copy,
    finished,
    settled,
    settled_record,
    turn,
)
from schemas.codes import Code
from schemas.contexts import Turn
from schemas.packed import REMEMBERED, Seal, Settled, unpack_settled
from schemas.records import Record
from schemas.requests import Message, Request
from schemas.responses import Attempt, ErrorInfo, Latency, Response
from schemas.usage import Finished

LATENCY = Latency(queue_ms=1, routing_ms=1, provider_ms=1, total_ms=1)
CONTEXT = UUID(int=5)


def attempt(number: int) -> Attempt:
    return Attempt(
        attempt=number, route="p:m", provider="p", model="m", outcome="ok", started_ms=1, duration_ms=2
    )


def response(**fields: object) -> Response:
    return Response.model_validate(
        {"request_id": "r\u00e9", "tenant": "t", "latency": LATENCY, "response": "yes"} | fields
    )


def written(**fields: object) -> Written:
    return Written(response(**fields), Seal(11, 12, True), 1, 3, 7, 70)


def test_the_ledger_has_one_entry_for_each_attempt_by_record_and_number():
    entries = finished(written(attempts=[attempt(1), attempt(2)], context_id=CONTEXT), "x.llm.usage")

    read = [Finished.model_validate_json(entry.value or b"") for entry in entries]
    assert [(each.source, each.attempt.attempt) for each in read] == [
        ("llm.waiting/3/7", 1),
        ("llm.waiting/3/7", 2),
    ]
    assert {(each.tenant, each.context_id, each.response_offset) for each in read} == {("t", CONTEXT, 70)}
    assert {(e.topic, e.partition, e.key, e.headers) for e in entries} == {
        ("x.llm.usage", 3, "r\u00e9".encode(), (("kind", b"finished"),))
    }


def test_a_response_without_attempts_leaves_nothing_on_the_ledger():
    assert finished(written(), "llm.usage") == []


def test_there_is_no_copy_without_a_reply_topic():
    assert copy(response()) is None


def test_the_copy_is_the_response_itself_with_its_headers():
    event = response(reply_topic="reply.a", reply_partition=2, correlation_id="c\u00e9", traceparent="00-1")
    record = copy(event)

    assert record is not None
    assert (record.topic, record.partition, record.key) == ("reply.a", 2, "r\u00e9".encode())
    assert record.value == event.to_bytes()
    assert record.headers == (
        ("kind", b"response"),
        ("correlation_id", "c\u00e9".encode()),
        ("traceparent", b"00-1"),
    )


def test_headers_that_were_not_given_are_left_out():
    assert answer_headers(response(), b"response") == (("kind", b"response"),)
    assert answer_headers(response(traceparent="t"), b"k") == (("kind", b"k"), ("traceparent", b"t"))


def test_the_settled_entry_says_whether_a_repeat_is_remembered():
    remembered = written()

    assert settled(remembered) == Settled(1, REMEMBERED, 7, 11, 12, 70)
    assert settled(remembered._replace(seal=Seal(11, 12, False))).flags == 0


def test_one_record_takes_the_entries_of_a_partition_in_order():
    entries = [settled(written()), settled(written()._replace(offset=8, response_offset=71))]
    record = settled_record("llm.usage", 3, entries)

    assert (record.topic, record.partition, record.key) == ("llm.usage", 3, None)
    assert record.headers == (("kind", b"settled"),)
    assert unpack_settled(record.value or b"") == entries


ASKED = Request(prompt="how high?", context_id=CONTEXT, context="given", tenant="t")
TURN_RECORD = Record(0, 3, 7, 1_000, None, b"{}")


def turn_of(asked: Request = ASKED, **fields: object) -> Turn | None:
    made = turn(TURN_RECORD, asked, response(**{"context_id": CONTEXT, "model": "m"} | fields))
    if made is not None:
        assert Turn.model_validate_json(made.to_bytes()) == made  # built without a check
    return made


def test_a_turn_is_what_was_asked_without_its_context_and_the_answer():
    assert turn_of() == Turn(
        context_id=CONTEXT,
        seq=7,
        tenant="t",
        request_id="r\u00e9",
        asked=[Message(role="user", content="how high?")],
        answer=Message(role="assistant", content="yes"),
        model="m",
        asked_ms=1000,
    )


def test_a_turn_keeps_the_turns_that_the_request_brought_as_they_were():
    told = {"role": "system", "content": "s"}
    brought = [told, {"role": "tool", "tool_call_id": "c", "content": "4", "odd": 1}]
    made = turn_of(Request.model_validate({"messages": brought, "context_id": str(CONTEXT)}))

    assert made is not None
    assert [each.model_dump(exclude_unset=True) for each in made.asked] == brought


def test_an_answer_keeps_its_calls_its_thinking_and_the_providers_own_content():
    own = {"format": "anthropic", "content": [{"type": "thinking", "signature": "s"}]}
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    made = turn_of(response="", tool_calls=calls, reasoning_content="hm", provider_content=own)

    assert made is not None
    assert made.answer.model_dump(exclude_unset=True) == {
        "role": "assistant", "tool_calls": calls, "reasoning_content": "hm", "provider_content": own,
    }  # fmt: skip


def test_an_empty_answer_is_a_turn_too():
    made = turn_of(response="")

    assert made is not None
    assert made.answer == Message(role="assistant", content="")


def test_failures_vectors_and_requests_without_a_conversation_are_no_turns():
    error = ErrorInfo(code=Code.REFUSED, message="no")

    assert turn_of(response=None, error=error) is None
    assert turn_of(response=None, embeddings=[[1.0]]) is None
    assert turn_of(Request(prompt="hi"), context_id=None) is None
