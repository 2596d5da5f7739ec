"""From the end of a request's way to its one response event."""

import struct
from base64 import b64encode

from flows.stages.jobs import Ended, Failed, Job
from flows.stages.recall import question
from flows.stages.sender import sender
from schemas.arrivals import Identity, Outcome
from schemas.calls import Answer
from schemas.codes import NOT_REMEMBERED, Code
from schemas.dead_letters import DeadLetter
from schemas.memories import MAX_TEXT, MemoryMode, Remembered, memory_id
from schemas.records import Outgoing, Record
from schemas.responses import Attempt, CompressionRecord, ErrorInfo, Latency, Response, RouteChoice
from schemas.topics import DEAD_LETTERS

STAGE = "respond"
MAX_LETTER = 6 * 1024 * 1024
"""Largest value that a dead letter carries, in bytes; a larger one stays where `source` says."""
REPLAY = "replay"
"""Header of a request that was sent again from the dead letters; such a request is not remembered."""


def respond(ended: Ended, now_ms: int, max_bytes: int, prefix: str) -> Outcome:
    """The outcome: the response with all that is derived from it, or the move, or the repeat.

    Args:
        ended: The end of a request's way.
        now_ms: Unix time in milliseconds.
        max_bytes: Largest response value; a larger answer becomes a failure.
        prefix: The installation's prefix of topic names.
    """
    job, record = ended.job, ended.record
    identity = None if job is None else job.identity
    if ended.move is not None:
        return Outcome(record, identity, move=ended.move)
    request = job.request if job is not None and job.request.context_id is not None else None
    if ended.owed:
        remembered = _remembered(ended, identity)
        return Outcome(
            record, identity, None, b"", remembered,
            owed=True, request=request, response_offset=ended.repeat_of,
        )  # fmt: skip
    if ended.repeat:
        address = None if job is None else _address(job)
        return Outcome(record, identity, repeat_of=ended.repeat_of, copy_to=address)
    response = _event(ended, now_ms)
    value = response.to_bytes()
    if len(value) > max_bytes and response.memory is not None:
        response = response.model_copy(update={"memory": None})
        value = response.to_bytes()
    if len(value) > max_bytes:
        message = f"the response has {len(value)} bytes; at most {max_bytes} fit the topic: lower max_tokens"
        ended.failed, ended.answer = Failed(Code.INTERNAL, message, STAGE), None
        response = _shortened(_event(ended, now_ms))
        value = response.to_bytes()
    letter = None
    if ended.failed is not None and ended.failed.dead_letter:
        letter = _dead_letter(record, response, ended.failed, prefix)
    remembered = _remembered(ended, identity)
    return Outcome(record, identity, response, value, remembered, dead_letter=letter, request=request)


def _shortened(response: Response) -> Response:
    """Without what may be large: the failure itself must fit."""
    attempts = [attempt.model_copy(update={"usage_raw": None}) for attempt in response.attempts]
    return response.model_copy(update={"metadata": None, "attempts": attempts})


def _event(ended: Ended, now_ms: int) -> Response:
    job = ended.job
    return _unread(ended, now_ms) if job is None else _response(ended, job, now_ms)


def _address(job: Job) -> tuple[str, int | None, str | None] | None:
    request = job.request
    if request.reply_topic is None:
        return None
    return request.reply_topic, request.reply_partition, request.correlation_id


def _remembered(ended: Ended, identity: Identity | None) -> bool:
    """Whether the same request, sent again, is a repeat of this one."""
    if (
        identity is None
        or not identity.request_hash
        or any(name == REPLAY for name, _ in ended.record.headers)
    ):
        return False
    failed = ended.failed
    return failed is None or (failed.code not in NOT_REMEMBERED and not ended.conflict)


