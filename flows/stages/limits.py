"""Bounds that the first stages hold requests to."""

from dataclasses import dataclass
from datetime import timedelta

from schemas.requests import MAX_REQUEST_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """How large and how late a request or an answer may be."""

    max_request_bytes: int = MAX_REQUEST_BYTES
    """Largest value of a request record."""
    max_answer_bytes: int = 8 * 1024 * 1024
    """Largest response value; a larger answer becomes a failure."""
    max_context_bytes: int = 32 * 1024 * 1024
    """Largest `context` after unpacking, UTF-8."""
    default_timeout: timedelta = timedelta(minutes=10)
    """Wait for an answer where the request names neither timeout nor deadline."""
    max_timeout: timedelta = timedelta(days=7)
    """Longest wait, whatever the request names: requests are kept as long."""


@dataclass(frozen=True, slots=True)
class RecallPolicy:
    """How long recall waits."""

    timeout: timedelta = timedelta(seconds=10)
    """Longest wait of a request for what lies outside; where the deadline is earlier, that."""
