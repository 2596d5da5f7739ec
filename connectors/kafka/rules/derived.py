"""What is derived from a response and written after it: ledger, copy to a reply topic, memory, turn.

The response carries all that ledger and copy need, so a successor can write the same again. A turn needs the
request too: it is written again when that is read again, with the same key and value.
"""

from typing import NamedTuple

from schemas.contexts import Turn
from schemas.packed import REMEMBERED, Seal, Settled, pack_settled
from schemas.records import Headers, Outgoing, Record
from schemas.requests import Message, Request
from schemas.responses import Response
from schemas.topics import SOURCES, source_text
from schemas.usage import Finished


class Written(NamedTuple):
    """A response that is durable."""

    response: Response
    """The response."""
    seal: Seal
    """Hashes of its request."""
    source: int
    """Number of the source topic."""
    partition: int
    """Partition number of request and response."""
    offset: int
    """Offset of the request record."""
    response_offset: int
    """Offset of the response."""


def answer_headers(response: Response, kind: bytes) -> Headers:
    """Headers that every record about an answer carries."""
    headers: Headers = (("kind", kind),)
    if response.correlation_id is not None:
        headers += (("correlation_id", response.correlation_id.encode("utf-8", "replace")),)
    if response.traceparent is not None:
        headers += (("traceparent", response.traceparent.encode("utf-8", "replace")),)
    return headers


def finished(written: Written, topic: str) -> list[Outgoing]:
    """The ledger's entries: one for each attempt."""
    response = written.response
    source = source_text(SOURCES[written.source].name, written.partition, written.offset)
    key = response.request_id.encode("utf-8", "replace")
    return [
        Outgoing(
            topic,
            Finished.model_construct(  # its parts were checked with the response
                request_id=response.request_id,
                tenant=response.tenant,
                context_id=response.context_id,
                source=source,
                response_offset=written.response_offset,
                attempt=attempt,
            ).to_bytes(),
            written.partition,
            key,
            (("kind", b"finished"),),
        )
        for attempt in response.attempts
    ]


def copy(response: Response) -> Outgoing | None:
    """The copy to the reply topic, where there is one."""
    if response.reply_topic is None:
        return None
    return Outgoing(
        response.reply_topic,
        response.to_bytes(),
        response.reply_partition,
        response.request_id.encode("utf-8", "replace"),
        answer_headers(response, b"response"),
    )


def turn(record: Record, request: Request, response: Response) -> Turn | None:
    """The turn that a request and its response are of their conversation; `None` where they are none.

    Failures are none, and neither are vectors. The request's `context` is not part of it.
    """
    asked = request.messages or [Message(role="user", content=request.prompt)]
    if request.context_id is None or not is_turn(response):
        return None
    return Turn.model_construct(  # its parts were checked with request and response
        context_id=request.context_id,
        seq=record.offset,
        tenant=request.tenant,
        request_id=response.request_id,
        asked=asked,
        answer=_answer(response),
        model=response.model,
        asked_ms=max(0, record.timestamp_ms),
    )


def is_turn(response: Response) -> bool:
    """Whether a response is one half of a turn."""
    return response.context_id is not None and response.error is None and response.embeddings is None


def _answer(response: Response) -> Message:
    """The answer as the turn that a client would send back; only what is there is set."""
    fields = {
        "content": response.response if response.response or not response.tool_calls else None,
        "tool_calls": response.tool_calls,
        "reasoning_content": response.reasoning_content,
        "provider_content": response.provider_content,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return Message.model_validate({"role": "assistant"} | given)


def memory(response: Response, topic: str) -> Outgoing | None:
    """What is remembered of the request, where something is; written again it is the same record."""
    if response.memory is None:
        return None
    return Outgoing(topic, response.memory.to_bytes(), 0, response.memory.key.encode())


def settled(written: Written) -> Settled:
    """The entry that says that the request is done with."""
    flags = REMEMBERED if written.seal.remembered else 0
    seal = written.seal
    return Settled(
        written.source, flags, written.offset, seal.request_hash, seal.body_hash, written.response_offset
    )


def settled_record(topic: str, partition: int, entries: list[Settled]) -> Outgoing:
    """One packed record for all entries of a partition."""
    return Outgoing(topic, pack_settled(entries), partition, None, (("kind", b"settled"),))
