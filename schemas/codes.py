"""The stable names of failures, and which of them a repeat may try again."""

from enum import StrEnum


class Code(StrEnum):
    """Why a request has no answer. The names are part of the contract."""

    INVALID_REQUEST = "invalid_request"
    """The record can't be read, breaks the contract or asks too much; the message names the field."""
    TOKEN_LIMIT_EXCEEDED = "token_limit_exceeded"
    """The request does not fit the model's window; the message has the numbers."""
    MODEL_UNAVAILABLE = "model_unavailable"
    """No route could answer (unknown model, provider down, every fallback used up), or a store is down."""
    BUDGET_EXCEEDED = "budget_exceeded"
    """The tenant's tokens or money for the period are used up."""
    DEADLINE_EXCEEDED = "deadline_exceeded"
    """The moment after which no answer is wanted has passed."""
    CANCELLED = "cancelled"
    """The tenant cancelled the request through `llm.control`."""
    REFUSED = "refused"
    """The provider declined this very request; another try would be declined too."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """A call was started and never heard of again, and the policy says not to try again."""
    CRASH_LOOP = "crash_loop"
    """This record stopped its worker again and again; it is a dead letter now."""
    INTERNAL = "internal"
    """A fault of Weir's own, such as an answer too large for the topic."""


NOT_REMEMBERED: frozenset[Code] = frozenset(
    {
        Code.MODEL_UNAVAILABLE,
        Code.DEADLINE_EXCEEDED,
        Code.BUDGET_EXCEEDED,
        Code.CANCELLED,
        Code.UNKNOWN_OUTCOME,
        Code.INTERNAL,
    }
)
"""Failures after which the same request, sent again, is a new request and not a repeat."""
