"""`make run`: the demo, from nothing to answers and back to nothing."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from flows.cli_demo import ROOT, find_ollama
from flows.demo_questions import MAX_CONTEXT_CHARS, QUESTIONS, document
from tests.support.kafka import requires


@pytest.mark.broker
def test_demo_answers_a_dozen_questions_and_leaves_nothing_running(tmp_path: Path):
    requires("java")
    env = os.environ | {"ONCE": "1", "PYTHONPATH": str(ROOT)}
    env = {
        name: value for name, value in env.items() if not name.startswith(("KAFKA_", "OPENAI_", "OLLAMA_"))
    }

    done = subprocess.run(
        [sys.executable, "-m", "flows.cli_demo"], cwd=tmp_path, env=env, capture_output=True, text=True,
        timeout=110, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for number, question in enumerate(QUESTIONS, start=1):
        assert f"{number}. {question.text}" in done.stdout
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(one.info["cmdline"])]
    assert not (tmp_path / ".weir" / "run" / "state.json").exists()


@pytest.mark.parametrize("name", sorted({one.document for one in QUESTIONS}))
def test_documents_of_the_questions_exist_and_fit(name: str):
    assert 0 < len(document(ROOT, name)) <= MAX_CONTEXT_CHARS


def test_long_document_is_cut_at_the_end_of_a_paragraph(tmp_path: Path):
    (tmp_path / "long.md").write_text("word " * 10_000 + "\n\n" + "more " * 10_000)
    (tmp_path / "dense.md").write_text("x" * (MAX_CONTEXT_CHARS + 1))

    assert document(tmp_path, "long.md") == "word " * 10_000
    assert len(document(tmp_path, "dense.md")) == MAX_CONTEXT_CHARS


class Tags(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def ollama() -> Generator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tags)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"models": [{"name": "llama3.2"}, {"name": "b"}]}', "llama3.2"),
        (b'{"models": []}', None),
        (b"{}", None),
        (b"not json", None),
        (b"[]", None),
    ],
)
def test_local_ollama_is_used_with_its_first_model(
    ollama: str, monkeypatch: pytest.MonkeyPatch, body: bytes, model: str | None
):
    monkeypatch.setattr(Tags, "body", body)
    env: dict[str, str] = {}

    find_ollama(env, ollama)

    assert env.get("OLLAMA_MODEL") == model


def test_configured_provider_is_not_overruled(ollama: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Tags, "body", b'{"models": [{"name": "llama3.2"}]}')
    env = {"OPENAI_API_KEY": "k"}

    find_ollama(env, ollama)

    assert env == {"OPENAI_API_KEY": "k"}


def test_no_ollama_changes_nothing():
    env: dict[str, str] = {}

    find_ollama(env, "http://127.0.0.1:9")

    assert env == {}
