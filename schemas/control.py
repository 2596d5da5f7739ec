"""`llm.control`: what tenants and operators tell the workers."""

from typing import Literal
from uuid import UUID

from schemas.base import Event


class Cancel(Event):
    """Stop working on a request of one's own tenant.

    Key `request_id`. Holds for requests appended up to 10 minutes after it, and before it. An answer
    that was already written is not taken back.
    """

    kind: Literal["cancel"] = "cancel"
    """What is asked."""
    request_id: str
    """The request to stop."""
    tenant: str = "default"
    """Its tenant; a cancel of another tenant has no effect."""


class Forget(Event):
    """Forget a conversation: all turns whose request was appended before this record.

    Key `context_id`. The worker that keeps the conversation drops its turns at once, those under way too,
    and writes a record without value over each one on `llm.contexts`.
    """

    kind: Literal["forget"] = "forget"
    """What is asked."""
    context_id: UUID
    """The conversation."""
