"""What whole answers and streams of OpenAI's chat completions have in common. Pure.

Source: https://platform.openai.com/docs/api-reference/chat/object; thinking stands in `reasoning_content`
(vLLM, DeepSeek, llama.cpp), in `reasoning` (OpenRouter, Groq, newer vLLM) or in parts of the content
(Mistral).
"""

import re
from collections.abc import Iterable, Mapping

from connectors.providers.errors import failure, one_line
from connectors.providers.limits import rate_limits
from connectors.providers.openai_turns import FORMAT
from connectors.providers.wire import count, server_message
from schemas.base import JsonObject
from schemas.calls import Missing, ProviderError, Refused, Throttled, Unavailable
from schemas.responses import Usage

THINKING_FIELDS = ("reasoning_content", "reasoning")
"""Where a message has its thinking; the first that is there counts."""
REPLY_FIELDS = frozenset({"citations", "search_results", "images", "videos", "related_questions"})
"""What some servers say of an answer beside its message (Perplexity's sources)."""

_CARRIED = frozenset({"role", "content", "refusal", "tool_calls", *THINKING_FIELDS})
_FINISH = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_BROKEN = frozenset({"error", "abort", "insufficient_system_resource"})
_ACCOUNT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"})
_ELSEWHERE_CODES = frozenset({"model_not_found", "invalid_model", "invalid_api_key", *_ACCOUNT_CODES})
_WRONG_KEY = re.compile(r"incorrect api key|invalid api key", re.IGNORECASE)
_CODES: dict[str, type[ProviderError]] = {
    "rate_limit_exceeded": Throttled,
    "rate_limit_error": Throttled,
    "requests": Throttled,
    "tokens": Throttled,
    "invalid_request_error": Refused,
    "BadRequestError": Refused,
    "content_filter": Refused,
    "content_policy_violation": Refused,
    "context_length_exceeded": Refused,
    "authentication_error": Missing,
    "permission_error": Missing,
    "not_found_error": Missing,
    "NotFoundError": Missing,
    **dict.fromkeys(_ELSEWHERE_CODES, Missing),
}
_WHOLE = frozenset({"id", "type", "index", "format", "role"})


def usage(raw: object) -> Usage | None:
    """Tokens in Weir's words; `None` where nothing was told.

    `prompt_tokens` includes the cached ones. Where the total says that thinking isn't part of
    `completion_tokens` (xAI), it is added.
    """
    if not isinstance(raw, dict) or not ("prompt_tokens" in raw or "completion_tokens" in raw):
        return None
    into, out = _details(raw, "prompt_tokens_details"), _details(raw, "completion_tokens_details")
    input_tokens, output_tokens = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    reasoning_tokens = count(out.get("reasoning_tokens") or raw.get("reasoning_tokens"))
    if reasoning_tokens and raw.get("total_tokens") == input_tokens + output_tokens + reasoning_tokens:
        output_tokens += reasoning_tokens
    read = into.get("cached_tokens") or raw.get("prompt_cache_hit_tokens") or raw.get("cached_tokens")
    written = into.get("cache_write_tokens") or raw.get("cache_creation_input_tokens")
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=count(read),
        cache_write_tokens=count(written),
        reasoning_tokens=reasoning_tokens,
    )


