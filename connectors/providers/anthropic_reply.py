"""What Claude answered, in Weir's words: the message, its tokens, its errors. Pure.

Source: https://platform.claude.com/docs/en/api/messages, .../api/errors and
.../build-with-claude/handling-stop-reasons.
"""

import re
from collections.abc import Mapping

import orjson

from connectors.providers.anthropic_turns import FORMAT
from connectors.providers.errors import failure, one_line
from connectors.providers.limits import rate_limits
from connectors.providers.wire import count
from schemas.base import JsonObject
from schemas.calls import Answer, Missing, ProviderError, Refused, Throttled, Unavailable
from schemas.responses import Usage

_FINISH = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TYPES: dict[str, type[ProviderError]] = {
    "rate_limit_error": Throttled,
    "overloaded_error": Unavailable,
    "timeout_error": Unavailable,
    "conflict_error": Unavailable,
    "authentication_error": Missing,
    "permission_error": Missing,
    "not_found_error": Missing,
    "billing_error": Missing,
    "request_too_large": Refused,
}
_ACCOUNT_CODES = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
        "organization_on_hold",
    }
)
_NO_CREDIT = re.compile(r"credit balance is too low", re.IGNORECASE)


def answer(
    blocks: list[JsonObject], message: JsonObject, arguments: Mapping[int, str] | None = None
) -> Answer:
    """The answer that a message's blocks make up.

    `arguments` holds the arguments of tool calls as they were streamed, by the place of their block. Blocks
    that the OpenAI shape loses something of are all kept, in order, in `provider_content`.
    """
    calls = [
        _call(block, (arguments or {}).get(place))
        for place, block in enumerate(blocks)
        if block.get("type") == "tool_use"
    ]
    plain = all(_is_plain(block) for block in blocks)
    reason = message.get("stop_reason")
    raw = message.get("usage") or None
    return Answer(
        text="".join(block["text"] for block in blocks if block.get("type") == "text"),
        finish_reason=_FINISH.get(reason, "stop") if reason else "tool_calls" if calls else "stop",
        usage=usage(raw),
        usage_raw=raw,
        model=message.get("model"),
        tool_calls=tuple(calls),
        finish_reason_raw=reason,
        reasoning="".join(block["thinking"] for block in blocks if block.get("type") == "thinking"),
        provider_content=None if plain else {"format": FORMAT, "content": blocks},
    )


def _call(block: JsonObject, streamed: str | None) -> JsonObject:
    """A call of a tool in the OpenAI shape."""
    arguments = orjson.dumps(block.get("input") or {}).decode() if streamed is None else streamed
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }


def _is_plain(block: JsonObject) -> bool:
    """Whether the OpenAI shape says all that the block says."""
    kind = block.get("type")
    if kind == "text":
        return not any(value for name, value in block.items() if name not in ("type", "text"))
    if kind == "tool_use":
        read = ("type", "id", "name", "input")
        other = [(name, value) for name, value in block.items() if name not in read and value]
        return other in ([], [("caller", {"type": "direct"})])
    return False


def usage(raw: JsonObject | None) -> Usage | None:
    """Tokens in Weir's words: Claude's `input_tokens` leaves the cached ones out, ours includes them."""
    if not isinstance(raw, dict) or not ("input_tokens" in raw or "output_tokens" in raw):
        return None
    read, written = count(raw.get("cache_read_input_tokens")), count(raw.get("cache_creation_input_tokens"))
    details = raw.get("output_tokens_details") or {}
    return Usage(
        input_tokens=count(raw.get("input_tokens")) + read + written,
        output_tokens=count(raw.get("output_tokens")),
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(details.get("thinking_tokens")),
    )


def reply_error(status: int, headers: Mapping[str, str], found: JsonObject, message: str) -> ProviderError:
    """The error of a reply with a bad status.

    Where the server's own name for it is more precise than the status, the name decides: a used-up account is
    no throttle, though it comes as 429, and no fault of the call, though it comes as 400.
    """
    error = failure(status, headers, message)
    leaf = _leaf(found)
    if leaf is not None and not isinstance(error, leaf):
        wait_s = error.retry_after_s if leaf in (Throttled, Unavailable) else None
        error = leaf(error.reason, status=status, retry_after_s=wait_s)
    error.limits = rate_limits(headers)
    return error


def raise_error(event: JsonObject) -> None:
    """Raise the error that stands in an answer's place, or in the midst of a stream.

    Raises:
        ProviderError: When the event is one.
    """
    if event.get("type") != "error" and not event.get("error"):
        return
    found = event.get("error")
    error: JsonObject = found if isinstance(found, dict) else {"message": str(found)}
    refused = Refused if error.get("type") == "invalid_request_error" else Unavailable
    raise (_leaf(error) or refused)(one_line(str(error.get("message") or "an error without a message")))


def _leaf(error: JsonObject) -> type[ProviderError] | None:
    """Whose fault an error is by its own name; `None` where that says less than a status."""
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    if code in _ACCOUNT_CODES or _NO_CREDIT.search(str(error.get("message"))):
        return Missing
    return _TYPES.get(str(error.get("type")))
