"""Reading who sent a broken record."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from flows.stages.sender import Sender, sender
from tests.flows.stages.making import record, record_of

CONVERSATION = "6a1f0f5e-6f3e-4b0e-9a53-1d1f5c1f0b11"


def test_sound_fields_of_a_broken_request_are_kept():
    body = {"prompt": 7, "request_id": "a", "tenant": "t", "context_id": CONVERSATION, "correlation_id": "c"}

    assert sender(record_of(body)) == Sender("a", "t", UUID(CONVERSATION), "c", None)


def test_header_beats_the_body():
    assert sender(record_of({"request_id": "a"}, request_id=b"b", priority=b"x")).request_id == "b"


def test_unsound_fields_are_left_out():
    body = {
        "request_id": "a\nb",
        "tenant": "",
        "context_id": "none",
        "correlation_id": 7,
        "traceparent": "x" * 201,
    }

    assert sender(record_of(body, tenant=b"\xff")) == Sender("llm.requests/3/7")


def test_record_that_is_not_json_is_named_by_its_place():
    assert (
        sender(record(b"\xff")) == sender(record(None)) == sender(record(b"[]")) == Sender("llm.requests/3/7")
    )


@given(st.binary(), st.binary())
def test_no_record_raises(value: bytes, header: bytes):
    base = replace(record(value), headers=(("request_id", header), ("context_id", header)))

    assert sender(base).request_id