def failed(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error of a reply with a bad status, with the limits that its headers tell."""
    message, code = server_message(body)
    if code in _ELSEWHERE_CODES or (status == 400 and _WRONG_KEY.search(message)):
        error: ProviderError = Missing(one_line(f"{status}: {message}"), status=status)
    else:
        error = failure(status, headers, message)
    error.limits = rate_limits(headers)
    return error


def raise_error(event: JsonObject) -> None:
    """Raise the error that a good status or a stream carries, by its numeric code or by its name."""
    found = event.get("error")
    if not found:
        return
    error: JsonObject = found if isinstance(found, dict) else {"message": str(found)}
    message = str(error.get("message") or "an error without a message")
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        raise failure(code, {}, message)
    leaf = _CODES.get(str(code)) or _CODES.get(str(error.get("type"))) or Unavailable
    raise leaf(one_line(message))


def finish(reason: object, has_tool_calls: bool, refused: bool) -> str:
    """The finish reason in Weir's four words.

    Raises:
        Unavailable: When the server gave up.
    """
    if reason in _BROKEN:
        raise Unavailable(f"the provider ended the answer with `{reason}`")
    if refused:
        return "content_filter"
    return _FINISH.get(str(reason), "tool_calls" if not reason and has_tool_calls else "stop")


def raw_reason(choice: JsonObject) -> str | None:
    """The provider's own word for why it ended; OpenRouter hands on its provider's."""
    reason = choice.get("native_finish_reason") or choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason else None


def text_and_thinking(content: object) -> tuple[str, str]:
    """The text of a message's content, and the thinking in its parts.

    Raises:
        TypeError: When it is neither a text nor a list of parts.
    """
    if isinstance(content, str):
        return content, ""
    if content is not None and not isinstance(content, list):
        raise TypeError("content")
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content or ():
        if part.get("type") == "thinking":
            thoughts.append(text_and_thinking(part.get("thinking"))[0])
        else:
            texts.append(part.get("text") or "")
    return "".join(texts), "".join(thoughts)


def thinking(message: JsonObject) -> str:
    """The thinking that stands beside a message's content."""
    for name in THINKING_FIELDS:
        if isinstance(found := message.get(name), str) and found:
            return found
    return ""


def own_content(server: str, message: JsonObject, reply: JsonObject) -> JsonObject | None:
    """A message as it came, where `Answer` loses some of it: unknown fields, parts that are no text.

    `server` says who made it: nobody else gets it back. `reply` is what stood beside the message.
    """
    beside = {name: reply[name] for name in REPLY_FIELDS.intersection(reply) if reply[name]}
    content = message.get("content")
    parts: list[JsonObject] = content if isinstance(content, list) else []
    if not (
        beside
        or any(value and name not in _CARRIED for name, value in message.items())
        or any(part.get("type", "text") != "text" for part in parts)
    ):
        return None
    own: JsonObject = {"format": FORMAT, "server": server, "content": [message]}
    return {**own, "reply": beside} if beside else own


def tool_call(parts: list[JsonObject]) -> JsonObject:
    """A streamed tool call, from its pieces."""
    made = joined(parts)
    made.pop("index", None)
    call: JsonObject = {**made, "id": made.get("id") or "", "type": made.get("type") or "function"}
    if call["type"] == "function":
        function = made.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        call["function"] = {**function, "name": name, "arguments": arguments}
    return call


def joined(parts: Iterable[JsonObject]) -> JsonObject:
    """One object from the pieces that a stream cut it into.

    Texts are put together, lists too (entries with an `index` by it), objects field by field; of all else,
    and of names such as `id` and `type`, the last one counts. Nulls don't. Linear in what it reads.
    """
    fields: dict[str, list[object]] = {}
    for part in parts:
        for name, value in part.items():
            found = fields.setdefault(name, [])
            if value is not None:
                found.append(value)
    return {name: _last(found) if name in _WHOLE else _joined(found) for name, found in fields.items()}


def _last(found: list[object]) -> object:
    return next((value for value in reversed(found) if value), found[-1] if found else None)


def _joined(found: list[object]) -> object:
    kinds = {type(value) for value in found}
    if kinds == {str}:
        return "".join(str(value) for value in found)
    if kinds == {dict}:
        return joined(value for value in found if isinstance(value, dict))
    if kinds == {list}:
        return _entries(entry for value in found if isinstance(value, list) for entry in value)
    return found[-1] if found else None


def _entries(found: Iterable[object]) -> list[object]:
    """All entries; objects of one `index` become one, where the first of them stood."""
    places: dict[int, list[JsonObject]] = {}
    entries: list[tuple[object, list[JsonObject]]] = []
    for entry in found:
        index = entry.get("index") if isinstance(entry, dict) else None
        pieces: list[JsonObject] = places.get(index, []) if isinstance(index, int) else []
        if not pieces:
            entries.append((entry, pieces))
        if isinstance(entry, dict) and isinstance(index, int):
            pieces.append(entry)
            places[index] = pieces
    return [joined(pieces) if len(pieces) > 1 else entry for entry, pieces in entries]


def _details(raw: JsonObject, name: str) -> JsonObject:
    found = raw.get(name)
    return found if isinstance(found, dict) else {}
