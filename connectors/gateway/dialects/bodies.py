"""From the bytes of a body to a `Request`, with bounds, and by the contract's own rules. Pure."""

from collections.abc import Iterable
from typing import cast

import orjson
from pydantic import ValidationError

from connectors.gateway.dialects.errors import invalid
from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.depth import deeper
from schemas.guard import misspelt, violation
from schemas.requests import MAX_REQUEST_BYTES, Request

MAX_BODY_BYTES = MAX_REQUEST_BYTES
"""Largest body; the topic takes no larger request."""
MAX_DEPTH = 100
"""Deepest nesting of a body."""
MAX_TURNS = 10_000
"""Most messages, or items of an input."""
SET_HERE = frozenset(
    {"request_id", "tenant", "reply_topic", "reply_partition", "correlation_id", "traceparent"}
)
"""Fields of a request that the gateway sets."""
NOT_HERE = frozenset({"api_key", "api_base", "base_url", "extra_headers", "extra_query", "extra_body"})
"""What clients' libraries call their own settings; in a body it is a mistake, and may be a secret."""


def read_json(data: bytes) -> JsonObject:
    """The object that a body is.

    Raises:
        Problem: 400 where it is none or nested too deep, 413 where it is too large.
    """
    check_size(len(data))
    try:
        body: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_request", f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, "invalid_request", "the body must be a JSON object")
    if deeper(data, body, MAX_DEPTH):
        raise Problem(400, "invalid_request", f"the body is nested deeper than {MAX_DEPTH} levels")
    return cast(JsonObject, body)


def check_size(size_bytes: int) -> None:
    """Turn away what is too large, by its declared length or by what came of it.

    Raises:
        Problem: 413 `too_large`.
    """
    if size_bytes > MAX_BODY_BYTES:
        raise Problem(
            413, "too_large", f"the body has more than {MAX_BODY_BYTES} bytes; send less, or by URL"
        )


def without_nulls(body: JsonObject) -> JsonObject:
    """The parameters that were given: the APIs take null for absent."""
    return {name: value for name, value in body.items() if value is not None}


def request_of(fields: JsonObject) -> Request:
    """A request of these fields.

    Raises:
        Problem: 400, where the contract is broken, or a name is nearly one that we know.
    """
    for name in fields:
        if name in SET_HERE:
            raise invalid(name, "is set by the gateway; leave it out")
        if name in NOT_HERE:
            raise invalid(name, "is no parameter of a request; leave it out")
    try:
        request = Request.model_validate(fields)
    except ValidationError as error:
        foreign = (name for name in fields if name not in Request.model_fields)
        raise _fault(*(misspelt(foreign) or violation(error))) from None
    if request.model_extra and (found := misspelt(request.model_extra)) is not None:
        raise _fault(*found)
    return request


def _fault(field: str, message: str) -> Problem:
    return Problem(400, "invalid_request", message, param=field)


def objects(name: str, value: object) -> list[JsonObject]:
    """A parameter that must be a list of objects.

    Raises:
        Problem: 400 where it is anything else, or has too many entries.
    """
    if not isinstance(value, list):
        raise invalid(name, "must be a list")
    if len(value) > MAX_TURNS:
        raise invalid(name, f"must have at most {MAX_TURNS} entries")
    for place, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise invalid(f"{name}.{place}", "must be a JSON object")
    return cast(list[JsonObject], value)


def an_object(name: str, value: object) -> JsonObject:
    """A parameter that must be an object; empty where it is absent.

    Raises:
        Problem: 400 where it is anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, "must be a JSON object")
    return cast(JsonObject, value)


def a_text(name: str, value: object) -> str:
    """A parameter that must be a text.

    Raises:
        Problem: 400 where it is anything else.
    """
    if not isinstance(value, str):
        raise invalid(name, "must be text")
    return value


def lacking(body: JsonObject, names: Iterable[str], why: str) -> None:
    """Refuse parameters that can't be honoured, unless they say nothing.

    Raises:
        Problem: 400, which names the first one.
    """
    for name in names:
        if body.get(name) not in (None, False, [], {}):
            raise invalid(name, why)
