"""What is known of the request that is worked on, for whoever admits it and whoever writes about it.

`hardening` begins a visit for each request and ends it with the answer; a WebSocket is one visit.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from connectors.gateway.ports import Caller


@dataclass(slots=True)
class Visit:
    """One request."""

    address: str
    """Where it comes from."""
    caller: Caller | None = None
    """Who asks, once admitted."""


visit: ContextVar[Visit | None] = ContextVar("visit", default=None)
"""The visit of the task that runs."""


def address() -> str:
    """Where the request that is worked on comes from; empty outside of one."""
    found = visit.get()
    return found.address if found is not None else ""
