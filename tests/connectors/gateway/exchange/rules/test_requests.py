"""What the gateway adds to a request."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.exchange.rules.requests import Stamp, deadline_ms, key_of, request_id, stamped, trace
from schemas.requests import Request

STAMP = Stamp("req_1", "acme", "reply.gateway", 3, 99, "00-a")


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front(now_ms: int, chance: bytes):
    made = UUID(request_id(now_ms, chance).removeprefix("req_"))

    assert (made.version, made.variant, made.int >> 80) == (7, "specified in RFC 4122", now_ms)


def test_ids_differ_by_chance():
    assert len({request_id(5, bytes([n] * 10)) for n in range(256)}) > 200


@pytest.mark.parametrize(
    "given", [None, "", "00-1", f"00-{'0' * 32}-{'1' * 16}-01", f"01-{'1' * 32}-{'1' * 16}-01", "x\n"]
)
def test_a_trace_context_that_is_none_becomes_a_new_one(given: str | None):
    assert trace(given, bytes(range(24))) == "00-000102030405060708090a0b0c0d0e0f-1011121314151617-01"


def test_a_good_trace_context_is_kept():
    good = f"00-{'1' * 32}-{'2' * 16}-00"

    assert trace(good, bytes(24)) == good


@pytest.mark.parametrize(
    ("fields", "expected"), [({}, 1500), ({"timeout_ms": 7}, 1007), ({"deadline_ms": 9, "timeout_ms": 7}, 9)]
)
def test_a_deadline_is_as_asked_else_by_default(fields: dict[str, int], expected: int):
    assert deadline_ms(Request(prompt="hi", **fields), 1000, 500) == expected  # type: ignore[arg-type]


def test_what_a_client_says_of_itself_and_its_address_does_not_count():
    theirs = {"request_id": "mine", "tenant": "rich", "reply_topic": "elsewhere", "reply_partition": 9}
    claimed = Request.model_validate(
        {**theirs, "prompt": "hi", "correlation_id": "c", "timeout_ms": 5, "top_k": 3}
    )

    made = stamped(claimed, STAMP)

    assert (made.request_id, made.correlation_id, made.tenant) == ("req_1", "req_1", "acme")
    assert (made.reply_topic, made.reply_partition, made.deadline_ms) == ("reply.gateway", 3, 99)
    assert (made.timeout_ms, made.traceparent, made.model_extra) == (None, "00-a", {"top_k": 3})


def test_a_conversation_is_the_key_where_there_is_one():
    context = UUID(int=7)

    assert key_of(Request(prompt="hi", request_id="r")) == b"r"
    assert key_of(Request(prompt="hi", request_id="r", context_id=context)) == str(context).encode()
