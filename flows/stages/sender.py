"""Who sent a record that could not be decoded, so that the failure finds its way back."""

from dataclasses import dataclass
from typing import cast
from uuid import UUID

import orjson

from schemas.records import Record

_FIELDS = ("request_id", "tenant", "context_id", "correlation_id", "traceparent")


@dataclass(frozen=True, slots=True)
class Sender:
    """The identity of a request whose body breaks the contract. Every field is safe to put on a response."""

    request_id: str
    """The id that was given, where it is sound; else the record's place."""
    tenant: str = "default"
    """Who pays."""
    context_id: UUID | None = None
    """The conversation."""
    correlation_id: str | None = None
    """Handed back."""
    traceparent: str | None = None
    """Handed back."""


def sender(record: Record) -> Sender:
    """Read what can be read; never raises. Reply addresses are left out: they may be what is at fault."""
    found = {name: text for name, text in _candidates(record).items() if _sound(text)}
    return Sender(
        request_id=found.get("request_id", record.place),
        tenant=found.get("tenant", "default"),
        context_id=_uuid(found.get("context_id")),
        correlation_id=found.get("correlation_id"),
        traceparent=found.get("traceparent"),
    )


def _candidates(record: Record) -> dict[str, str]:
    """Texts of the fields, headers over body."""
    try:
        body: object = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        body = None
    texts: dict[str, str] = {}
    if isinstance(body, dict):
        members = cast(dict[str, object], body)
        texts = {name: str(members[name]) for name in _FIELDS if isinstance(members.get(name), str)}
    for name, raw in record.headers:
        if name in _FIELDS:
            texts[name] = raw.decode(errors="replace")
    return texts


def _sound(text: str) -> bool:
    return 0 < len(text) <= 200 and text.isprintable() and "\ufffd" not in text


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
