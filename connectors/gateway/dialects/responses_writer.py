"""Writes an answer as the events of OpenAI's Responses API. Pure.

response.created, response.in_progress; for each item output_item.added, its parts and deltas,
output_item.done; then response.completed or response.incomplete. A failure is response.failed; its `error`
stands beside the response, too, which openai-python raises. Events are numbered without gaps.
Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from dataclasses import dataclass, field

from connectors.gateway.dialects import sse
from connectors.gateway.dialects.dialect import Head
from connectors.gateway.dialects.errors import openai_error
from connectors.gateway.dialects.headers import weir_facts
from connectors.gateway.dialects.responses_object import (
    SEALED,
    call_item,
    message_item,
    reasoning_item,
    response_object,
    text_part,
)
from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.responses import Response


@dataclass(slots=True)
class _Item:
    """An item, as far as it came."""

    kind: str
    """`reasoning`, `message` or `function_call`."""
    id: str = ""
    """Its id, once it has its place."""
    call: JsonObject = field(default_factory=dict[str, object])
    """The call of a tool, without its arguments."""
    texts: list[str] = field(default_factory=list[str])
    """Its text or arguments, piece by piece."""
    logprobs: list[JsonObject] = field(default_factory=list[JsonObject])
    """Of its text."""
    own: JsonObject | None = None
    """What gives thinking back to its provider."""
    closed: bool = False
    """Whether its end was said."""


class ResponsesWriter:
    """Writes one stream. Its fields are its whole state."""

    heartbeat = sse.HEARTBEAT

    def __init__(self, options: JsonObject, head: Head) -> None:
        self._options, self._head = options, head
        self._sealing = SEALED in options["include"]
        self._items: list[_Item] = []
        self._calls: dict[object, int] = {}
        self._number = 0

    def open(self) -> bytes:
        """The response without items."""
        empty = response_object(self._options, self._head, [], None)
        return self._event("response.created", response=empty) + self._event(
            "response.in_progress", response=empty
        )

    def piece(self, chunk: Chunk) -> bytes:
        """Thinking, then text, then calls of tools, each in an item of its kind."""
        made: list[bytes] = []
        if chunk.reasoning_content:
            made.append(self._think(chunk.reasoning_content))
        if chunk.delta or chunk.logprobs:
            made.append(self._say(chunk.delta, chunk.logprobs or []))
        made += [self._call(call) for call in chunk.tool_calls or ()]
        return b"".join(made)

    def end(self, response: Response) -> bytes:
        """Close all items, then the response."""
        made: list[bytes] = []
        own = response.provider_content if self._sealing else None
        if own is not None:
            thoughts = [item for item in self._items if item.kind == "reasoning"]
            if not thoughts:
                made.append(self._add(_Item("reasoning")))
                thoughts = self._items[-1:]
            thoughts[-1].own = own
        if not self._items:
            made.append(self._say("", []))
        made += [self._close(place) for place in range(len(self._items))]
        output = [self._made(place) for place in range(len(self._items))]
        whole = response_object(self._options, self._head, output, response)
        whole["model"] = self._head.model
        made.append(
            self._event(f"response.{whole['status']}", response=whole | {"weir": weir_facts(response)})
        )
        return b"".join(made)

    def idle(self) -> bytes:
        """Says again that it is in progress."""
        return self._event(
            "response.in_progress", response=response_object(self._options, self._head, [], None)
        )

    def fail(self, problem: Problem) -> bytes:
        """The failed response."""
        error = openai_error(problem)
        failed = response_object(self._options, self._head, [], None) | {
            "status": "failed",
            "error": {"code": problem.code, "message": problem.message},
        }
        return self._event("response.failed", response=failed, error=error)

    def _think(self, text: str) -> bytes:
        made = self._enter("reasoning")
        place = len(self._items) - 1
        self._items[place].texts.append(text)
        where = {"output_index": place, "item_id": self._items[place].id, "summary_index": 0}
        return made + self._event("response.reasoning_summary_text.delta", **where, delta=text)

    def _say(self, text: str, logprobs: list[JsonObject]) -> bytes:
        made = self._enter("message")
        place = len(self._items) - 1
        self._items[place].texts.append(text)
        self._items[place].logprobs += logprobs
        if not text:
            return made
        where = {"output_index": place, "item_id": self._items[place].id, "content_index": 0}
        return made + self._event("response.output_text.delta", **where, delta=text, logprobs=logprobs)

    def _call(self, call: JsonObject) -> bytes:
        """A piece of a call; calls that are made side by side stay open together."""
        at, made = call.get("index", 0), b""
        function = call.get("function") or {}
        if at not in self._calls:
            made = self._leave("function_call")
            named = {**call, "function": {**function, "arguments": ""}}
            made += self._add(_Item("function_call", call=named))
            self._calls[at] = len(self._items) - 1
        place = self._calls[at]
        if arguments := function.get("arguments"):
            self._items[place].texts.append(arguments)
            where = {"output_index": place, "item_id": self._items[place].id}
            made += self._event("response.function_call_arguments.delta", **where, delta=arguments)
        return made

    def _enter(self, kind: str) -> bytes:
        """Write to an item of a kind: the last one, or a new one."""
        if self._items and self._items[-1].kind == kind and not self._items[-1].closed:
            return b""
        return self._leave(kind) + self._add(_Item(kind))

    def _leave(self, kind: str) -> bytes:
        """Close what is open and not of the kind; thinking waits where it is to be sealed."""
        return b"".join(
            self._close(place)
            for place, item in enumerate(self._items)
            if item.kind != kind and not (self._sealing and item.kind == "reasoning")
        )

    def _add(self, item: _Item) -> bytes:
        self._items.append(item)
        place = len(self._items) - 1
        shown: JsonObject = {**self._made(place), "status": "in_progress"}
        item.id = str(shown["id"])
        if item.kind == "message":
            shown["content"] = []
        if item.kind == "reasoning":
            del shown["status"]
        made = self._event("response.output_item.added", output_index=place, item=shown)
        where = {"output_index": place, "item_id": shown["id"]}
        if item.kind == "message":
            made += self._event(
                "response.content_part.added", **where, content_index=0, part=text_part("", [])
            )
        if item.kind == "reasoning":
            part = {"type": "summary_text", "text": ""}
            made += self._event("response.reasoning_summary_part.added", **where, summary_index=0, part=part)
        return made

    def _close(self, place: int) -> bytes:
        item = self._items[place]
        if item.closed:
            return b""
        item.closed = True
        text, where = "".join(item.texts), {"output_index": place, "item_id": self._items[place].id}
        if item.kind == "message":
            part = text_part(text, item.logprobs)
            made = self._event(
                "response.output_text.done", **where, content_index=0, text=text, logprobs=item.logprobs
            ) + self._event("response.content_part.done", **where, content_index=0, part=part)
        elif item.kind == "reasoning":
            part = {"type": "summary_text", "text": text}
            made = self._event(
                "response.reasoning_summary_text.done", **where, summary_index=0, text=text
            ) + self._event("response.reasoning_summary_part.done", **where, summary_index=0, part=part)
        else:
            name = self._made(place)["name"]
            made = self._event("response.function_call_arguments.done", **where, name=name, arguments=text)
        return made + self._event("response.output_item.done", output_index=place, item=self._made(place))

    def _made(self, place: int) -> JsonObject:
        """An item as far as it came."""
        item, text = self._items[place], "".join(self._items[place].texts)
        if item.kind == "message":
            return message_item(self._head, place, text, item.logprobs)
        if item.kind == "reasoning":
            return reasoning_item(self._head, place, text, item.own)
        function = {**item.call["function"], "arguments": text}
        return call_item(self._head, place, {**item.call, "function": function})

    def _event(self, kind: str, **fields: object) -> bytes:
        self._number += 1
        return sse.named({"type": kind, "sequence_number": self._number - 1, **fields})
