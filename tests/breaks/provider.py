"""A provider that does what a story needs: it holds calls until the story lets them go, and remembers all.

A prompt with `hold=N` has the first N calls of its request held; later ones are answered at once.
"""

import re
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote

import orjson

from connectors.bench.facts import CallEnd, ProviderCall
from connectors.bench.provider_wire import completion, response, usage_of

_HOLD = re.compile(r"hold=(\d+)")


class StoryProvider:
    """OpenAI's chat completions on a loopback port, from `__enter__` to `__exit__`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[ProviderCall] = []
        self._seen: dict[str, list[str]] = {}
        self._gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.api_base = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "StoryProvider":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.release(*list(self._gates))

    def release(self, *request_ids: str) -> None:
        """Let the calls of these requests go, those held and those to come."""
        with self._lock:
            for request_id in request_ids:
                self._gates[request_id].set()

    def calls(self, *request_ids: str) -> list[ProviderCall]:
        """All calls so far in the order of their start, or those of some requests."""
        with self._lock:
            return [call for call in self._calls if not request_ids or call.request_id in request_ids]

    def seen(self, request_id: str) -> list[str] | None:
        """Answers of earlier turns that the last call of a request held, oldest first; `None` without one."""
        return self._seen.get(request_id)

    @staticmethod
    def answer(request_id: str) -> str:
        """What every call of a request is answered with."""
        return f"as it should be, {request_id}"

    def begin(self, request_id: str, body: bytes) -> tuple[int, threading.Event | None]:
        """A call came: its number in the log, and what it must wait for."""
        turns = orjson.loads(body)["messages"]
        wanted = _HOLD.search(turns[-1]["content"])  # the history may hold the words of other requests
        with self._lock:
            earlier = sum(1 for call in self._calls if call.request_id == request_id)
            self._seen[request_id] = [turn["content"] for turn in turns if turn["role"] == "assistant"]
            self._calls.append(ProviderCall(request_id, time.time_ns() / 1e6, None, "open"))
            held = wanted is not None and earlier < int(wanted[1])
            return len(self._calls) - 1, self._gates[request_id] if held else None

    def end(self, number: int, how: CallEnd) -> None:
        """A call was answered, or its caller had gone."""
        with self._lock:
            call = self._calls[number]
            self._calls[number] = ProviderCall(call.request_id, call.start_ms, time.time_ns() / 1e6, how)


def _handler(provider: StoryProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request_id = unquote(self.headers["x-request-id"] or "")
            number, gate = provider.begin(request_id, body)
            if gate is not None:
                gate.wait()
            answer = completion("bench", provider.answer(request_id), usage_of(len(body), 16))
            whole = response(200, answer)
            try:
                self.wfile.write(whole)
            except OSError:
                provider.end(number, "closed")
                self.close_connection = True
            else:
                provider.end(number, "finished")

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True  # the caller was killed

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: the story has the log."""

    return Handler
