"""The bytes of server-sent events, as the official clients want them. Pure.

Measured with openai and anthropic, Python and Node (November 2026): an `id:` or `retry:` line, or a
heartbeat with an empty line behind it, breaks openai-python; a stream that just ends passes for a success
with both. So: no ids, a heartbeat of one line, an error event instead of a bare close.
"""

import orjson

from schemas.base import JsonObject

HEARTBEAT = b": hb\n"
"""A comment; without an empty line, which would end an event."""
DONE = b"data: [DONE]\n\n"
"""How OpenAI's streams end."""
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-store",
    "x-accel-buffering": "no",
}
"""Headers of a stream: nobody on the way keeps it or holds it back."""


def data(event: JsonObject) -> bytes:
    """An event without a name."""
    return b"data: " + orjson.dumps(event) + b"\n\n"


def named(event: JsonObject) -> bytes:
    """An event whose name is its own `type`."""
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
