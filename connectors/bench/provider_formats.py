"""The wire formats of the fake provider, by the path of a call: OpenAI, Anthropic, Gemini, Ollama. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from connectors.bench import provider_wire as wire
from schemas.base import JsonObject

SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Format:
    """How one provider answers."""

    whole: Callable[[str, str, dict[str, int]], bytes]
    """The JSON answer of a model, a text and its usage."""
    pieces: Callable[[str, str, dict[str, int], int], list[bytes]]
    """The same as a stream of about so many pieces, each an HTTP chunk; the last one ends it."""
    kind: str = SSE
    """Content type of its streams."""
    streams: bool | None = None
    """Whether a call is a stream; `None`: its body says so."""


def format_of(path: str) -> Format | None:
    """The format of calls to a path; `None` where there is none."""
    place, _, query = path.partition("?")
    if place.endswith(":streamGenerateContent"):
        return _GEMINI_EVENTS if "alt=sse" in query else _GEMINI_LIST
    return next((found for end, found in _BY_END.items() if place.endswith(end)), None)


def wants_stream(form: Format, asked: JsonObject) -> bool:
    """Whether a call is a stream."""
    return bool(asked.get("stream", form is _OLLAMA)) if form.streams is None else form.streams


def _cuts(text: str, pieces: int) -> list[str]:
    size = max(1, -(-len(text) // max(1, pieces)))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunked(first: bytes, parts: list[bytes], last: bytes) -> list[bytes]:
    """HTTP chunks of a stream; what stands before the first part and behind the last travels with them."""
    parts = [first + parts[0], *parts[1:]]
    return [*(_chunk(part) for part in parts), _chunk(last) + b"0\r\n\r\n"]


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: ".encode() + orjson.dumps({"type": name, **fields}) + b"\n\n"


def _message(model: str, content: list[JsonObject], stop: str | None, usage: dict[str, int]) -> JsonObject:
    tokens = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": tokens,
    }


def _claude_whole(model: str, text: str, usage: dict[str, int]) -> bytes:
    return orjson.dumps(_message(model, [{"type": "text", "text": text}], "end_turn", usage))


def _claude_pieces(model: str, text: str, usage: dict[str, int], pieces: int) -> list[bytes]:
    first = _event("message_start", message=_message(model, [], None, usage)) + _event(
        "content_block_start", index=0, content_block={"type": "text", "text": ""}
    )
    parts = [
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": cut})
        for cut in _cuts(text, pieces)
    ]
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    tokens = {"output_tokens": usage["completion_tokens"]}
    last = _event("content_block_stop", index=0) + _event("message_delta", delta=delta, usage=tokens)
    return _chunked(first, parts, last + _event("message_stop"))


def _generated(model: str, text: str, stop: str | None, usage: dict[str, int]) -> JsonObject:
    content = {"parts": [{"text": text}], "role": "model"}
    candidate: JsonObject = {"content": content, "index": 0}
    if stop is not None:
        candidate["finishReason"] = stop
    counts = {
        "promptTokenCount": usage["prompt_tokens"],
        "candidatesTokenCount": usage["completion_tokens"],
        "totalTokenCount": usage["total_tokens"],
    }
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "bench"}


def _gemini_whole(model: str, text: str, usage: dict[str, int]) -> bytes:
    return orjson.dumps(_generated(model, text, "STOP", usage))


def _gemini_events(model: str, text: str, usage: dict[str, int], pieces: int) -> list[bytes]:
    parts = [
        b"data: " + orjson.dumps(_generated(model, cut, None, usage)) + b"\r\n\r\n"
        for cut in _cuts(text, pieces)
    ]
    last = b"data: " + orjson.dumps(_generated(model, "", "STOP", usage)) + b"\r\n\r\n"
    return _chunked(b"", parts, last)


def _gemini_list(model: str, text: str, usage: dict[str, int], pieces: int) -> list[bytes]:
    """As the API streams without `alt=sse`: one JSON list."""
    parts = [orjson.dumps(_generated(model, cut, None, usage)) + b",\n" for cut in _cuts(text, pieces)]
    return _chunked(b"[", parts, orjson.dumps(_generated(model, "", "STOP", usage)) + b"]")


def _said(model: str, text: str, usage: dict[str, int] | None) -> bytes:
    line: JsonObject = {
        "model": model,
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text},
        "done": usage is not None,
    }
    if usage is not None:
        line |= {"done_reason": "stop", "prompt_eval_count": usage["prompt_tokens"]}
        line["eval_count"] = usage["completion_tokens"]
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _ollama_pieces(model: str, text: str, usage: dict[str, int], pieces: int) -> list[bytes]:
    parts = [_said(model, cut, None) for cut in _cuts(text, pieces)]
    return _chunked(b"", parts, _said(model, "", usage))


_OLLAMA = Format(_said, _ollama_pieces, "application/x-ndjson")
_GEMINI_EVENTS = Format(_gemini_whole, _gemini_events, streams=True)
_GEMINI_LIST = Format(_gemini_whole, _gemini_list, "application/json", streams=True)
_BY_END = {
    "/chat/completions": Format(wire.completion, wire.stream_pieces),
    "/messages": Format(_claude_whole, _claude_pieces),
    ":generateContent": Format(_gemini_whole, _gemini_events, streams=False),
    "/api/chat": _OLLAMA,
}
