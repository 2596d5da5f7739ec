"""A model's tokenizer from the hub, played by a server on the loopback interface."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from connectors.tokenizers import counter as counters
from connectors.tokenizers import hub
from connectors.tokenizers.errors import TokenizerError
from tests.connectors.tokenizers.test_trial import bytes_tokenizer

original = hub.download
BODY = bytes_tokenizer().to_str().encode()


class Hub(BaseHTTPRequestHandler):
    """Serves one file of one model."""

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(BODY)

    def answer(self, body: bytes) -> None:
        if not self.path.startswith("/acme/model/resolve/"):
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(BODY).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_tokenizer_of_a_hub_model_is_counted_with(endpoint: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "download", lambda name: original(name, endpoint))

    assert counters.build("hub:acme/model@main").count("the the") == 3


def test_unknown_model_is_named(endpoint: str):
    with pytest.raises(TokenizerError, match="acme/other can't be had") as caught:
        hub.download("acme/other", endpoint)
    assert "\n" not in str(caught.value)


def test_wrong_name_is_named(endpoint: str):
    with pytest.raises(TokenizerError, match="a/b/c can't be had"):
        hub.download("a/b/c", endpoint)


def test_hub_that_is_away_is_said_to_be(endpoint: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)

    with pytest.raises(TokenizerError, match="the hub can't be reached for acme/model"):
        hub.download("acme/model", "http://127.0.0.1:9")
