"""Requests that their tenant no longer wants.

A cancel holds for requests of its own tenant that were appended up to `span_ms` after it, and for those
before it. The table is bounded; over its bound the oldest go, and a counter says so.
"""

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Cancels:
    """The cancels of the last minutes, by tenant and request."""

    span_ms: int
    """How long after a cancel a request may be appended and still be hit by it."""
    entries: int = 100_000
    """Most cancels that are kept."""
    dropped: int = 0
    """Cancels that went before their time."""
    _at: OrderedDict[tuple[str, str], int] = field(default_factory=OrderedDict[tuple[str, str], int])

    def add(self, tenant: str, request_id: str, at_ms: int) -> None:
        """A cancel was appended at `at_ms`."""
        self._at.pop((tenant, request_id), None)
        self._at[tenant, request_id] = at_ms
        while self._at and len(self._at) > self.entries:
            self._at.popitem(last=False)
            self.dropped += 1

    def hits(self, tenant: str, request_id: str, appended_ms: int) -> bool:
        """Whether the request, appended at `appended_ms`, is cancelled."""
        at_ms = self._at.get((tenant, request_id))
        return at_ms is not None and appended_ms <= at_ms + self.span_ms

    def expire(self, now_ms: int) -> None:
        """Forget what no request can meet any more: after twice the span, for those that wait in the log."""
        while self._at:
            key, at_ms = next(iter(self._at.items()))
            if now_ms - at_ms <= 2 * self.span_ms:
                break
            del self._at[key]

    def __len__(self) -> int:
        return len(self._at)
