"""`llm.dead-letters`: what could not be worked on, with its original bytes."""

from typing import Annotated

from annotated_types import Ge
from pydantic import Field

from schemas.base import Event
from schemas.codes import Code


class DeadLetter(Event):
    """A failure with the bytes that caused it; `weir dlq replay` sends them again.

    Key `request_id`, on the partition number of the request. May be written again after a crash; readers
    go by `source`.
    """

    request_id: str
    """The request, or `topic/partition/offset` where the record could not be read."""
    source: str
    """The request record, as `topic/partition/offset`."""
    code: Code
    """Stable name of the failure."""
    message: str
    """What happened, in one line."""
    stage: str
    """The step of the flow that gave up."""
    cost_usd: float = 0.0
    """What had been spent by then."""
    key: str | None = None
    """The record's key, base64."""
    value: str | None = None
    """The record's value, base64: the original bytes; absent over 6 MiB, `source` says where they lie."""
    headers: list[tuple[str, str]] = Field(default_factory=list[tuple[str, str]])
    """The record's headers, each value base64."""
    timestamp_ms: Annotated[int, Ge(0)]
    """The record's timestamp, Unix time in milliseconds."""
