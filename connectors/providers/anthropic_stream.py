"""Reads Claude's streams: server-sent events of one message. Pure.

message_start, then for each block content_block_start, content_block_delta ..., content_block_stop, then
message_delta (the reason of the end, cumulative usage) and message_stop; `ping` and events that we don't know
may stand anywhere, `error` ends it. The type in the data counts, not the event's name.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from connectors.providers.anthropic_reply import answer, raise_error
from connectors.providers.soundness import MAX_DEPTH, UNREADABLE, checked, unreadable
from connectors.providers.wire import Events, read_object
from schemas.base import JsonObject
from schemas.calls import Answer, Malformed, Piece, Unavailable
from schemas.depth import written


@dataclass(slots=True)
class Block:
    """A block of the message, as far as it came. What is streamed of it is joined at the end."""

    start: JsonObject
    """The block as it began."""
    call: int
    """Place among the calls of tools; -1 where it is none."""
    texts: list[str] = field(default_factory=list[str])
    thoughts: list[str] = field(default_factory=list[str])
    inputs: list[str] = field(default_factory=list[str])
    citations: list[object] = field(default_factory=list[object])
    others: JsonObject = field(default_factory=dict[str, object])
    """Fields that come as a whole, such as the signature of thinking."""

    def arguments(self) -> str:
        """The JSON text of a tool's input."""
        return "".join(self.inputs) or orjson.dumps(self.start.get("input") or {}).decode()

    def whole(self) -> JsonObject:
        """The block as a reply that isn't streamed would hold it."""
        made = {**self.start, **self.others}
        if self.texts:
            made["text"] = (made.get("text") or "") + "".join(self.texts)
        if self.thoughts:
            made["thinking"] = (made.get("thinking") or "") + "".join(self.thoughts)
        if self.citations:
            made["citations"] = [*(made.get("citations") or ()), *self.citations]
        if self.inputs:
            # Input that was cut by the limit on the answer is no JSON; the tool call has it as it came.
            with suppress(orjson.JSONDecodeError):
                made["input"] = orjson.loads("".join(self.inputs))
            if written(made.get("input"), MAX_DEPTH) is None:
                raise Malformed("a tool's input is nested too deeply", status=200)
        return made


class AnthropicStream:
    """Reads one streamed answer. Its fields are its whole state."""

    __slots__ = ("_blocks", "_calls", "_events", "_message", "_new", "_texts", "_thoughts", "done")

    def __init__(self) -> None:
        self.done = False
        self._events = Events()
        self._message: JsonObject = {}
        self._blocks: dict[int, Block] = {}
        self._calls = 0
        # What the bytes at hand completed: the piece in the making.
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._new: list[JsonObject] = []

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes complete, as at most one piece; empty bytes end it."""
        try:
            return self._feed(data)
        except UNREADABLE as error:
            raise unreadable(error, data) from error

    def _feed(self, data: bytes) -> list[Piece]:
        if data:
            self._take(self._events.feed(data))
        else:
            # What was cut in its middle is dropped: `finish` knows whether enough came.
            with suppress(Malformed):
                self._take(self._events.feed(b""))
        if not self._texts and not self._thoughts and not self._new:
            return []
        piece = Piece("".join(self._texts), tuple(self._new), "".join(self._thoughts))
        self._texts, self._thoughts, self._new = [], [], []
        return [piece]

    def finish(self) -> Answer:
        """The answer of all that was fed.

        Raises:
            Unavailable: When neither `message_stop` nor a reason of the end came.
            Malformed: When the message never began.
        """
        if not self.done and self._message.get("stop_reason") is None:
            raise Unavailable("the stream was cut")
        if "content" not in self._message:
            raise Malformed("the stream has no `message_start`", status=200)
        try:
            return checked(self._answer(), b"")
        except UNREADABLE as error:
            raise unreadable(error, b"") from error

    def _answer(self) -> Answer:
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        arguments = {place: block.arguments() for place, block in enumerate(blocks) if block.call >= 0}
        return answer([block.whole() for block in blocks], self._message, arguments)

    def _take(self, events: list[bytes]) -> None:
        for event in events:
            if not self.done:
                self._event(read_object(event))

    def _event(self, event: JsonObject) -> None:
        match event.get("type"):
            case "content_block_delta":
                self._delta(event, event["delta"])
            case "content_block_start":
                self._start(event["index"], event["content_block"])
            case "content_block_stop":
                self._stop(event["index"])
            case "message_start":
                self._message = {**event["message"], "content": []}
            case "message_delta":
                self._end(event)
            case "message_stop":
                self.done = True
            case _:
                raise_error(event)

    def _start(self, index: int, start: JsonObject) -> None:
        kind = start.get("type")
        call = -1
        if kind == "tool_use":
            call, self._calls = self._calls, self._calls + 1
            function = {"name": start["name"], "arguments": ""}
            self._new.append({"index": call, "id": start["id"], "type": "function", "function": function})
        elif kind == "text" and start.get("text"):
            self._texts.append(start["text"])
        elif kind == "thinking" and start.get("thinking"):
            self._thoughts.append(start["thinking"])
        self._blocks[index] = Block(start, call)

    def _delta(self, event: JsonObject, delta: JsonObject) -> None:
        block = self._blocks.get(event["index"])
        if block is None:
            raise Malformed("the stream has a piece of a block that never began", status=200)
        match delta.get("type"):
            case "text_delta":
                block.texts.append(delta["text"])
                if block.start.get("type") == "text":
                    self._texts.append(delta["text"])
            case "input_json_delta":
                if text := delta["partial_json"]:
                    block.inputs.append(text)
                    if block.call >= 0:
                        self._new.append({"index": block.call, "function": {"arguments": text}})
            case "thinking_delta":
                block.thoughts.append(delta["thinking"])
                if block.start.get("type") == "thinking":
                    self._thoughts.append(delta["thinking"])
            case "signature_delta":
                block.others["signature"] = delta["signature"]
            case "citations_delta":
                block.citations.append(delta["citation"])
            case "compaction_delta":
                block.others |= {name: value for name, value in delta.items() if name != "type"}
            case _:
                return

    def _stop(self, index: int) -> None:
        """Where a tool's input was not streamed, its arguments come with the end of its block."""
        block = self._blocks.get(index)
        if block is not None and block.call >= 0 and not block.inputs:
            self._new.append({"index": block.call, "function": {"arguments": block.arguments()}})

    def _end(self, event: JsonObject) -> None:
        """Take the reason of the end; its usage is cumulative, and what it leaves out stands."""
        self._message |= {name: value for name, value in event["delta"].items() if value is not None}
        told = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
        self._message["usage"] = {**(self._message.get("usage") or {}), **told}
