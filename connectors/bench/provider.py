"""The fake provider, a process of its own: `python -m connectors.bench.provider --port 0`.

OpenAI's wire on `POST .../chat/completions`, JSON and streaming, and those of Anthropic, Gemini and Ollama
on their paths; beside it `GET /log` (one JSON line a call), `GET /stats` and `POST /reset`. A raw protocol,
so that it takes little of the machine it shares with what is measured. It prints its base URL when it
listens, and ends when its standard input does.
"""

import argparse
import asyncio
import struct
import sys
from collections.abc import Callable
from functools import partial
from socket import SO_LINGER, SOL_SOCKET
from typing import cast
from urllib.parse import unquote

import orjson
import uvloop

from connectors.bench import provider_wire as wire
from connectors.bench.provider_book import Book, Entry
from connectors.bench.provider_faults import Habits, fault_of, wish
from connectors.bench.provider_formats import Format, format_of, wants_stream

MAX_HEAD_BYTES = 64 * 1024


class Connection(asyncio.Protocol):
    """One client connection: one call at a time, keep-alive."""

    def __init__(self, book: Book, habits: Habits) -> None:
        self._book = book
        self._habits = habits
        self._buffer = bytearray()
        self._entry: Entry | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent: bool = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._entry is not None:
            self._book.finish(self._entry, "closed")
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read()

    def resume_writing(self) -> None:
        if self._sent:
            self._end("finished")

    def _read(self) -> None:
        if self._entry is not None:
            return
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                self._drop()
            return
        head = bytes(self._buffer[:head_end])
        length = _header(head, b"content-length")
        end = head_end + 4 + int(length or b"0")
        if len(self._buffer) < end:
            return
        body = bytes(self._buffer[head_end + 4 : end])
        del self._buffer[:end]
        self._serve(head, body, has_length=length is not None)

    def _serve(self, head: bytes, body: bytes, *, has_length: bool) -> None:
        method, path, *_ = head.split(b"\r\n", 1)[0].split(b" ")
        form = format_of(path.decode("latin-1")) if method == b"POST" else None
        if form is not None:
            if not has_length:
                self._write(wire.error(411, "send a content-length"))
                return
            self._call(form, _header(head, b"x-request-id") or b"", body)
        else:
            self._write(self._answer_operator(method, path))
            self._read()

    def _answer_operator(self, method: bytes, path: bytes) -> bytes:
        if method == b"GET" and path == b"/log":
            return wire.response(200, self._book.log(), content_type="application/x-ndjson")
        if method == b"GET" and path == b"/stats":
            return wire.response(200, orjson.dumps(self._book.stats()))
        if method == b"POST" and path == b"/reset":
            self._book.reset()
            return wire.response(200, b"{}")
        return wire.error(404, "no such path")

    def _call(self, form: Format, name: bytes, body: bytes) -> None:
        request_id = unquote(name.decode("utf-8", "replace"))
        self._entry, attempt = self._book.begin(request_id)
        wanted = wish(body, self._habits)
        fault = fault_of(request_id, attempt, self._habits)
        loop = asyncio.get_running_loop()
        if fault is not None:
            self._timer = loop.call_later(min(wanted.latency_s, 0.02), self._fail, fault)
            return
        try:
            asked = cast(dict[str, object], orjson.loads(body))
        except orjson.JSONDecodeError:
            self._write(wire.error(400, "the body is not JSON"))
            self._end("fault")
            return
        usage = wire.usage_of(len(body), wanted.answer_bytes)
        model, text = str(asked.get("model")), wire.text_of(wanted.answer_bytes)
        if wants_stream(form, asked):
            pieces = form.pieces(model, text, usage, self._habits.pieces)
            step_s = wanted.latency_s / len(pieces)
            head = wire.stream_head(form.kind)
            self._timer = loop.call_later(step_s, self._stream, [head, *pieces], step_s)
        else:
            answer = wire.response(200, form.whole(model, text, usage))
            self._timer = loop.call_later(wanted.latency_s, self._finish, answer)

    def _finish(self, answer: bytes) -> None:
        self._sent = True
        self._write(answer)
        self._after_write()

    def _stream(self, pieces: list[bytes], step_s: float) -> None:
        if len(pieces) > 2:
            self._write(pieces[0] + pieces[1])
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(step_s, self._stream, [b"", *pieces[2:]], step_s)
        else:
            self._finish(b"".join(pieces))

    def _fail(self, fault: str) -> None:
        match fault:
            case "reset":
                self._end("fault", read=False)
                self._drop()
            case "cut":
                self._write(wire.response(200, b"{" + b" " * 99)[:-99])
                self._end("fault", read=False)
                self._drop()
            case "429":
                self._write(wire.error(429, "slow down", "retry-after: 1\r\n"))
                self._end("fault")
            case "429ms":
                self._write(wire.error(429, "slow down", "retry-after-ms: 300\r\n"))
                self._end("fault")
            case status:
                self._write(wire.error(int(status), "a fault by seed"))
                self._end("fault")

    def _after_write(self) -> None:
        if self._transport is not None and not self._transport.get_write_buffer_size():
            self._end("finished")

    def _end(self, how: str, *, read: bool = True) -> None:
        if self._entry is not None:
            self._book.finish(self._entry, "finished" if how == "finished" else "fault")
        self._entry, self._sent, self._timer = None, False, None
        if read:
            self._read()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _drop(self) -> None:
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _header(head: bytes, name: bytes) -> bytes | None:
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : len(head) if end < 0 else end].strip()


async def serve(
    port: int, habits: Habits, announce: Callable[[str], object], ended: Callable[[], object]
) -> None:
    """Listen on the loopback until `ended` returns; announce the base URL first."""
    loop = asyncio.get_running_loop()
    book = Book()
    server = await loop.create_server(lambda: Connection(book, habits), "127.0.0.1", port, backlog=4096)
    announce(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await asyncio.to_thread(ended)
    server.close()


def main(arguments: list[str] | None = None) -> None:
    """Read the options and serve."""
    defaults = Habits()
    parser = argparse.ArgumentParser(description="A fake OpenAI-compatible provider for `weir bench`.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=defaults.latency_ms)
    parser.add_argument("--fault-ratio", type=float, default=defaults.fault_ratio)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--answer-bytes", type=int, default=defaults.answer_bytes)
    parser.add_argument("--pieces", type=int, default=defaults.pieces)
    given = parser.parse_args(arguments)
    habits = Habits(given.latency_ms, given.fault_ratio, given.seed, given.answer_bytes, given.pieces)
    uvloop.run(serve(given.port, habits, partial(print, flush=True), sys.stdin.read))


if __name__ == "__main__":
    main()
