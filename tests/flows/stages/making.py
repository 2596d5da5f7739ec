"""Makes the values that tests of stages start from."""

import orjson

from flows.stages.jobs import Failed, Job
from schemas.calls import Route
from schemas.records import Record
from schemas.requests import Request


def record(value: bytes | None = b'{"prompt": "hi"}', **headers: bytes) -> Record:
    """A request record at partition 3, offset 7, appended at 1,000,000 ms."""
    return Record(0, 3, 7, 1_000_000, None, value, tuple(headers.items()))


def record_of(body: object, **headers: bytes) -> Record:
    """A request record with a body written as compact JSON."""
    return record(orjson.dumps(body), **headers)


def job(**fields: object) -> Job:
    """A job of a request with the given fields."""
    if "messages" not in fields and "input" not in fields:
        fields.setdefault("prompt", "hi")
    request = Request.model_validate(fields)
    return Job(record(), request, request_id="r", request_hash=1, body_hash=2)


def route(name: str, model_name: str | None = None, **fields: object) -> Route:
    """A route called `provider:model`."""
    provider, model = name.split(":", 1)
    return Route(name, model_name or model, provider, model, **fields)  # type: ignore[arg-type]


def failed(value: object) -> Failed:
    """The value, which must be a failure."""
    assert isinstance(value, Failed), value
    return value


def passed(value: object) -> Job:
    """The value, which must be a job."""
    assert isinstance(value, Job), value
    return value
