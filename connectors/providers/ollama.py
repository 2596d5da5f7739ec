"""The wire format of Ollama's chat, whole and as lines of JSON. Pure.

Source: https://docs.ollama.com/api/chat. What Ollama lacks (`n` over 1, a forced tool, images by address) is
refused by name, or left out where the route has `drop_params`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

import orjson

from connectors.providers.errors import failure, one_line
from connectors.providers.ollama_body import body
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

_NOT_FOUND = re.compile(r"""model ["'`]?([^"'`\s,]+)["'`]? not found""")
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

    def __init__(self, base: str = "http://127.0.0.1:11434") -> None:
        self._base = base

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call.

        Raises:
            Refused: When Ollama lacks a parameter; the reason names it.
        """
        return HttpRequest(
            "POST", address(call, self._base, "/api/chat"), call_headers(call), to_json(body(call))
        )

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply.

        Raises:
            Missing: When the server has no such model; the reason says how to get it.
            ProviderError: By the status, or by the error that stands in the answer's place.
        """
        if not 200 <= status < 300:
            raise _failure(status, headers, server_message(body)[0])
        stream = OllamaStream()
        stream.add(read_object(body, status))
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

    __slots__ = ("_last", "_lines", "_seen", "_text", "_tool_calls", "done")

    def __init__(self) -> None:
        self.done = False
        self._lines = Lines()
        self._text: list[str] = []
        self._tool_calls: list[JsonObject] = []
        self._last: JsonObject = {}
        self._seen = False

    def feed(self, data: bytes) -> list[Piece]:
        """The text and tool calls that these bytes complete, as at most one piece; empty bytes end it."""
        texts, calls = len(self._text), len(self._tool_calls)
        if data:
            for line in self._lines.feed(data):
                if line.strip():
                    self.add(read_object(line))
        elif rest := self._lines.rest().strip():
            # What was cut in its middle is dropped: `finish` knows whether enough came.
            with suppress(Malformed):
                self.add(read_object(rest))
        text = "".join(self._text[texts:])
        deltas = tuple({"index": place, **self._tool_calls[place]} for place in range(calls, self.calls))
        return [Piece(text, deltas)] if text or deltas else []

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
            raise _failure(500, {}, str(error))
        message = part.get("message")
        if isinstance(message, dict):
            self._seen = True
            if text := message.get("content"):
                self._text.append(text)
            for tool_call in message.get("tool_calls") or ():
                self._tool_calls.append(_tool_call(tool_call, self.calls))
        self._last = part
        self.done = bool(part.get("done"))

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
        reason = self._last.get("done_reason")
        raw = {name: self._last[name] for name in _USAGE_FIELDS if name in self._last}
        return Answer(
            text="".join(self._text),
            finish_reason="tool_calls" if self._tool_calls else "length" if reason == "length" else "stop",
            usage=usage(raw),
            usage_raw=raw or None,
            model=self._last.get("model"),
            tool_calls=tuple(self._tool_calls),
        )


def usage(raw: JsonObject) -> Usage | None:
    """Tokens in Weir's words; `None` where the server told nothing."""
    if "prompt_eval_count" not in raw and "eval_count" not in raw:
        return None
    return Usage(input_tokens=count(raw.get("prompt_eval_count")), output_tokens=count(raw.get("eval_count")))


def _failure(status: int, headers: Mapping[str, str], message: str) -> ProviderError:
    found = _NOT_FOUND.search(message)
    if found:
        name = one_line(found[1])[:100]
        return Missing(f"the server has no model `{name}`: pull it with `ollama pull {name}`", status=404)
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
