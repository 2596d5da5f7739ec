"""A stand-in for an Ollama server in a thread of its own: tags, ps, show, load, pull, as a test sets them."""

import http.server
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson

from schemas.base import JsonObject

CARD: JsonObject = {
    "details": {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"},
    "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
    "capabilities": ["completion", "tools"],
}
PULLED: list[JsonObject] = [
    {"status": "pulling manifest"},
    {"status": "pulling aa", "digest": "sha256:aabbccddeeff00", "total": 1000},
    *(
        {"status": "pulling aa", "digest": "sha256:aabbccddeeff00", "total": 1000, "completed": done}
        for done in (40, 500, 505, 1000)
    ),
    {"status": "verifying sha256 digest"},
    {"status": "success"},
]


@dataclass(slots=True)
class FakeOllama:
    """What the server has, and what it was asked."""

    url: str = ""
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    """Models on disk with their sizes in bytes."""
    cards: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    """Cards by name; models without one have `CARD`."""
    loaded: set[str] = field(default_factory=set[str])
    pull: list[JsonObject] = field(default_factory=lambda: list(PULLED))
    """Lines of a pull."""
    endless: bool = False
    """Whether a pull's last line is said for ever."""
    asked: list[tuple[str, JsonObject]] = field(default_factory=list[tuple[str, JsonObject]])
    """Paths and bodies, in order."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a client left in the middle of a pull."""

    def reply(self, path: str, body: JsonObject) -> tuple[int, JsonObject]:
        """The answer to all but a pull."""
        if path == "/api/tags":
            return 200, {"models": [_listed(name, size) for name, size in self.sizes.items()]}
        if path == "/api/ps":
            return 200, {"models": [_listed(name, 1) for name in self.loaded]}
        name = str(body.get("model"))
        full = name if ":" in name else f"{name}:latest"
        if full not in self.sizes:
            return 404, {"error": f"model '{name}' not found"}
        if path == "/api/show":
            return 200, self.cards.get(full, CARD)
        self.loaded.add(full)
        return 200, {"model": name, "response": "", "done": True, "done_reason": "load"}


def _listed(name: str, size_bytes: int) -> JsonObject:
    return {"name": name, "model": name, "size": size_bytes}


@contextmanager
def fake_ollama() -> Generator[FakeOllama]:
    """A server that runs, without models."""
    state = FakeOllama()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(orjson.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: JsonObject) -> None:
            state.asked.append((self.path, body))
            if self.path == "/api/pull":
                self._pull()
                return
            status, answer = state.reply(self.path, body)
            text = orjson.dumps(answer)
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _pull(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                for line in state.pull:
                    self.wfile.write(orjson.dumps(line) + b"\n")
                while state.endless:
                    self.wfile.write(orjson.dumps(state.pull[-1]) + b"\n")
                    time.sleep(0.01)
            except ConnectionError:
                state.gone.set()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.endless = False
        server.shutdown()
        thread.join()
        server.server_close()
