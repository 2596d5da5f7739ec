"""From the bytes of a record to a job, or to a failure that names the field at fault.

Rules that hold here:
- Nothing in a record raises: whatever breaks the contract is a `Failed` with a dead letter.
- A header with the name of a field beats the body; the last header of a name holds.
- Two requests that differ only in addresses, times and the order of keys have the same body hash.
- What passes can be written again as JSON: integers have 64 bits, nesting leaves room for an envelope.
"""

import re
from collections.abc import Mapping
from typing import cast

import orjson
from pydantic import ValidationError

from flows.stages.duplicates import duplicate_key
from flows.stages.jobs import Failed, Job
from flows.stages.limits import Limits
from schemas.codes import Code
from schemas.depth import written
from schemas.guard import misspelt, violation
from schemas.packed import hash_body, hash_request
from schemas.records import Headers, Record
from schemas.requests import ADDRESS_FIELDS, HEADER_FIELDS, Request

STAGE = "decode"
MAX_DEPTH = 240
"""Deepest nesting of a body: orjson writes 254 levels, and providers' envelopes need a few."""
MAX_TEXT = 200
"""Longest text of a field that travels in headers."""
_INT_HEADERS = frozenset({"deadline_ms", "reply_partition"})
_INT_FIELDS = ("max_tokens", "max_completion_tokens", "seed", "timeout_ms", "deadline_ms", "reply_partition")
_PRINTED_FIELDS = ("request_id", "tenant", "model", "reply_topic", "correlation_id", "traceparent")
_HEADER_NAMES = frozenset({*HEADER_FIELDS, "content-type"})
_DECIMAL = re.compile(r"[0-9]{1,18}", re.ASCII)
_JSON_TYPE = re.compile(r'\s*application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?', re.IGNORECASE)


class _AtFaultError(Exception):
    """The field at fault and one line about it; becomes a `Failed` before it leaves this file."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def _fault(field: str, rule: str) -> _AtFaultError:
    shown = field[:MAX_TEXT]
    return _AtFaultError(shown, f"`{shown}` {rule}")


def decode(record: Record, limits: Limits, taken_ms: int) -> Job | Failed:
    """Read one request record.

    `taken_ms` is the moment the flow took it, Unix time in milliseconds. A job comes with its request,
    id and hashes; every failure here is a dead letter.
    """
    if record.crash_loop:
        message = f"this record stopped its worker again and again; it lies at {record.place}"
        return Failed(Code.CRASH_LOOP, message, STAGE, dead_letter=True)
    try:
        return _job(record, limits, taken_ms)
    except _AtFaultError as fault:
        return Failed(Code.INVALID_REQUEST, fault.message[:500], STAGE, field=fault.field, dead_letter=True)


def _job(record: Record, limits: Limits, taken_ms: int) -> Job:
    headers = _headers(record.headers)
    body = _body(record.value or b"", headers, limits)
    for name in HEADER_FIELDS:
        if name in headers:
            body[name] = headers[name]
    request = _request(body)
    given = request.request_id
    return Job(
        record=record,
        request=request,
        request_id=record.place if given is None else given,
        request_hash=0 if given is None else hash_request(request.tenant, given),
        body_hash=hash_body(canonical(body)),
        taken_ms=taken_ms,
    )


def _headers(headers: Headers) -> dict[str, str | int]:
    """The headers that Weir reads, as values of their fields."""
    values: dict[str, str | int] = {}
    for name, raw in headers:
        if name not in _HEADER_NAMES:
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise _fault(name, "the header is not UTF-8") from None
        if name in _INT_HEADERS:
            if not _DECIMAL.fullmatch(text):
                raise _fault(name, "the header must be a whole number in decimal digits")
            values[name] = int(text)
        else:
            values[name] = text
    return values


def _body(value: bytes, headers: Mapping[str, str | int], limits: Limits) -> dict[str, object]:
    content_type = str(headers.get("content-type", "application/json"))
    if not _JSON_TYPE.fullmatch(content_type):
        raise _fault("content-type", f"must be application/json, not {content_type[:100]!r}")
    if not value:
        raise _fault("value", "the record is empty; a JSON object was expected")
    if len(value) > limits.max_request_bytes:
        raise _fault("value", f"has {len(value)} bytes; at most {limits.max_request_bytes} are allowed")
    try:
        body: object = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _fault("value", f"is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise _fault("value", f"is a JSON {_kind(body)}; an object was expected")
    members = cast(dict[str, object], body)
    again = written(members, MAX_DEPTH)
    if again is None:
        raise _fault("value", f"is nested deeper than {MAX_DEPTH} levels")
    if again != value and (twice := duplicate_key(value, members)) is not None:
        raise _fault(twice, "the key stands more than once in its object")
    return members


def _kind(value: object) -> str:
    names = {"list": "array", "str": "string", "bool": "boolean", "NoneType": "null"}
    return names.get(type(value).__name__, "number")


def _request(body: dict[str, object]) -> Request:
    try:
        request = Request.model_validate(body)
    except ValidationError as error:
        foreign = (name for name in body if name not in Request.model_fields)
        raise _AtFaultError(*(misspelt(foreign) or violation(error))) from None
    if request.model_extra and (found := misspelt(request.model_extra)) is not None:
        raise _AtFaultError(*found)
    for name in _INT_FIELDS:
        number = getattr(request, name)
        if number is not None and not -(2**63) <= number < 2**63:
            raise _fault(name, "does not fit 64 bits")
    for name in _PRINTED_FIELDS:
        if (text := getattr(request, name)) is not None:
            _check_text(name, text)
    for index, fallback in enumerate(request.fallbacks or ()):
        _check_text(f"fallbacks.{index}", fallback)
    return request


def _check_text(field: str, text: str) -> None:
    if not text.isprintable():
        raise _fault(field, "holds control or invisible characters")
    if len(text) > MAX_TEXT:
        raise _fault(field, f"has {len(text)} characters; at most {MAX_TEXT} are allowed")


def canonical(body: Mapping[str, object]) -> bytes:
    """JSON with sorted keys and without addresses: equal for requests that ask the same."""
    asked = {name: value for name, value in body.items() if name not in ADDRESS_FIELDS}
    return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
