"""What is derived from a response and written after it: the ledger, the copy to a reply topic.

The response carries all that is needed, so a successor can write the same again.
"""

from typing import NamedTuple

from schemas.packed import REMEMBERED, Seal, Settled, pack_settled
from schemas.records import Headers, Outgoing
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
