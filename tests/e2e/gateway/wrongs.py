"""Ways to ask that fail: the status of each, and the class of the error in each client."""

from typing import Any, NamedTuple

from connectors.gateway.doors.body import MAX_BODY_BYTES

COMMON = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
OPENAI = COMMON | {413: "APIStatusError", 503: "InternalServerError", 0: "APITimeoutError"}
ANTHROPIC = COMMON | {413: "ContentTooLargeError", 529: "OverloadedError", 0: "APITimeoutError"}
LANGCHAIN = {
    400: "OpenAIInvalidRequestError",
    401: "OpenAIAuthenticationError",
    403: "OpenAIPermissionDeniedError",
    404: "OpenAIModelNotFoundError",
    413: "APIStatusError",
    422: "UnprocessableEntityError",
    429: "OpenAIRateLimitError",
    503: "OpenAIAPIError",
    0: "OpenAITimeoutError",
}
LITELLM = COMMON | {
    413: "BadRequestError",
    422: "BadRequestError",
    503: "ServiceUnavailableError",
    529: "InternalServerError",
    0: "Timeout",
}
CLASSES = {
    "openai-python": OPENAI,
    "openai-node": OPENAI | {413: "APIError", 0: "APIConnectionTimeoutError"},
    "anthropic-python": ANTHROPIC,
    "anthropic-node": ANTHROPIC | {0: "APIConnectionTimeoutError"},
    "langchain": LANGCHAIN,
    "litellm": LITELLM | {403: "APIError"},
    "litellm-anthropic": LITELLM,
}
"""Class of an error by client and status; 0: the client gave up waiting."""
CHANGED = {("litellm-anthropic", 413): 400, ("litellm-anthropic", 529): 500}
"""Statuses that a client tells its users otherwise than they came."""


class Wrong(NamedTuple):
    """One way to ask that fails."""

    status: int
    """At OpenAI's routes; 503 is 529 at Anthropic's."""
    wish: dict[str, Any]
    """What is asked."""
    limits: dict[str, Any] | None = None
    """Limits of the key; `None`: the client's own key."""
    before: dict[str, Any] | None = None
    """What is asked before, and answered."""
    once: bool = False
    """Whether both have the same Idempotency-Key."""


WRONGS = {
    "against the rules": Wrong(400, {"more": {"temperature": 5}}),
    "refused by the provider": Wrong(400, {"text": "fault=400:9"}),
    "unknown key": Wrong(401, {"key": "lk_bad"}),
    "key for other models": Wrong(403, {}, {"models": ["auto"]}),
    "unknown model": Wrong(404, {"model": "nothing"}),
    "too large a body": Wrong(413, {"padding": MAX_BODY_BYTES}),
    "Idempotency-Key used twice": Wrong(422, {"text": "Another."}, before={"text": "One."}, once=True),
    "over the key's limit": Wrong(429, {}, {"requests_per_minute": 1}, before={}),
    "provider is down": Wrong(503, {"text": "fault=503:9"}),
}