def _response(ended: Ended, job: Job, now_ms: int) -> Response:
    request, answer, failed = job.request, ended.answer, ended.failed
    usage = None if answer is None else answer.usage
    route = ended.route
    return Response(
        request_id=job.request_id,
        context_id=request.context_id,
        tenant=request.tenant,
        response=None if answer is None or answer.embeddings is not None else answer.text,
        embeddings=None if answer is None else _vectors(answer, request.encoding_format),
        tool_calls=list(answer.tool_calls) if answer is not None and answer.tool_calls else None,
        finish_reason=None if answer is None else answer.finish_reason,
        finish_reason_raw=None if answer is None else answer.finish_reason_raw,
        reasoning_content=None if answer is None else answer.reasoning or None,
        provider_content=None if answer is None else answer.provider_content,
        logprobs=None if answer is None else answer.logprobs,
        error=None if failed is None else _error(failed),
        tokens_used=0 if usage is None else usage.input_tokens + usage.output_tokens,
        usage=usage,
        cost_usd=sum(attempt.cost_usd for attempt in ended.attempts),
        model=None if answer is None else answer.model or (route.model if route else None),
        provider=route.provider if answer is not None and route is not None else None,
        attempts=ended.attempts,
        estimated_input_tokens=job.estimated_tokens or job.input_tokens or None,
        estimate_kind=job.estimate_kind if job.input_tokens else None,
        cache="miss" if job.cache == "miss" else "off",
        route=None if route is None or answer is None else _choice(ended, job, route.name),
        notes=job.notes or None,
        memory=None if request.memory is None or answer is None else _memory(job, answer),
        compression=_compression(ended, job),
        latency=_latency(job, ended.attempts, now_ms),
        last_chunk=ended.last_chunk,
        unknown_outcome=job.record.unknown_outcome,
        metadata=request.metadata,
        reply_topic=None if failed is not None and failed.field == "reply_topic" else request.reply_topic,
        reply_partition=request.reply_partition,
        correlation_id=request.correlation_id,
        traceparent=request.traceparent,
    )


def _memory(job: Job, answer: Answer) -> Remembered | None:
    """What is remembered of an answered request that wants it: the last question, and the answer."""
    request = job.request
    if request.memory is MemoryMode.READ:
        return None
    half = MAX_TEXT // 2 - 10
    return Remembered(
        tenant=request.tenant,
        user=request.memory_user,
        id=memory_id(job.request_id),
        text=f"Asked: {question(request)[:half]}\nAnswered: {answer.text[:half]}",
        request_id=job.request_id,
        at_ms=max(0, job.record.timestamp_ms),
    )


def _vectors(answer: Answer, form: str | None) -> list[list[float]] | list[str] | None:
    """The answer's vectors, as the request wants them written."""
    if answer.embeddings is None:
        return None
    if form != "base64":
        return [list(vector) for vector in answer.embeddings]
    return [b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in answer.embeddings]


def _choice(ended: Ended, job: Job, name: str) -> RouteChoice:
    considered = [] if job.plan is None else [planned.route.name for planned in job.plan.routes]
    return RouteChoice(asked=job.request.model, route=name, reason=ended.reason, considered=considered)


def _compression(ended: Ended, job: Job) -> CompressionRecord | None:
    """What was left out for the route that answered, else for the last one that anything was."""
    if ended.route is not None:
        fitted = job.fitted.get(ended.route.name)
        return None if fitted is None else fitted.record
    return next((each.record for each in reversed(job.fitted.values()) if each.record is not None), None)


def _latency(job: Job, attempts: list[Attempt], now_ms: int) -> Latency:
    begun_ms = job.record.timestamp_ms
    first = next((attempt.started_ms for attempt in attempts if attempt.outcome != "unknown"), None)
    return Latency(
        queue_ms=max(0, job.taken_ms - begun_ms),
        routing_ms=0 if first is None else max(0, first - begun_ms),
        provider_ms=sum(attempt.duration_ms for attempt in attempts),
        total_ms=max(0, now_ms - begun_ms),
    )


def _unread(ended: Ended, now_ms: int) -> Response:
    """The response to a record that could not be read."""
    record = ended.record
    who = sender(record)
    waited_ms = max(0, now_ms - record.timestamp_ms)
    return Response(
        request_id=who.request_id,
        tenant=who.tenant,
        context_id=who.context_id,
        error=None if ended.failed is None else _error(ended.failed),
        latency=Latency(queue_ms=waited_ms, routing_ms=0, provider_ms=0, total_ms=waited_ms),
        unknown_outcome=record.unknown_outcome,
        correlation_id=who.correlation_id,
        traceparent=who.traceparent,
    )


def _error(failed: Failed) -> ErrorInfo:
    return ErrorInfo(code=failed.code, message=failed.message, field=failed.field, stage=failed.stage)


def _dead_letter(record: Record, response: Response, failed: Failed, prefix: str) -> Outgoing:
    letter = DeadLetter(
        request_id=response.request_id,
        source=record.place,
        code=failed.code,
        message=failed.message,
        stage=failed.stage,
        cost_usd=response.cost_usd,
        key=None if record.key is None else b64encode(record.key).decode(),
        value=b64encode(record.value).decode() if record.value and len(record.value) <= MAX_LETTER else None,
        headers=[(name, b64encode(value).decode()) for name, value in record.headers],
        timestamp_ms=max(0, record.timestamp_ms),
    )
    key = response.request_id.encode("utf-8", "replace")
    return Outgoing(prefix + DEAD_LETTERS.name, letter.to_bytes(), record.partition, key)
