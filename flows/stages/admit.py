"""Lets a request in: its deadline, where its answer may go, and its context in plain text."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import zstandard

from flows.stages.jobs import Failed, Job
from flows.stages.limits import Limits
from schemas.codes import Code
from schemas.requests import Request

STAGE = "admit"
MAX_WINDOW_BYTES = 32 * 1024 * 1024
"""Largest zstd window that is allocated for a packed context."""


@dataclass(frozen=True, slots=True)
class AdmitPolicy:
    """What may pass."""

    reply_prefixes: tuple[str, ...] = ("reply.",)
    """Prefixes a `reply_topic` may have."""
    limits: Limits = field(default_factory=Limits)
    """Sizes and times."""


class _PackedError(Exception):
    """Why a packed context can't be read."""


def admit(job: Job, policy: AdmitPolicy, topics: Mapping[str, int], now_ms: int) -> Job | Failed:
    """Set the job's deadline, check its reply address, unpack its context.

    `topics` maps the names of existing topics to their number of partitions. A request that comes too
    late fails with `deadline_exceeded`, without a dead letter; a wrong address or context with
    `invalid_request`, with one. After a failure the job's reply address is one that is allowed, or none.
    """
    request = job.request
    if (wrong := reply_fault(request, policy.reply_prefixes, topics)) is not None:
        job.request = request.model_copy(update={"reply_topic": None, "reply_partition": None})
        return Failed(Code.INVALID_REQUEST, wrong[1], STAGE, field=wrong[0], dead_letter=True)
    job.deadline_ms = deadline_ms(job, policy.limits)
    if now_ms >= job.deadline_ms:
        late_ms = now_ms - job.deadline_ms
        message = f"the deadline passed {late_ms} ms before the request could be taken up"
        return Failed(Code.DEADLINE_EXCEEDED, message, STAGE)
    if request.context is not None and request.context_encoding != "text":
        try:
            context = unpack(request.context, policy.limits.max_context_bytes)
        except _PackedError as error:
            message = f"`context` {error}"
            return Failed(Code.INVALID_REQUEST, message, STAGE, field="context", dead_letter=True)
        job.request = request.model_copy(update={"context": context, "context_encoding": "text"})
    return job


def deadline_ms(job: Job, limits: Limits) -> int:
    """Moment after which no answer is wanted: as asked, else by default; bounded."""
    request = job.request
    appended_ms = job.record.timestamp_ms
    latest_ms = appended_ms + _ms(limits.max_timeout)
    if request.deadline_ms is not None:
        return min(request.deadline_ms, latest_ms)
    wait_ms = _ms(limits.default_timeout) if request.timeout_ms is None else request.timeout_ms
    return min(appended_ms + wait_ms, latest_ms)


def reply_fault(
    request: Request, prefixes: tuple[str, ...], topics: Mapping[str, int]
) -> tuple[str, str] | None:
    """What is wrong with a reply address, as (field, message); `None` when it is good or absent."""
    topic, partition = request.reply_topic, request.reply_partition
    if topic is None:
        if partition is None:
            return None
        return "reply_partition", "`reply_partition` needs a `reply_topic`"
    if not topic.startswith(prefixes):
        allowed = ", ".join(repr(prefix) for prefix in prefixes) or "none"
        return "reply_topic", f"`reply_topic` {topic!r} is not allowed; allowed prefixes: {allowed}"
    if topic not in topics:
        return "reply_topic", f"`reply_topic` names no topic that exists ({topic!r}); create it first"
    if partition is not None and partition >= topics[topic]:
        return "reply_partition", f"`reply_partition` must be one of 0 to {topics[topic] - 1}"
    return None


def unpack(packed: str, max_bytes: int) -> str:
    """Text from base64 of one zstd frame; reads no further than `max_bytes` of output.

    Raises:
        _PackedError: When it isn't that, is cut short, or would be larger.
    """
    try:
        frame = binascii.a2b_base64(packed.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _PackedError("is not base64") from None
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    try:
        text = reader.stream_reader(frame).read(max_bytes + 1)
        if len(text) > max_bytes:
            raise _PackedError(f"is larger than {max_bytes} bytes when unpacked")
        whole = reader.decompressobj()
        whole.decompress(frame)
    except zstandard.ZstdError:
        raise _PackedError("is not a zstd frame, or a damaged one") from None
    if not whole.eof or whole.unused_data:
        raise _PackedError("must be exactly one whole zstd frame")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise _PackedError("is not UTF-8 when unpacked") from None


def _ms(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
