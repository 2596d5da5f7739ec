"""Decoding: what passes, what is refused and by which name."""

import json
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages.decode import MAX_DEPTH, decode
from flows.stages.jobs import Failed, Job
from flows.stages.limits import Limits
from schemas.codes import Code
from schemas.packed import hash_request
from tests.flows.stages.making import failed, passed, record, record_of

LIMITS = Limits()
NOW_MS = 1_000_005


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def test_smallest_request_becomes_a_job_named_by_its_place():
    job = passed(decode(record(), LIMITS, NOW_MS))

    assert (job.request.prompt, job.request_id, job.taken_ms) == ("hi", "llm.requests/3/7", NOW_MS)
    assert job.request_hash == 0


def test_given_id_is_hashed_with_its_tenant():
    job = passed(decode(record_of({"prompt": "x", "request_id": "a", "tenant": "t"}), LIMITS, NOW_MS))

    assert (job.request_id, job.request_hash) == ("a", hash_request("t", "a"))


def test_openai_chat_body_passes_with_its_own_parameters():
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "presence_penalty": 0.5}

    assert passed(decode(record_of(body), LIMITS, NOW_MS)).request.model_extra == {"presence_penalty": 0.5}


def test_header_beats_the_body_and_its_last_value_holds():
    base = record_of({"prompt": "x", "tenant": "body", "deadline_ms": 5})
    headers = (("tenant", b"one"), ("tenant", b"two"), ("deadline_ms", b"77"), ("other", b"\xff"))
    job = passed(decode(replace(base, headers=headers), LIMITS, NOW_MS))

    assert (job.request.tenant, job.request.deadline_ms) == ("two", 77)


@pytest.mark.parametrize("written", [b"application/json", b"Application/JSON; charset=UTF-8"])
def test_json_content_types_pass(written: bytes):
    base = replace(record(), headers=(("content-type", written),))

    assert isinstance(decode(base, LIMITS, NOW_MS), Job)


def test_body_hash_leaves_out_addresses_key_order_and_spaces():
    one = {"prompt": "x", "temperature": 0.5, "reply_topic": "reply.a", "timeout_ms": 5, "traceparent": "0"}
    two = b'{ "temperature" : 0.5 ,\n "prompt": "x", "deadline_ms": 9, "correlation_id": "c" }'

    hashes = {passed(decode(each, LIMITS, NOW_MS)).body_hash for each in (record_of(one), record(two))}
    assert len(hashes) == 1


@pytest.mark.parametrize("change", [{"prompt": "y"}, {"temperature": 0.6}, {"tenant": "t"}, {"extra": 1}])
def test_body_hash_differs_when_something_else_is_asked(change: dict[str, object]):
    body = {"prompt": "x", "temperature": 0.5}
    one = passed(decode(record_of(body), LIMITS, NOW_MS))
    two = passed(decode(record_of({**body, **change}), LIMITS, NOW_MS))

    assert one.body_hash != two.body_hash


def test_header_counts_in_the_body_hash_like_the_field():
    in_body = passed(decode(record_of({"prompt": "x", "priority": "bulk"}), LIMITS, NOW_MS))
    in_header = passed(decode(record_of({"prompt": "x"}, priority=b"bulk"), LIMITS, NOW_MS))

    assert in_body.body_hash == in_header.body_hash


