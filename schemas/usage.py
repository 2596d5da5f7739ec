"""`llm.usage`, the ledger: `finished` is JSON for all, `started` and `settled` are packed for recovery."""

from typing import Annotated
from uuid import UUID

from annotated_types import Ge

from schemas.base import Event
from schemas.responses import Attempt


class Finished(Event):
    """One try of one request, paid or not: the ledger that budgets and metrics read.

    Key `request_id`. One for each (request record, attempt); may be written again after a crash, so
    readers go by (`source`, `attempt.attempt`).
    """

    request_id: str
    """The request."""
    tenant: str
    """Who pays for the request."""
    context_id: UUID | None = None
    """Its conversation."""
    source: str
    """The request record, as `topic/partition/offset`."""
    response_offset: Annotated[int, Ge(0)]
    """Offset of the response on `llm.responses`, same partition number."""
    attempt: Attempt
    """The try, as it stands in the response's `attempts`."""
