"""Which models `make run` takes, and the reason that it gives."""

from collections.abc import Generator

import pytest

from flows.cli_demo_models import choose
from flows.settings import load
from tests.support.fake_ollama import FakeOllama, fake_ollama

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Generator[FakeOllama]:
    with fake_ollama() as found:
        yield found


@pytest.mark.parametrize(
    ("variable", "provider", "chooser"),
    [
        ("ANTHROPIC_API_KEY", "anthropic", "WEIR_ANTHROPIC_MODEL"),
        ("GEMINI_API_KEY", "gemini", "WEIR_GEMINI_MODEL"),
        ("GOOGLE_API_KEY", "gemini", "WEIR_GEMINI_MODEL"),
        ("OPENAI_API_KEY", "openai", "WEIR_OPENAI_MODEL"),
    ],
)
def test_a_key_is_used_and_named(server: FakeOllama, variable: str, provider: str, chooser: str):
    server.sizes["llama3.2:latest"] = 1
    env = {variable: "sk-secret"}

    [said] = choose(env, server.url)

    route = load(None, env).catalogue().find("auto")[0]
    assert said == f"{variable} is set: {route.model} ({chooser} names another)"
    assert route.provider == provider
    assert server.asked == []
    assert choose(env | {chooser: "mine"}, AWAY)[0].startswith(f"{variable} is set: mine ")


def test_all_keys_are_used_and_a_named_local_model_comes_first():
    env = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "b", "OLLAMA_MODEL": "m", "OLLAMA_HOST": "box"}

    said = choose(env, AWAY)

    assert [line.split(" ")[0] for line in said] == ["OLLAMA_MODEL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"]
    assert said[0] == "OLLAMA_MODEL is set: m at http://box:11434"
    routes = load(None, env).catalogue().find("auto")
    assert [route.provider for route in routes] == ["ollama", "anthropic", "openai", "extractive"]


def test_a_local_ollama_is_used_with_its_first_model_that_chats(server: FakeOllama):
    server.sizes = {"embed:latest": 1, "llama3.2:latest": 2, "other:latest": 3}
    server.cards["embed:latest"] = {"capabilities": ["embedding"], "model_info": {}}
    env: dict[str, str] = {}

    [said] = choose(env, server.url)

    assert said == f"Ollama answers at {server.url}: llama3.2:latest (OLLAMA_MODEL names another)"
    route = load(None, env).catalogue().find("auto")[0]
    assert (route.name, route.api_base) == ("ollama:llama3.2:latest", server.url)


def test_the_ollama_that_is_named_is_asked(server: FakeOllama):
    server.sizes["llama3.2:latest"] = 1

    [said] = choose({"OLLAMA_HOST": server.url}, AWAY)

    assert server.url in said


def test_an_ollama_without_a_chat_model_says_what_to_pull(server: FakeOllama):
    env: dict[str, str] = {}

    [said] = choose(env, server.url)

    assert "has no chat model (`weir models pull llama3.2`): the embedded model" in said
    assert env == {}


def test_a_model_that_was_removed_meanwhile_is_left_out(server: FakeOllama, monkeypatch: pytest.MonkeyPatch):
    listed = FakeOllama.reply

    def reply(self: FakeOllama, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        answer = listed(self, path, body)
        self.sizes.pop("gone:latest", None)
        return answer

    server.sizes = {"gone:latest": 1, "llama3.2:latest": 2}
    monkeypatch.setattr(FakeOllama, "reply", reply)

    assert "llama3.2:latest" in choose({}, server.url)[0]


def test_without_any_the_embedded_model_is_named():
    env: dict[str, str] = {}

    [said] = choose(env, AWAY)

    assert said.startswith(f"no key is set and no Ollama answers at {AWAY}: the embedded model")
    assert env == {}


def test_a_configuration_is_not_overruled(server: FakeOllama):
    env = {"WEIR_CONFIG": "weir.yaml", "OPENAI_API_KEY": "k"}

    assert choose(env, server.url) == ["the models of weir.yaml (WEIR_CONFIG)"]
    assert server.asked == []
