"""Events: small to write, closed where they should be, the same after a round trip over the wire."""

import re
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.chunks import Chunk
from schemas.codes import NOT_REMEMBERED, Code
from schemas.control import Cancel
from schemas.dead_letters import DeadLetter
from schemas.metrics import Series, Sketch, Snapshot
from schemas.requests import ADDRESS_FIELDS, HEADER_FIELDS, CacheMode, Message, Priority, Request, entries
from schemas.responses import Attempt, ErrorInfo, Latency, Response, Usage
from schemas.usage import Finished

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
COUNT = st.integers(0, 2**63 - 1)
AMOUNT = st.floats(0, 1e12)
OBJECT = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, max_size=3)
MESSAGE = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant"]),
    content=st.none() | TEXT | st.lists(OBJECT),
)
QUESTION = st.one_of(
    st.fixed_dictionaries({"prompt": st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)}),
    st.fixed_dictionaries({"messages": st.lists(MESSAGE, min_size=1, max_size=3)}),
)
OTHER = st.fixed_dictionaries(
    {},
    optional={
        "request_id": NAME,
        "context_id": st.uuids(),
        "model": NAME,
        "max_tokens": st.integers(1, 10**9),
        "temperature": st.floats(0, 2),
        "stop": TEXT | st.lists(TEXT, max_size=2),
        "tools": st.lists(OBJECT, max_size=2),
        "stream": st.booleans(),
        "priority": st.sampled_from(Priority),
        "deadline_ms": st.integers(1, 2**53),
        "cache": st.sampled_from(CacheMode),
        "metadata": OBJECT,
        "context_ref": st.just({"url": "s3://b/x", "size_bytes": 7, "sha256": "0" * 64}),
        "reply_partition": COUNT,
        "frequency_penalty": st.floats(-2, 2),
    },
)
ATTEMPT = st.builds(
    Attempt,
    attempt=st.integers(1, 65535),
    route=TEXT,
    provider=TEXT,
    model=TEXT,
    outcome=TEXT,
    started_ms=COUNT,
    duration_ms=AMOUNT,
    first_token_ms=st.none() | AMOUNT,
    usage=st.none() | st.builds(Usage, input_tokens=COUNT, output_tokens=COUNT),
    cost_usd=AMOUNT,
)
RESPONSE = st.builds(
    Response,
    request_id=NAME,
    context_id=st.none() | st.uuids(),
    tenant=NAME,
    response=st.none() | TEXT,
    error=st.none() | st.builds(ErrorInfo, code=st.sampled_from(Code), message=TEXT),
    attempts=st.lists(ATTEMPT, max_size=3),
    latency=st.builds(Latency, queue_ms=AMOUNT, routing_ms=AMOUNT, provider_ms=AMOUNT, total_ms=AMOUNT),
    unknown_outcome=st.booleans(),
    metadata=st.none() | OBJECT,
)


@given(QUESTION, OTHER)
def test_a_request_is_the_same_after_a_round_trip(question: dict[str, object], other: dict[str, object]):
    request = Request.model_validate({**question, **other})

    assert Request.model_validate_json(request.to_bytes()) == request


@given(RESPONSE)
def test_a_response_is_the_same_after_a_round_trip(response: Response):
    assert Response.model_validate_json(response.to_bytes()) == response


@given(ATTEMPT, COUNT)
def test_a_ledger_entry_is_the_same_after_a_round_trip(attempt: Attempt, offset: int):
    entry = Finished(
        request_id="r", tenant="t", source="llm.requests/0/1", response_offset=offset, attempt=attempt
    )

    assert Finished.model_validate_json(entry.to_bytes()) == entry


def test_a_prompt_is_enough_and_what_is_absent_stays_away_from_the_wire():
    request = Request.model_validate_json(b'{"prompt": "hi"}')

    assert request.model == "auto"
    assert request.tenant == "default"
    assert b"null" not in request.to_bytes()


def test_an_openai_chat_body_is_a_request_as_it_stands():
    body = {
        "model": "gpt-5",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function"}],
                "refusal": None,
            },
            {"role": "tool", "tool_call_id": "c", "content": "4"},
        ],
        "n": 1,
        "logit_bias": {"50256": -100},
        "stream_options": {"include_usage": True},
    }

    request = Request.model_validate(body)

    assert set(request.model_extra or {}) == {"n", "logit_bias", "stream_options"}
    assert orjson.loads(request.to_bytes())["logit_bias"] == {"50256": -100}


@pytest.mark.parametrize("body", [{}, {"prompt": "a", "messages": [{"role": "user", "content": "b"}]}])
def test_a_request_has_one_question(body: dict[str, object]):
    with pytest.raises(ValidationError, match="give either `prompt`, `messages` or `input`"):
        Request.model_validate(body)


