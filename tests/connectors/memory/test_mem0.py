"""mem0's own client against a server on the loopback: what it is asked, and what a broken one says."""

import json
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from connectors.kafka.reading import Place, Seen
from connectors.memory import feed as feeding
from connectors.memory.mem0 import KEY, Mem0Memory
from schemas.memories import MemoryPolicy, MemoryProblem, Remembered

ONE = Remembered(tenant="acme", user="ada", id="1", text="green tea", request_id="r", at_ms=1)


class FakeServer(ThreadingHTTPServer):
    """Keeps what is added; finds all of a user."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.broken = False


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        path = self.path.partition("?")[0]
        server = self.server
        server.asked.append((self.command, path, body))
        answer: Any = {}
        if path.endswith("/add/"):
            number = str(len(server.kept) + 1)
            text = body["messages"][0]["content"]
            server.kept[number] = {"id": number, "memory": text, "metadata": body["metadata"]} | body[
                "filters"
            ]
        elif path.endswith("/search/"):
            user = body["filters"]["user_id"]
            answer = {"results": [one for one in server.kept.values() if one["user_id"] == user]}
        elif path == "/v1/ping/":
            answer = {"org_id": "o", "project_id": "p", "user_email": "a@b"}
        elif self.command == "DELETE":
            del server.kept[path.rstrip("/").rpartition("/")[2]]
        elif path == "/v3/memories/":
            answer = {"results": list(server.kept.values())}
        data = json.dumps(answer).encode()
        self.send_response(500 if server.broken else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names of http.server


@pytest.fixture
def server() -> Generator[FakeServer]:
    made = FakeServer()
    thread = Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def memory(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Mem0Memory]:
    monkeypatch.setenv("MEM0_DIR", str(tmp_path))
    url = f"http://127.0.0.1:{server.server_port}"
    made = Mem0Memory(MemoryPolicy(mem0_url=url, mem0_api_key="k"), 5)
    yield made
    made.close()


def test_a_memory_is_added_once_with_its_metadata_and_found_by_its_user(
    memory: Mem0Memory, server: FakeServer
):
    memory.add(ONE.text, ONE)
    memory.add(ONE.text, ONE)

    (added,) = [body for _, path, body in server.asked if path.endswith("/add/")]
    assert added["filters"] == {"user_id": "acme/ada"}
    assert added["metadata"] == {KEY: "acme/ada/1", "request_id": "r", "at_ms": 1}
    assert memory.search("tea", "acme/ada", 5) == [("acme/ada/1", "green tea")]
    assert memory.search("tea", "other/ada", 5) == []
    assert memory.search(" ", "acme/ada", 5) == []


def test_what_is_forgotten_is_gone_and_nothing_else(memory: Mem0Memory, server: FakeServer):
    memory.add(ONE.text, ONE)
    memory.add("other", ONE.model_copy(update={"id": "2"}))
    memory.forget(ONE.key)
    memory.forget("no key")

    assert [one["memory"] for one in server.kept.values()] == ["other"]


def test_telemetry_is_off(memory: Mem0Memory):
    from mem0.memory import telemetry

    assert telemetry.MEM0_TELEMETRY is False
    assert telemetry.client_telemetry.posthog is None


def test_a_server_that_fails_is_a_problem_in_words(memory: Mem0Memory, server: FakeServer):
    server.broken = True
    with pytest.raises(MemoryProblem, match="mem0 does not answer"):
        memory.search("tea", "acme/ada", 5)
    with pytest.raises(MemoryProblem, match="mem0 does not answer"):
        Mem0Memory(MemoryPolicy(mem0_url="http://127.0.0.1:9", mem0_api_key="k"), 1)


def test_a_record_that_is_not_taken_is_tried_again(
    memory: Mem0Memory, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    def mend(_: float) -> None:
        server.broken = False

    monkeypatch.setattr(feeding.time, "sleep", mend)
    server.broken = True
    record = Seen(Place("llm.memories", 0), 0, 1, ONE.key.encode(), ONE.to_bytes(), ())

    assert feeding._taken(record, memory, lambda: True)
    assert [one["memory"] for one in server.kept.values()] == ["green tea"]
    assert not feeding._taken(record, memory, lambda: False)
