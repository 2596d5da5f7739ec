"""Bytes of the OpenAI wire as the fake provider writes them: JSON answers, streams, errors. Pure."""

import orjson

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable"}  # fmt: skip
_TEXT = "The river runs where the weir lets it. "


def response(status: int, body: bytes, *, content_type: str = "application/json", extra: str = "") -> bytes:
    """A whole HTTP response; `extra` are header lines, each with its line end."""
    return (
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n{extra}\r\n"
    ).encode() + body


def text_of(length_bytes: int) -> str:
    """An answer of that many ASCII characters."""
    return (_TEXT * (length_bytes // len(_TEXT) + 1))[:length_bytes]


def usage_of(body_bytes: int, answer_bytes: int) -> dict[str, int]:
    """Tokens by the rule of thumb of four characters each."""
    given, made = body_bytes // 4, answer_bytes // 4
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def completion(model: str, text: str, usage: dict[str, int]) -> bytes:
    """The JSON answer."""
    message = {"role": "assistant", "content": text}
    return orjson.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
    )


def stream_head(content_type: str = "text/event-stream") -> bytes:
    """Status and headers of a stream, in chunked coding."""
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def stream_pieces(model: str, text: str, usage: dict[str, int], pieces: int) -> list[bytes]:
    """The events of a stream, each as an HTTP chunk; the last one has usage, `[DONE]` and the end."""
    size = max(1, -(-len(text) // max(1, pieces)))
    cuts = [text[at : at + size] for at in range(0, len(text), size)]
    events = [_event(model, {"role": "assistant", "content": cut}, None, None) for cut in cuts]
    last = _event(model, {}, "stop", None) + _event(model, None, None, usage) + b"data: [DONE]\n\n"
    return [*(_chunk(event) for event in events), _chunk(last) + b"0\r\n\r\n"]


def error(status: int, message: str, extra: str = "") -> bytes:
    """A failure in the API's shape."""
    return response(status, orjson.dumps({"error": {"message": message, "type": "bench"}}), extra=extra)


def _event(
    model: str, delta: dict[str, str] | None, finish: str | None, usage: dict[str, int] | None
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    event = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 0, "model": model}
    return b"data: " + orjson.dumps({**event, "choices": choices, "usage": usage}) + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