def test_the_newer_name_of_the_output_limit_holds():
    assert Request(prompt="a").output_limit_tokens is None
    assert Request(prompt="a", max_tokens=5).output_limit_tokens == 5
    assert Request(prompt="a", max_tokens=5, max_completion_tokens=7).output_limit_tokens == 7


@pytest.mark.parametrize("field", ["messages", "tools", "stop", "fallbacks"])
def test_a_hostile_list_is_read_up_to_its_first_fault_only(field: str):
    body = {"prompt": "a", field: [1] * 100_000}

    with pytest.raises(ValidationError) as caught:
        Request.model_validate(body)

    assert caught.value.error_count() <= 2


def test_header_and_address_fields_are_fields_of_a_request():
    assert set(HEADER_FIELDS) | ADDRESS_FIELDS <= set(Request.model_fields)


def test_events_are_frozen_and_closed():
    chunk = Chunk(request_id="r", attempt=1, seq=0, delta="x")

    with pytest.raises(ValidationError, match="frozen"):
        chunk.delta = "y"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Cancel.model_validate({"request_id": "r", "tennant": "t"})


def test_lists_of_two_events_are_not_shared():
    first, second = (
        DeadLetter(request_id="r", source="s", code=Code.INTERNAL, message="m", stage="call", timestamp_ms=1)
        for _ in range(2)
    )
    first.headers.append(("a", "b"))

    assert second.headers == []


def test_a_snapshot_carries_series_by_route_and_tenant():
    series = Series(route="a:b", tenant="t", latency=Sketch(bounds_ms=[1.0], counts=[1, 0], sum_ms=0.5))
    snapshot = Snapshot(
        process="w", role="worker", at_ms=2, started_ms=1, counters={"n": 1}, gauges={}, series=[series]
    )

    assert Snapshot.model_validate_json(snapshot.to_bytes()) == snapshot


def test_failures_that_time_or_money_may_cure_are_not_remembered():
    assert {code for code in Code if code not in NOT_REMEMBERED} == {
        Code.INVALID_REQUEST,
        Code.TOKEN_LIMIT_EXCEEDED,
        Code.REFUSED,
        Code.CRASH_LOOP,
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"context": "c"}, "give either `context` or `context_ref`"),
        ({"prompt": None, "input": "x"}, "`context_ref` has no place beside `input`"),
        ({"context_ref": {"url": ""}}, "context_ref.url"),
        ({"context_ref": {"url": "s3://b/x", "sha256": "abc"}}, "context_ref.sha256"),
        ({"context_ref": {"url": "s3://b/x", "media_type": "image/png"}}, "context_ref.media_type"),
        ({"context_ref": {"url": "s3://b/x", "media_type": "text/plain; charset=latin-1"}}, "media_type"),
        ({"context_ref": {"url": "s3://b/x", "size_bytes": -1}}, "context_ref.size_bytes"),
        ({"context_ref": {"url": "s3://b/x", "follow": True}}, "context_ref.follow"),
        ({"context_ref": "s3://b/x"}, "context_ref"),
    ],
)
def test_a_reference_that_breaks_the_contract_is_refused(fields: dict[str, object], message: str):
    body = {"prompt": "hi", "context_ref": {"url": "s3://b/x"}} | fields

    with pytest.raises(ValidationError, match=re.escape(message)):
        Request.model_validate(body)


@pytest.mark.parametrize("user", [None, "", "x" * 201, 7, ["ada"]])
def test_memory_needs_a_user(user: object):
    with pytest.raises(ValidationError, match="`memory` needs `user`"):
        Request.model_validate({"prompt": "hi", "memory": "read", "user": user})


def test_what_is_embedded_has_no_memory():
    with pytest.raises(ValidationError, match="no `input`"):
        Request.model_validate({"input": "hi", "memory": "write", "user": "ada"})


def test_a_context_id_is_a_uuid():
    request = Request.model_validate({"prompt": "a", "context_id": "0b8f5d0e-2a49-4c65-9f0e-6f6c1b1f3a11"})

    assert request.context_id == UUID("0b8f5d0e-2a49-4c65-9f0e-6f6c1b1f3a11")


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2], [[1], [2, 3]]])
def test_what_is_to_be_embedded_comes_as_texts_or_tokens(given: object):
    request = Request.model_validate({"input": given})

    assert orjson.loads(request.to_bytes())["input"] == given


@pytest.mark.parametrize(
    ("given", "one_by_one"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_entries_are_what_vectors_are_asked_of(given: object, one_by_one: object):
    request = Request.model_validate({"input": given})

    assert request.input is not None
    assert entries(request.input) == one_by_one


@pytest.mark.parametrize(
    "body",
    [
        {"input": ""},
        {"input": []},
        {"input": [[]]},
        {"input": ["a", 1]},
        {"input": "a", "prompt": "b"},
        {"input": "a", "stream": True},
        {"input": "a", "context": "b"},
    ],
)
def test_what_cant_be_embedded_is_refused(body: dict[str, object]):
    with pytest.raises(ValidationError):
        Request.model_validate(body)
