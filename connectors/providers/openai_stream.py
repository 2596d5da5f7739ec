"""Reads a streamed answer of OpenAI's chat completions: server-sent events. Pure.

Source: https://platform.openai.com/docs/api-reference/chat/streaming. Only the first choice is read.
"""

from contextlib import suppress

from connectors.providers.openai_reply import (
    REPLY_FIELDS,
    THINKING_FIELDS,
    finish,
    joined,
    own_content,
    raise_error,
    raw_reason,
    text_and_thinking,
    thinking,
    tool_call,
    usage,
)
from connectors.providers.soundness import UNREADABLE, checked, unreadable
from connectors.providers.wire import Events, read_object
from schemas.base import JsonObject
from schemas.calls import Answer, Malformed, Piece, Unavailable

_SHORT_BYTES = 32
"""Longer data is not looked at for the word that ends a stream."""


class OpenAIStream:
    """Reads server-sent events of completion chunks. Its fields are its whole state."""

    __slots__ = (
        "_beside",
        "_calls",
        "_deltas",
        "_events",
        "_extras",
        "_finish_reason",
        "_logprobs",
        "_model",
        "_raw_reason",
        "_refused",
        "_seen",
        "_server",
        "_texts",
        "_thinking_field",
        "_thoughts",
        "_usage",
        "done",
    )

    def __init__(self, server: str = "openai") -> None:
        self.done = False
        self._server = server
        self._events = Events()
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._thinking_field = ""
        self._deltas: list[JsonObject] = []
        self._calls: dict[int, list[JsonObject]] = {}
        self._logprobs: list[JsonObject] = []
        self._extras: list[JsonObject] = []
        self._beside: JsonObject = {}
        self._finish_reason: str | None = None
        self._raw_reason: str | None = None
        self._usage: JsonObject | None = None
        self._model: str | None = None
        self._refused = False
        self._seen = False

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes complete, as at most one piece; empty bytes end it."""
        texts, thoughts = len(self._texts), len(self._thoughts)
        deltas, logprobs = len(self._deltas), len(self._logprobs)
        try:
            if data:
                self._take(self._events.feed(data))
            else:
                # What was cut in its middle is dropped: `finish` knows whether enough came.
                with suppress(Malformed):
                    self._take(self._events.feed(b""))
            return self._since(texts, thoughts, deltas, logprobs)
        except UNREADABLE as error:
            raise unreadable(error, data) from error

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
        try:
            return checked(self._answer(), b"")
        except UNREADABLE as error:
            raise unreadable(error, b"") from error

    def _answer(self) -> Answer:
        text, reasoning = "".join(self._texts), "".join(self._thoughts)
        tool_calls = tuple(tool_call(self._calls[index]) for index in sorted(self._calls))
        return Answer(
            text=text,
            finish_reason=finish(self._finish_reason, bool(tool_calls), self._refused),
            usage=usage(self._usage),
            usage_raw=self._usage,
            model=self._model,
            tool_calls=tool_calls,
            finish_reason_raw=self._raw_reason,
            reasoning=reasoning,
            provider_content=self._own(text, reasoning, tool_calls),
            logprobs=joined(self._logprobs) or None,
        )

    def _since(self, texts: int, thoughts: int, deltas: int, logprobs: int) -> list[Piece]:
        """What came since the lists had these lengths."""
        text, reasoning = "".join(self._texts[texts:]), "".join(self._thoughts[thoughts:])
        calls = tuple(self._deltas[deltas:])
        probable: list[JsonObject] = []
        for found in self._logprobs[logprobs:]:
            probable += map(dict, found.get("content") or found.get("refusal") or ())
        if not (text or reasoning or calls or probable):
            return []
        return [Piece(text, calls, reasoning, tuple(probable))]

    def _take(self, events: list[bytes]) -> None:
        for event in events:
            if len(event) < _SHORT_BYTES and event.strip() == b"[DONE]":
                self.done = True
            elif not self.done:
                self._event(read_object(event))

    def _event(self, event: JsonObject) -> None:
        if "error" in event:
            raise_error(event)
        self._usage = event.get("usage") or self._usage
        self._model = event.get("model") or self._model
        for name in () if REPLY_FIELDS.isdisjoint(event) else REPLY_FIELDS.intersection(event):
            self._beside[name] = event[name] or self._beside.get(name)
        for choice in event.get("choices") or ():
            if not choice.get("index"):
                self._seen = True
                self._choice(choice)

    def _choice(self, choice: JsonObject) -> None:
        if "error" in choice:
            raise_error(choice)
        delta: JsonObject = choice.get("delta") or {}
        for name, value in delta.items():
            if not value or name == "role":
                continue
            if name == "content":
                self._content(value)
            elif name == "tool_calls":
                for part in value:
                    self._add_tool_call(part)
            elif name == "refusal":
                self._refused = True
                self._texts.append(value)
            elif name not in THINKING_FIELDS:
                self._extras.append({name: value})
            elif not self._thinking_field:
                self._thinking_field = name
        if self._thinking_field and (found := thinking(delta)):
            self._thoughts.append(found)
        if found := choice.get("logprobs"):
            self._logprobs.append(found)
        if reason := choice.get("finish_reason"):
            # An answer that the server gave up is none, whatever else may follow.
            finish(reason, False, False)
            self._finish_reason, self._raw_reason = str(reason), raw_reason(choice)

    def _content(self, value: object) -> None:
        if isinstance(value, str):
            self._texts.append(value)
            return
        text, reasoning = text_and_thinking(value)
        if text:
            self._texts.append(text)
        if reasoning:
            self._thoughts.append(reasoning)
            self._extras.append({"content": True})

    def _add_tool_call(self, part: JsonObject) -> None:
        index = part.get("index")
        if index is None:
            last = max(self._calls, default=-1)
            index = last + 1 if part.get("id") or last < 0 else last
            part = {**part, "index": index}
        self._calls.setdefault(index, []).append(part)
        self._deltas.append(part)

    def _own(self, text: str, reasoning: str, calls: tuple[JsonObject, ...]) -> JsonObject | None:
        """The message as the server would have sent it whole, where `Answer` loses some of it."""
        if not self._extras and not self._beside:
            return None
        extras = joined(self._extras)
        message: JsonObject = {"role": "assistant", "content": text or None}
        if extras.pop("content", None):
            thoughts = [{"type": "text", "text": reasoning}]
            message["content"] = [{"type": "thinking", "thinking": thoughts}, {"type": "text", "text": text}]
        elif self._thinking_field and reasoning:
            message[self._thinking_field] = reasoning
        if self._refused:
            message.update(content=None, refusal=text)
        if calls:
            message["tool_calls"] = list(calls)
        return own_content(self._server, {**message, **extras}, self._beside)