HOSTILE: list[tuple[str, bytes, str]] = [
    ("empty", b"", "value"),
    ("not UTF-8", b'{"prompt": "\xff"}', "value"),
    ("not JSON", b"{'prompt': 1}", "value"),
    ("byte order mark", b'\xef\xbb\xbf{"prompt": "x"}', "value"),
    ("array", b"[]", "value"),
    ("string", b'"x"', "value"),
    ("number", b"1.5", "value"),
    ("null", b"null", "value"),
    ("boolean", b"true", "value"),
    ("NaN", b'{"prompt": "x", "temperature": NaN}', "value"),
    ("infinite", b'{"prompt": "x", "temperature": 1e999}', "value"),
    ("lone surrogate", b'{"prompt": "\\ud800"}', "value"),
    ("deeper than JSON is read", b'{"prompt":"x","a":' + b"[" * 5000 + b"]" * 5000 + b"}", "value"),
    ("deeper than JSON is written", orjson.dumps({"prompt": "x", "a": nested(250)}), "value"),
    ("huge integer", b'{"prompt":"x","seed":100000000000000000000}', "seed"),
    ("integer over 63 bits", b'{"prompt":"x","seed":18446744073709551615}', "seed"),
    ("duplicate key", b'{"prompt":"x","prompt":"y"}', "prompt"),
    ("duplicate key inside", b'{"prompt":"x","metadata":{"a\\":":1,"b":[{"k":1,"k":2}]}}', "k"),
    ("no question", b"{}", "prompt"),
    ("two questions", b'{"prompt":"x","messages":[{"role":"user","content":"x"}]}', "prompt"),
    ("wrong type", b'{"prompt":7}', "prompt"),
    ("wrong type inside", b'{"messages":[{"role":"user","content":"x"},{"role":"boss"}]}', "messages.1.role"),
    ("misspelt", b'{"prompt":"x","max_token":5}', "max_token"),
    ("misspelt question", b'{"promt":"x"}', "promt"),
    ("control character in the id", b'{"prompt":"x","request_id":"a\\nb"}', "request_id"),
    ("control character in the tenant", b'{"prompt":"x","tenant":"a\\u0000"}', "tenant"),
    ("control character in a fallback", b'{"prompt":"x","fallbacks":["a","\\r"]}', "fallbacks.1"),
    ("long trace context", b'{"prompt":"x","traceparent":"' + b"0" * 300 + b'"}', "traceparent"),
    ("huge id", b'{"prompt":"x","request_id":"' + b"a" * 300 + b'"}', "request_id"),
]


@pytest.mark.parametrize(
    ("value", "field"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_hostile_value_is_a_dead_letter_that_names_the_field(value: bytes, field: str):
    failure = failed(decode(record(value), LIMITS, NOW_MS))

    assert (failure.code, failure.field, failure.dead_letter) == (Code.INVALID_REQUEST, field, True)
    assert f"`{field}`" in failure.message
    assert len(failure.message) <= 500


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("tenant", b"\xff"),
        ("deadline_ms", b"soon"),
        ("deadline_ms", b"-5"),
        ("deadline_ms", "٣".encode()),
        ("deadline_ms", b"0"),
        ("reply_partition", b"9" * 40),
        ("context_id", b"x"),
        ("priority", b"urgent"),
        ("request_id", b""),
        ("content-type", b"text/plain"),
        ("content-type", b"application/jsonl"),
    ],
)
def test_hostile_header_is_a_dead_letter_that_names_it(name: str, raw: bytes):
    failure = failed(decode(replace(record(), headers=((name, raw),)), LIMITS, NOW_MS))

    assert (failure.code, failure.field, failure.dead_letter) == (Code.INVALID_REQUEST, name, True)


def test_value_at_the_size_limit_passes_and_one_byte_more_does_not():
    limits = Limits(max_request_bytes=len(b'{"prompt":"x"}'))

    assert isinstance(decode(record(b'{"prompt":"x"}'), limits, NOW_MS), Job)
    assert failed(decode(record(b'{"prompt":"xy"}'), limits, NOW_MS)).field == "value"


def test_deepest_body_can_be_written_again_and_one_level_more_is_refused():
    deepest = {"prompt": "x", "metadata": {"a": nested(MAX_DEPTH - 2)}}
    deeper = {"prompt": "x", "metadata": {"a": nested(MAX_DEPTH - 1)}}

    job = passed(decode(record_of(deepest), LIMITS, NOW_MS))
    assert job.request.to_bytes()
    assert failed(decode(record_of(deeper), LIMITS, NOW_MS)).field == "value"


def test_missing_value_fails_like_an_empty_one():
    assert failed(decode(record(None), LIMITS, NOW_MS)).field == "value"


def test_record_named_by_recovery_is_not_read():
    failure = failed(decode(replace(record(b"\xff"), crash_loop=True), LIMITS, NOW_MS))

    assert (failure.code, failure.dead_letter) == (Code.CRASH_LOOP, True)


@given(st.binary(max_size=80))
def test_no_bytes_raise(value: bytes):
    assert isinstance(decode(record(value), LIMITS, NOW_MS), Job | Failed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["prompt", "messages", "model", "seed", "fallbacks", "stop", "tools", "context", "x"])


@given(st.dictionaries(NAMES, JSON), st.dictionaries(st.sampled_from(["tenant", "request_id"]), st.binary()))
def test_no_json_and_no_header_raises_and_what_passes_can_be_written(
    body: dict[str, object], headers: dict[str, bytes]
):
    base = replace(record(json.dumps(body).encode()), headers=tuple(headers.items()))
    job = decode(base, LIMITS, NOW_MS)

    assert isinstance(job, Failed) or orjson.dumps(job.request.model_dump(mode="json"))
