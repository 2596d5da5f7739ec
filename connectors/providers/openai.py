"""The wire format of OpenAI's chat completions, which vLLM, LM Studio, llama.cpp and many others speak. Pure.

Source: https://platform.openai.com/docs/api-reference/chat. Only the first choice is read.
"""

from collections.abc import Mapping
from contextlib import suppress

from connectors.providers.errors import failure, one_line
from connectors.providers.openai_body import body
from connectors.providers.wire import (
    Lines,
    address,
    call_headers,
    count,
    read_object,
    server_message,
    to_json,
)
from schemas.base import JsonObject
from schemas.calls import (
    Answer,
    Call,
    HttpRequest,
    Malformed,
    Missing,
    Piece,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from schemas.responses import Usage

_FINISH = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_ACCOUNT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"})
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
    "invalid_api_key": Missing,
    "permission_error": Missing,
    "model_not_found": Missing,
    "not_found_error": Missing,
    "NotFoundError": Missing,
    **dict.fromkeys(_ACCOUNT_CODES, Missing),
}


class OpenAICodec:
    """Chat completions, whole and streamed, at any server that speaks them."""

    def __init__(self, base: str | None = "https://api.openai.com/v1") -> None:
        self._base = base

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call. Extra fields of the request go out as they are, Weir's own never."""
        url = address(call, self._base, "/chat/completions")
        return HttpRequest("POST", url, call_headers(call), to_json(body(call)))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply.

        Raises:
            ProviderError: By the status, or by the error that stands in the answer's place.
        """
        if not 200 <= status < 300:
            message, code = server_message(body)
            if code in _ACCOUNT_CODES:
                raise Missing(one_line(f"{status}: {message}"), status=status)
            raise failure(status, headers, message)
        reply = read_object(body, status)
        _raise_error(reply)
        choices = reply.get("choices")
        if not choices:
            raise Malformed("the answer has no `choices`", status=status, body=body)
        choice = choices[0]
        message = choice.get("message")
        if not isinstance(message, dict):
            raise Malformed("the answer has no `message`", status=status, body=body)
        tool_calls = tuple(message.get("tool_calls") or ())
        refusal = message.get("refusal")
        return Answer(
            text=_text(message.get("content")) or refusal or "",
            finish_reason=_finish(choice.get("finish_reason"), bool(tool_calls), bool(refusal)),
            usage=usage(reply.get("usage")),
            usage_raw=reply.get("usage") or None,
            model=reply.get("model"),
            tool_calls=tool_calls,
            status=status,
        )

    def decoder(self) -> "OpenAIStream":
        """A reader of one streamed answer."""
        return OpenAIStream()

    def streams(self, content_type: str) -> bool:
        """Some servers label their events wrongly; a JSON object or a page is none."""
        return not content_type.startswith(("application/json", "text/html"))


class OpenAIStream:
    """Reads server-sent events of completion chunks. Its fields are its whole state."""

    __slots__ = (
        "_data",
        "_finish_reason",
        "_lines",
        "_model",
        "_refused",
        "_seen",
        "_text",
        "_tool_calls",
        "_usage",
        "done",
    )

    def __init__(self) -> None:
        self.done = False
        self._lines = Lines()
        self._data: list[bytes] = []
        self._text: list[str] = []
        self._tool_calls: dict[int, JsonObject] = {}
        self._finish_reason: str | None = None
        self._usage: JsonObject | None = None
        self._model: str | None = None
        self._refused = False
        self._seen = False

    def feed(self, data: bytes) -> list[Piece]:
        """The text and tool calls that these bytes complete, as at most one piece; empty bytes end it."""
        texts: list[str] = []
        deltas: list[JsonObject] = []
        if data:
            for line in self._lines.feed(data):
                self._line(line, texts, deltas)
        else:
            # What was cut in its middle is dropped: `finish` knows whether enough came.
            with suppress(Malformed):
                self._line(self._lines.rest(), texts, deltas)
                self._line(b"", texts, deltas)
        if not texts and not deltas:
            return []
        return [Piece("".join(texts), tuple(deltas))]

    def finish(self) -> Answer:
        """The answer of all that was fed.

        Raises:
            Unavailable: When neither `[DONE]` nor a finish reason came.
            Malformed: When no choice came at all.
        """
        if not self.done and self._finish_reason is None:
            raise Unavailable("the stream was cut")
        if not self._seen:
            raise Malformed("the stream has no `choices`", status=200)
        tool_calls = tuple(self._tool_calls[index] for index in sorted(self._tool_calls))
        return Answer(
            text="".join(self._text),
            finish_reason=_finish(self._finish_reason, bool(tool_calls), self._refused),
            usage=usage(self._usage),
            usage_raw=self._usage,
            model=self._model,
            tool_calls=tool_calls,
        )

    def _line(self, line: bytes, texts: list[str], deltas: list[JsonObject]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            event = b"\n".join(self._data)
            self._data.clear()
            if event.strip() == b"[DONE]":
                self.done = True
            elif not self.done:
                self._event(read_object(event), texts, deltas)

    def _event(self, event: JsonObject, texts: list[str], deltas: list[JsonObject]) -> None:
        _raise_error(event)
        self._usage = event.get("usage") or self._usage
        self._model = event.get("model") or self._model
        for choice in event.get("choices") or ():
            if choice.get("index"):
                continue
            self._seen = True
            delta = choice.get("delta") or {}
            text = _text(delta.get("content")) or delta.get("refusal")
            self._refused = self._refused or bool(delta.get("refusal"))
            if text:
                texts.append(text)
                self._text.append(text)
            for part in delta.get("tool_calls") or ():
                deltas.append(part)
                self._add_tool_call(part)
            if reason := choice.get("finish_reason"):
                if reason == "error":
                    raise Unavailable("the provider ended the stream with an error")
                self._finish_reason = reason

    def _add_tool_call(self, part: JsonObject) -> None:
        index = part.get("index")
        if index is None:
            last = max(self._tool_calls, default=-1)
            index = last + 1 if part.get("id") or last < 0 else last
        call = self._tool_calls.setdefault(
            index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = part.get("id") or call["id"]
        function = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


def usage(raw: JsonObject | None) -> Usage | None:
    """Tokens in Weir's words; `prompt_tokens` includes the cached ones. `None` where nothing was told."""
    if not isinstance(raw, dict) or not ("prompt_tokens" in raw or "completion_tokens" in raw):
        return None
    prompt_details = raw.get("prompt_tokens_details") or {}
    output_details = raw.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        cached_tokens=count(prompt_details.get("cached_tokens")),
        reasoning_tokens=count(output_details.get("reasoning_tokens")),
    )


def _raise_error(event: JsonObject) -> None:
    """Raise the error that a good status or a stream carries, by its numeric code or by its name."""
    found = event.get("error")
    if not found:
        return
    error: JsonObject = found if isinstance(found, dict) else {"message": str(found)}
    message = str(error.get("message") or "an error without a message")
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        raise failure(code, {}, message)
    leaf = _CODES.get(str(code)) or _CODES.get(str(error.get("type"))) or Unavailable
    raise leaf(one_line(message))


def _finish(reason: str | None, has_tool_calls: bool, refused: bool) -> str:
    if reason == "error":
        raise Unavailable("the provider ended the answer with an error")
    if refused:
        return "content_filter"
    return _FINISH.get(reason or "", "tool_calls" if reason is None and has_tool_calls else "stop")


def _text(content: str | list[JsonObject] | None) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""
