"""A provider whose answer follows from what it was asked, in OpenAI's wire format and Anthropic's.

A tool is called once, with Köln; its result, a picture's size, or a schema's object stands in the answer.
`fault=503:2` in the last turn fails the first two calls that have that turn.
"""

import asyncio
import base64
import re
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from tests.support.loopback import Loopback, Received, Reply

CITY = "Köln"
WEIR: dict[str, Any] = {"name": "Teltow", "gates": 3}
"""What is answered where a schema is given."""
_FAULT = re.compile(r"fault=(\d+):(\d+)")
_PIECES = 3
_ID = "call_1"


class Tool(NamedTuple):
    """A call of a tool."""

    name: str
    arguments: str
    """As JSON."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call says, whatever its format."""

    text: str
    """Texts of the last turn that a person wrote."""
    pictures: tuple[int, ...]
    """Bytes of its pictures."""
    tool: Tool | None
    """Its first tool."""
    result: str | None
    """What a tool gave."""
    schema: bool
    """Whether the answer must be an object."""


class Scripted:
    """What was asked of it so far."""

    def __init__(self) -> None:
        self.url = ""
        """Base URL; OpenAI's format is under `/v1`."""
        self.calls: Counter[str] = Counter()
        """How often each last turn was asked."""

    async def script(self, received: Received, reply: Reply) -> None:
        """Answer one call."""
        body: Any = received.json()
        claude = received.path.endswith("/messages")
        asked = asked_claude(body) if claude else asked_openai(body)
        self.calls[asked.text] += 1
        if (fault := _FAULT.search(asked.text)) and self.calls[asked.text] <= int(fault[2]):
            error = {"error": {"type": "api_error", "message": "as asked"}}
            await reply.whole(int(fault[1]), orjson.dumps({"type": "error", **error}))
            return
        call = asked.tool if asked.result is None else None
        text = "" if call else said(asked)
        if body.get("stream"):
            await reply.head(kind="text/event-stream")
            for event in claude_events(text, call) if claude else openai_events(text, call):
                await reply.chunk(event)
            await reply.end()
        else:
            await reply.whole(200, orjson.dumps(claude_whole(text, call) if claude else whole(text, call)))


def said(asked: Asked) -> str:
    """The answer's text."""
    if asked.result is not None:
        return f"The tool says: {asked.result}"
    if asked.schema:
        return orjson.dumps(WEIR).decode()
    if asked.pictures:
        return f"Pictures of {', '.join(map(str, asked.pictures))} bytes."
    return f"You said: {asked.text}"


def asked_openai(body: dict[str, Any]) -> Asked:
    """Read a chat completion's body."""
    turns: list[dict[str, Any]] = body["messages"]
    parts = _parts([turn for turn in turns if turn["role"] == "user"][-1]["content"])
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    results = [_text(_parts(turn["content"])) for turn in turns if turn["role"] == "tool"]
    tools = body.get("tools") or ()
    schema = (body.get("response_format") or {}).get("type") == "json_schema"
    sizes = tuple(len(base64.b64decode(url.partition("base64,")[2])) for url in pictures)
    tool = _tool(tools[0]["function"], "parameters") if tools else None
    return Asked(_text(parts), sizes, tool, results[-1] if results else None, schema)


def asked_claude(body: dict[str, Any]) -> Asked:
    """Read a message's body."""
    parts = [part for turn in body["messages"] if turn["role"] == "user" for part in _parts(turn["content"])]
    pictures = [part["source"]["data"] for part in parts if part["type"] == "image"]
    results = [_text(_parts(part["content"])) for part in parts if part["type"] == "tool_result"]
    tools = body.get("tools") or ()
    sizes = tuple(len(base64.b64decode(data)) for data in pictures)
    schema = "format" in (body.get("output_config") or {})
    tool = _tool(tools[0], "input_schema") if tools else None
    return Asked(_text(parts), sizes, tool, results[-1] if results else None, schema)


def _tool(tool: dict[str, Any], schema: str) -> Tool:
    """A call with the arguments that the tool takes: some clients ask for an object by way of a tool."""
    arguments = WEIR if "gates" in tool[schema]["properties"] else {"city": CITY}
    return Tool(tool["name"], orjson.dumps(arguments).decode())


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(parts: list[dict[str, Any]]) -> str:
    return "".join(part["text"] for part in parts if part["type"] == "text")


def whole(text: str, call: Tool | None) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if call:
        message["tool_calls"] = [{"id": _ID, "type": "function", "function": call._asdict()}]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    return {"id": "c", "object": "chat.completion", "model": "script", "choices": [choice], "usage": usage}


def openai_events(text: str, call: Tool | None) -> Generator[bytes]:
    """The same as a stream."""
    deltas: list[dict[str, Any]] = [{"content": cut} for cut in cuts(text)]
    if call:
        named = {"index": 0, "id": _ID, "type": "function", "function": {"name": call.name, "arguments": ""}}
        deltas = [{"tool_calls": [named]}]
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": cut}}]} for cut in cuts(call.arguments)
        ]
    full = whole(text, call)
    for delta in [*deltas, None]:
        reason = None if delta else full["choices"][0]["finish_reason"]
        choices = [{"index": 0, "delta": delta or {}, "finish_reason": reason}]
        yield b"data: " + orjson.dumps({"choices": choices, "model": "script"}) + b"\n\n"
    yield b"data: " + orjson.dumps({"choices": [], "usage": full["usage"]}) + b"\n\ndata: [DONE]\n\n"


def claude_whole(text: str, call: Tool | None) -> dict[str, Any]:
    """A message."""
    block: dict[str, Any] = {"type": "text", "text": text}
    if call:
        block = {"type": "tool_use", "id": _ID, "name": call.name, "input": orjson.loads(call.arguments)}
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "script",
        "content": [block],
        "stop_reason": "tool_use" if call else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 5},
    }


def claude_events(text: str, call: Tool | None) -> Generator[bytes]:
    """The same as a stream."""
    full = claude_whole(text, call)
    block = full["content"][0]
    yield _event("message_start", message=full | {"content": [], "stop_reason": None})
    empty = {"input": {}} if call else {"text": ""}
    yield _event("content_block_start", index=0, content_block=block | empty)
    for cut in cuts(call.arguments if call else text):
        key, kind = ("partial_json", "input_json_delta") if call else ("text", "text_delta")
        yield _event("content_block_delta", index=0, delta={"type": kind, key: cut})
    yield _event("content_block_stop", index=0)
    delta = {"stop_reason": full["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": 5})
    yield _event("message_stop")


def _event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: ".encode() + orjson.dumps({"type": name, **fields}) + b"\n\n"


def cuts(text: str) -> list[str]:
    """A text in a few pieces."""
    size = max(1, -(-len(text) // _PIECES))
    return [text[at : at + size] for at in range(0, len(text), size)]


@contextmanager
def scripted_provider() -> Generator[Scripted]:
    """One that serves, on a thread of its own, until the end."""
    found, ready = Scripted(), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with Loopback(found.script) as server:
            found.url = server.url
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="scripted")
    thread.start()
    try:
        assert ready.wait(10)
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
