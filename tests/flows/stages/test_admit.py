"""Letting requests in."""

import base64
from datetime import timedelta

import pytest
import zstandard

from flows.stages.admit import AdmitPolicy, admit
from flows.stages.jobs import Failed, Job
from flows.stages.limits import Limits
from schemas.codes import Code
from tests.flows.stages.making import failed, job, passed

APPENDED_MS = 1_000_000
TOPICS = {"reply.a": 3, "other": 1}
POLICY = AdmitPolicy(limits=Limits(max_context_bytes=1000, default_timeout=timedelta(seconds=10)))


def packed(text: bytes, **options: object) -> str:
    return base64.b64encode(zstandard.ZstdCompressor(**options).compress(text)).decode()  # type: ignore[arg-type]


def admitted(now_ms: int = APPENDED_MS, **fields: object) -> Job | Failed:
    return admit(job(**fields), POLICY, TOPICS, now_ms)


@pytest.mark.parametrize(
    ("fields", "deadline_ms"),
    [
        ({}, APPENDED_MS + 10_000),
        ({"timeout_ms": 500}, APPENDED_MS + 500),
        ({"deadline_ms": 2_000_000}, 2_000_000),
        ({"deadline_ms": 2_000_000, "timeout_ms": 5}, 2_000_000),
        ({"deadline_ms": 2**62}, APPENDED_MS + 7 * 86_400_000),
        ({"timeout_ms": 2**62}, APPENDED_MS + 7 * 86_400_000),
    ],
)
def test_deadline_is_as_asked_or_by_default_and_bounded(fields: dict[str, object], deadline_ms: int):
    assert passed(admitted(**fields)).deadline_ms == deadline_ms


def test_request_at_its_deadline_is_too_late_and_one_before_is_not():
    assert isinstance(admitted(now_ms=APPENDED_MS + 499, timeout_ms=500), Job)
    failure = failed(admitted(now_ms=APPENDED_MS + 500, timeout_ms=500))
    assert (failure.code, failure.dead_letter) == (Code.DEADLINE_EXCEEDED, False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reply_topic": "other"}, "reply_topic"),
        ({"reply_topic": "reply.none"}, "reply_topic"),
        ({"reply_topic": "reply.a", "reply_partition": 3}, "reply_partition"),
        ({"reply_partition": 0}, "reply_partition"),
    ],
)
def test_wrong_reply_address_is_named_and_taken_off_the_job(fields: dict[str, object], field: str):
    asked = job(**fields)
    failure = failed(admit(asked, POLICY, TOPICS, APPENDED_MS + 99_999))

    assert (failure.code, failure.field, failure.dead_letter) == (Code.INVALID_REQUEST, field, True)
    assert (asked.request.reply_topic, asked.request.reply_partition) == (None, None)


@pytest.mark.parametrize(
    "fields", [{"reply_topic": "reply.a"}, {"reply_topic": "reply.a", "reply_partition": 2}]
)
def test_good_reply_address_passes(fields: dict[str, object]):
    assert isinstance(admitted(**fields), Job)


def test_no_prefix_allows_no_topic():
    asked = job(reply_topic="reply.a")

    assert "none" in failed(admit(asked, AdmitPolicy(reply_prefixes=()), TOPICS, APPENDED_MS)).message


def test_packed_context_is_unpacked():
    request = passed(admitted(context=packed("größe".encode()), context_encoding="zstd+base64")).request

    assert (request.context, request.context_encoding) == ("größe", "text")


def test_plain_context_stays_as_it_is():
    assert passed(admitted(context="plain")).request.context == "plain"


def test_context_at_the_bound_passes_and_one_byte_more_does_not():
    assert isinstance(admitted(context=packed(b"x" * 1000), context_encoding="zstd+base64"), Job)
    failure = failed(admitted(context=packed(b"x" * 1001), context_encoding="zstd+base64"))
    assert "larger than 1000 bytes" in failure.message


FRAME = zstandard.ZstdCompressor().compress(b"some context" * 9)


@pytest.mark.parametrize(
    "context",
    [
        "not base64!",
        "größe",
        "YWJj",
        "",
        packed(b"x" * 300)[:-4],
        base64.b64encode(FRAME[:-3]).decode(),
        base64.b64encode(FRAME + FRAME).decode(),
        base64.b64encode(FRAME + b"tail").decode(),
        packed(b"\xff\xfe"),
        packed(b"x" * 50_000_000),
    ],
)
def test_damaged_context_is_named(context: str):
    failure = failed(admitted(context=context, context_encoding="zstd+base64"))

    assert (failure.code, failure.field, failure.dead_letter) == (Code.INVALID_REQUEST, "context", True)


def test_context_with_a_huge_window_is_refused():
    window = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    frame = zstandard.ZstdCompressor(compression_params=window).compressobj()
    stream = frame.compress(b"x") + frame.flush()

    failure = failed(admitted(context=base64.b64encode(stream).decode(), context_encoding="zstd+base64"))
    assert failure.field == "context"
