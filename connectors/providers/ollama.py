"""The wire format of Ollama's chat, whole and as lines of JSON. Pure.

Source: https://docs.ollama.com/api/chat. What Ollama lacks (`n` over 1, a forced tool, documents, images by
address) is refused by name, or left out where the route has `drop_params`. Nothing is truncated in silence:
see `ollama_window.py`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from typing import cast

import orjson

from connectors.providers.errors import failure, one_line
from connectors.providers.ollama_body import FORMAT, body
from connectors.providers.ollama_embed import EMBED, embed_body, embedded_answer
from connectors.providers.soundness import UNREADABLE, checked, unreadable
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
from schemas.calls import Answer, Call, HttpRequest, Malformed, Missing, Piece, ProviderError, Unavailable
from schemas.responses import Usage

BASE = "http://127.0.0.1:11434"
"""Where Ollama listens unless it is told otherwise."""
CHAT = "/api/chat"

_NOT_FOUND = re.compile(r"""model ["'`]?([^"'`\s,]+)["'`]? not found""")
_TOO_LONG = re.compile(r"exceed_context_size|(?:exceeds|longer than) (?:the |maximum |available )*context")
_KNOWN = frozenset({"role", "content", "thinking", "tool_calls"})
_USAGE_FIELDS = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)


class OllamaCodec:
    """`/api/chat` at an Ollama server."""

    def __init__(self, base: str = BASE) -> None:
        self._base = base

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call.

        Raises:
            Refused: When Ollama lacks a parameter; the reason names it.
            Missing: When the call doesn't fit the model; the reason has the numbers.
        """
        headers = call_headers(call)
        headers.setdefault("accept", "application/json")
        if call.request.input is not None:
            return HttpRequest("POST", address(call, self._base, EMBED), headers, to_json(embed_body(call)))
        return HttpRequest("POST", address(call, self._base, CHAT), headers, to_json(body(call)))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply.

        Raises:
            Missing: When the server has no such model, or the model is too small for the call.
            ProviderError: By the status, or by the error that stands in the answer's place.
        """
        if not 200 <= status < 300:
            raise server_failure(status, headers, server_message(body)[0])
        reply = read_object(body, status)
        stream = OllamaStream()
        try:
            if "embeddings" in reply:
                return checked(embedded_answer(reply), body)
            stream.add(reply)
        except UNREADABLE as error:
            raise unreadable(error, body) from error
        if not stream.done:
            raise Malformed("the answer is not marked as `done`", status=status, body=body)
        return stream.finish()

    def decoder(self) -> "OllamaStream":
        """A reader of one streamed answer."""
        return OllamaStream()

    def streams(self, content_type: str) -> bool:
        """Lines of JSON have a type of their own; a single object or a page is no stream."""
        return not content_type.startswith(("application/json", "text/html"))


class OllamaStream:
    """Reads lines of JSON. Its fields are its whole state."""

    __slots__ = (
        "_last",
        "_lines",
        "_logprobs",
        "_other",
        "_seen",
        "_text",
        "_thinking",
        "_tool_calls",
        "done",
    )

    def __init__(self) -> None:
        self.done = False
        self._lines = Lines()
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._tool_calls: list[JsonObject] = []
        self._logprobs: list[JsonObject] = []
        self._other: dict[str, list[object]] = {}
        self._last: JsonObject = {}
        self._seen = False

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes complete, as at most one piece; empty bytes end the stream."""
        try:
            return self._feed(data)
        except UNREADABLE as error:
            raise unreadable(error, data) from error

    def _feed(self, data: bytes) -> list[Piece]:
        texts, thoughts = len(self._text), len(self._thinking)
        calls, probable = len(self._tool_calls), len(self._logprobs)
        if data:
            for line in self._lines.feed(data):
                if line.strip():
                    self.add(read_object(line))
        elif rest := self._lines.rest().strip():
            # What was cut in its middle is dropped: `finish` knows whether enough came.
            with suppress(Malformed):
                self.add(read_object(rest))
        piece = Piece(
            "".join(self._text[texts:]),
            tuple({"index": place, **self._tool_calls[place]} for place in range(calls, self.calls)),
            "".join(self._thinking[thoughts:]),
            tuple(self._logprobs[probable:]),
        )
        return [piece] if piece.text or piece.tool_calls or piece.reasoning or piece.logprobs else []

    @property
    def calls(self) -> int:
        """How many tool calls came so far."""
        return len(self._tool_calls)

    def add(self, part: JsonObject) -> None:
        """Take one object of the stream.

        Raises:
            ProviderError: When it is an error.
        """
        if self.done:
            return
        if error := part.get("error"):
            raise server_failure(500, {}, str(error))
        message = part.get("message")
        if isinstance(message, dict):
            self._seen = True
            self._message(message)
        for found in part.get("logprobs") or ():
            self._logprobs.append(_logprob(found) | {"top_logprobs": _tops(found)})
        self._last = part
        self.done = bool(part.get("done"))

    def _message(self, message: JsonObject) -> None:
        if text := message.get("content"):
            self._text.append(text)
        if text := message.get("thinking"):
            self._thinking.append(text)
        for tool_call in message.get("tool_calls") or ():
            self._tool_calls.append(_tool_call(tool_call, self.calls))
        if not _KNOWN.issuperset(message):
            for name in message.keys() - _KNOWN:
                self._other.setdefault(name, []).append(message[name])

    def finish(self) -> Answer:
        """The answer of all that was fed.

        Raises:
            Unavailable: When the last object, the one with `done`, didn't come.
            Malformed: When no message came at all.
        """
        if not self.done:
            raise Unavailable("the stream was cut")
        if not self._seen:
            raise Malformed("the answer has no `message`", status=200, body=orjson.dumps(self._last))
        try:
            return checked(self._answer(), b"")
        except UNREADABLE as error:
            raise unreadable(error, b"") from error

    def _answer(self) -> Answer:
        reason = self._last.get("done_reason")
        raw = {name: self._last[name] for name in _USAGE_FIELDS if name in self._last}
        joined = {name: _joined(values) for name, values in self._other.items()}
        other = {name: value for name, value in joined.items() if value not in (None, "", [])}
        return Answer(
            text="".join(self._text),
            finish_reason="tool_calls" if self._tool_calls else "length" if reason == "length" else "stop",
            usage=usage(raw),
            usage_raw=raw or None,
            model=self._last.get("model"),
            tool_calls=tuple(self._tool_calls),
            finish_reason_raw=reason or None,
            reasoning="".join(self._thinking),
            provider_content={"format": FORMAT, "content": [other]} if other else None,
            logprobs={"content": self._logprobs} if self._logprobs else None,
        )


def usage(raw: JsonObject) -> Usage | None:
    """Tokens in Weir's words; `None` where the server told nothing."""
    if "prompt_eval_count" not in raw and "eval_count" not in raw:
        return None
    return Usage(input_tokens=count(raw.get("prompt_eval_count")), output_tokens=count(raw.get("eval_count")))


def missing(model: str) -> Missing:
    """The error of a model that the server doesn't have: it says how to get it."""
    name = one_line(model)[:100]
    return Missing(f"the server has no model `{name}`: pull it with `weir models pull {name}`", status=404)


def server_failure(status: int, headers: Mapping[str, str], message: str) -> ProviderError:
    """The error of a reply that is none, by what it says and by its status."""
    found = _NOT_FOUND.search(message)
    if found:
        return missing(found[1])
    if status // 100 in (4, 5) and _TOO_LONG.search(message):
        return Missing(one_line(f"the call doesn't fit the model: {message}"), status=status)
    return failure(status, headers, message)


def _tool_call(found: JsonObject, place: int) -> JsonObject:
    function = found["function"]
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    return {
        "id": found.get("id") or f"call_{place}",
        "type": "function",
        "function": {"name": function["name"], "arguments": text},
    }


def _logprob(found: JsonObject) -> JsonObject:
    """One token's, as OpenAI has it."""
    return {"token": found["token"], "logprob": found["logprob"], "bytes": found.get("bytes")}


def _tops(found: JsonObject) -> list[JsonObject]:
    return [_logprob(each) for each in found.get("top_logprobs") or ()]


def _joined(values: list[object]) -> object:
    """A field of the message that Weir doesn't know, over the parts of a stream; the last one where mixed."""
    found = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in found):
        return "".join(cast(list[str], found))
    if all(isinstance(value, list) for value in found):
        return list(chain.from_iterable(cast(list[list[object]], found)))
    return found[-1]
