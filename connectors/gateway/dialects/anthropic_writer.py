"""Writes an answer as the events of Anthropic's streams. Pure.

message_start; for each block content_block_start, content_block_delta ..., content_block_stop; message_delta
(the reason of the end, cumulative usage), message_stop. `ping` bridges silence, `error` ends it.

A signature of thinking is only known at the end, so a block of thinking stays open until then: its
signature_delta and content_block_stop come after the other blocks'. What Claude said that is not streamed
(redacted thinking, what its own tools did) comes as whole blocks then. `message_delta` has `weir`, which says
who answered.
Source: https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from connectors.gateway.dialects import sse
from connectors.gateway.dialects.anthropic_turns import FORMAT
from connectors.gateway.dialects.dialect import Head
from connectors.gateway.dialects.errors import anthropic_error
from connectors.gateway.dialects.headers import weir_facts
from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.responses import Response, Usage

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
"""Anthropic's heartbeat."""
_STREAMED = frozenset({"text", "thinking", "tool_use"})
_OWN_REASONS = frozenset(
    {
        "end_turn",
        "max_tokens",
        "model_context_window_exceeded",
        "pause_turn",
        "refusal",
        "stop_sequence",
        "tool_use",
    }
)
_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def stop_reason(response: Response) -> str:
    """Why it ended, in Anthropic's words; its own where Claude answered."""
    raw = response.finish_reason_raw
    if raw in _OWN_REASONS:
        return str(raw)
    return _REASONS.get(response.finish_reason or "", "end_turn")


def usage(response: Response) -> JsonObject:
    """Tokens in Anthropic's words: `input_tokens` leaves out what went through the cache."""
    found = response.usage or Usage(input_tokens=response.estimated_input_tokens or 0, counted_by="estimate")
    cached, written = found.cached_tokens, found.cache_write_tokens
    return {
        "input_tokens": max(0, found.input_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": found.output_tokens,
        "output_tokens_details": {"thinking_tokens": found.reasoning_tokens},
    }


class MessageWriter:
    """Writes one stream. Its fields are its whole state."""

    heartbeat = PING

    def __init__(self, head: Head) -> None:
        self._head = head
        self._blocks = 0
        self._open: tuple[int, str] | None = None
        """The block that is written to: its index, and its type or the tool call's index."""
        self._thoughts: list[int] = []
        """Blocks of thinking, which are all still open."""
        self._calls: dict[object, int] = {}
        """Blocks of tool calls by the call's own index."""

    def open(self) -> bytes:
        """The message without content."""
        message: JsonObject = {
            "id": self._head.named("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self._head.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return sse.named({"type": "message_start", "message": message})

    def piece(self, chunk: Chunk) -> bytes:
        """Thinking, then text, then calls of tools, each in a block of its kind."""
        made: list[bytes] = []
        if chunk.reasoning_content:
            self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""}, made)
            made.append(self._delta({"type": "thinking_delta", "thinking": chunk.reasoning_content}))
        if chunk.delta:
            self._enter("text", {"type": "text", "text": ""}, made)
            made.append(self._delta({"type": "text_delta", "text": chunk.delta}))
        for call in chunk.tool_calls or ():
            self._call(call, made)
        return b"".join(made)

    def end(self, response: Response) -> bytes:
        """Close all blocks, say why and what it took."""
        made: list[bytes] = []
        self._leave(made)
        own = _own(response)
        signatures = [str(block.get("signature") or "") for block in own if block.get("type") == "thinking"]
        signed = len(signatures) == len(self._thoughts)
        for place, index in enumerate(self._thoughts):
            if signed and signatures[place]:
                made.append(_delta(index, {"type": "signature_delta", "signature": signatures[place]}))
            made.append(_stop(index))
        for block in own:
            if block.get("type") not in _STREAMED:
                made += [self._start(block), _stop(self._blocks - 1)]
        last: JsonObject = {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(response), "stop_sequence": None},
            "usage": usage(response),
            "weir": weir_facts(response),
        }
        return b"".join((*made, sse.named(last), sse.named({"type": "message_stop"})))

    def idle(self) -> bytes:
        """A ping: Anthropic's clients count it."""
        return PING

    def fail(self, problem: Problem) -> bytes:
        """The error event."""
        return sse.named({"type": "error", "error": anthropic_error(problem)})

    def _call(self, call: JsonObject, made: list[bytes]) -> None:
        at, function = call.get("index", 0), call.get("function") or {}
        if at not in self._calls:
            start = {
                "type": "tool_use",
                "id": call.get("id") or f"toolu_{at}",
                "name": function.get("name") or "",
                "input": {},
            }
            self._leave(made)
            made.append(self._start(start))
            self._calls[at] = self._blocks - 1
            self._open = (self._calls[at], "tool_use")
        if arguments := function.get("arguments"):
            made.append(_delta(self._calls[at], {"type": "input_json_delta", "partial_json": arguments}))

    def _enter(self, kind: str, start: JsonObject, made: list[bytes]) -> None:
        """Write to a block of a kind: the open one, or a new one."""
        if self._open is not None and self._open[1] == kind:
            return
        self._leave(made)
        made.append(self._start(start))
        self._open = (self._blocks - 1, kind)
        if kind == "thinking":
            self._thoughts.append(self._blocks - 1)

    def _leave(self, made: list[bytes]) -> None:
        """Close the open block, unless it waits for its signature."""
        if self._open is not None and self._open[1] != "thinking":
            made.append(_stop(self._open[0]))
        self._open = None

    def _start(self, block: JsonObject) -> bytes:
        self._blocks += 1
        return sse.named({"type": "content_block_start", "index": self._blocks - 1, "content_block": block})

    def _delta(self, delta: JsonObject) -> bytes:
        return _delta(self._blocks - 1, delta)


def _own(response: Response) -> list[JsonObject]:
    own = response.provider_content or {}
    found = own.get("content") if own.get("format") == FORMAT else None
    return found if isinstance(found, list) else []


def _delta(index: int, delta: JsonObject) -> bytes:
    return sse.named({"type": "content_block_delta", "index": index, "delta": delta})


def _stop(index: int) -> bytes:
    return sse.named({"type": "content_block_stop", "index": index})
