"""A request as the gateway puts it on the topic: its id, address, deadline and trace. Pure."""

import re
from dataclasses import dataclass
from uuid import UUID

from connectors.gateway.exchange.rules.tokens import Place
from schemas.requests import Request

_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the gateway adds."""

    request_id: str
    """Its own id."""
    tenant: str
    """Who pays, as authentication found it."""
    reply_topic: str
    """Where answers go, with the installation's prefix."""
    reply_partition: int
    """Partition of it."""
    deadline_ms: int
    """Moment after which no answer is wanted, Unix time in milliseconds."""
    traceparent: str
    """Trace context."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is ready to go."""

    request: Request
    """With everything that the gateway sets."""
    place: Place
    """Where its answer is followed from."""


def request_id(now_ms: int, random: bytes) -> str:
    """`req_` and a UUID of version 7, from 10 random bytes."""
    number = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(random)
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"req_{UUID(int=number)}"


def trace(given: str | None, random: bytes) -> str:
    """The caller's trace context, or a new one from 24 random bytes."""
    if given is not None and _TRACE.fullmatch(given):
        return given
    return f"00-{random[:16].hex()}-{random[16:24].hex()}-01"


def deadline_ms(request: Request, now_ms: int, default_ms: int) -> int:
    """Until when an answer is wanted: as asked, else by default."""
    if request.deadline_ms is not None:
        return request.deadline_ms
    return now_ms + (request.timeout_ms or default_ms)


def stamped(request: Request, stamp: Stamp) -> Request:
    """The request with all of it; what a client said of these fields does not count."""
    return request.model_copy(
        update={
            "request_id": stamp.request_id,
            "tenant": stamp.tenant,
            "correlation_id": stamp.request_id,
            "reply_topic": stamp.reply_topic,
            "reply_partition": stamp.reply_partition,
            "deadline_ms": stamp.deadline_ms,
            "timeout_ms": None,
            "traceparent": stamp.traceparent,
        }
    )


def key_of(request: Request) -> bytes:
    """Key of the request record: the conversation where there is one, else the request."""
    return str(request.context_id or request.request_id).encode()
