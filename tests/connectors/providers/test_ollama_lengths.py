"""A worker learns at its start how long Ollama's models are."""

import logging
import socket
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.providers import ollama_lengths
from connectors.providers.ollama_lengths import with_lengths
from tests.support.calls import make_route
from tests.support.fake_ollama import FakeOllama, fake_ollama


@pytest.fixture
def server() -> Generator[FakeOllama]:
    with fake_ollama() as found:
        yield found


def test_only_ollamas_models_of_unknown_length_are_asked_for(server: FakeOllama):
    server.sizes = {"a:latest": 1, "b:latest": 1}
    routes = (
        make_route("openai", api_base=server.url),
        make_route("ollama", model="a", api_base=server.url + "/", api_key="k"),
        make_route("ollama", model="b", api_base=server.url, max_input_tokens=100),
    )

    found = with_lengths(routes)

    assert [route.max_input_tokens for route in found] == [None, 131_072, 100]
    assert [route.name for route in found] == [route.name for route in routes]
    assert server.asked == [("/api/show", {"model": "a"})]
    assert with_lengths(found) == found
    assert len(server.asked) == 1


def test_what_is_not_told_stays_unknown(server: FakeOllama, caplog: pytest.LogCaptureFixture, tmp_path: Path):
    caplog.set_level(logging.WARNING)
    server.sizes = {"a:latest": 1}
    server.cards["a:latest"] = {"model_info": {}}
    routes = (
        make_route("ollama", model="a", api_base=server.url),
        make_route("ollama", model="nobody", api_base=server.url),
        make_route("ollama", model="away", api_base="http://127.0.0.1:9"),
        make_route("ollama", model="keyless", api_base=server.url, api_key_file=str(tmp_path / "gone")),
    )

    assert with_lengths(routes) == routes
    assert [record.getMessage().split(":")[1] for record in caplog.records] == ["nobody", "away", "keyless"]
    assert "weir models pull nobody" in caplog.text


def test_a_server_that_says_nothing_stops_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ollama_lengths, "LOOK_S", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        routes = (make_route("ollama", api_base=f"http://127.0.0.1:{silent.getsockname()[1]}"),)

        assert with_lengths(routes) == routes

    assert "no answer within 0.2 s" in caplog.text
