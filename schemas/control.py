"""`llm.control`: what tenants and operators tell the workers."""

from typing import Literal

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
