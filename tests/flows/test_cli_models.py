"""`weir models`: list, pull, warm and show, against a stand-in and a real Ollama."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
import yaml

from flows import cli
from flows.cli_errors import INTERRUPTED
from flows.cli_models import size_text
from tests.support.command import Outcome
from tests.support.fake_ollama import FakeOllama, fake_ollama
from tests.support.real_ollama import MODEL, needs_ollama, running_ollama

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeOllama]:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    with fake_ollama() as found:
        yield found


class Weir:
    """The command line with a configuration of these models."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = home / "weir.yaml"
        self._capsys = capsys

    def configure(self, *entries: tuple[str, dict[str, object], dict[str, object]]) -> None:
        models = [
            {"model_name": name, "litellm_params": params, "model_info": info}
            for name, params, info in entries
        ]
        self.config.write_text(yaml.safe_dump({"model_list": models}))

    def __call__(self, *args: str) -> Outcome:
        self._capsys.readouterr()
        code = cli.run(["models", *args, "--config", str(self.config)])
        return Outcome(code, *self._capsys.readouterr())


@pytest.fixture
def weir(tmp_path: Path, server: FakeOllama, capsys: pytest.CaptureFixture[str]) -> Weir:
    """With a small local model, one that is missing, and one of OpenAI."""
    found = Weir(tmp_path, capsys)
    local = {"api_base": server.url}
    found.configure(
        ("small", {"model": "ollama/llama3.2", "keep_alive": "5m", **local}, {}),
        ("missing", {"model": "ollama/nobody", **local}, {}),
        (
            "large",
            {"model": "openai/gpt-5-mini", "api_key": "k"},
            {"max_input_tokens": 272_000, "input_cost_per_token": 2.5e-7, "output_cost_per_token": 2e-6},
        ),
    )
    return found


def test_a_list_shows_every_model_and_what_the_server_has(weir: Weir, server: FakeOllama):
    server.sizes = {"llama3.2:latest": 2_019_393_189, "other:1b": 50_000_000}
    server.loaded = {"llama3.2:latest"}

    done = weir("list", "--json")
    rows = {row["model_name"]: row for row in json.loads(done.out)}

    assert (done.code, done.err) == (0, "")
    assert list(rows) == ["small", "missing", "large", "extractive", "other:1b"]
    assert {name: row["state"] for name, row in rows.items()} == {
        "small": "loaded", "missing": "missing", "large": "remote", "extractive": "embedded",
        "other:1b": "not configured",
    }  # fmt: skip
    assert rows["small"] | {"model_name": "", "state": ""} == {
        "model_name": "", "state": "", "route": "ollama:llama3.2", "provider": "ollama", "model": "llama3.2",
        "window_tokens": 131_072, "max_output_tokens": None, "input_cost_usd": 0.0, "output_cost_usd": 0.0,
        "size_bytes": 2_019_393_189, "loaded": True, "server": server.url,
    }  # fmt: skip
    assert (rows["large"]["window_tokens"], rows["large"]["input_cost_usd"]) == (272_000, 2.5e-7)
    assert rows["other:1b"]["loaded"] is False


def test_a_list_for_people_has_prices_and_sizes(
    weir: Weir, server: FakeOllama, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "160")
    server.sizes = {"llama3.2:latest": 2_019_393_189}

    done = weir("list")

    lines = {line.split("│")[1].strip(): line for line in done.out.splitlines() if "│" in line}
    assert "2.0 GB" in lines["small"]
    assert "131,072" in lines["small"]
    assert "there" in lines["small"]
    assert "0.25 / 2" in lines["large"]


def test_a_server_that_is_away_is_said_and_stops_nothing(weir: Weir):
    weir.configure(("small", {"model": "ollama/llama3.2", "api_base": AWAY}, {}))

    done = weir("list", "--json")

    assert done.code == 0
    assert f"server at {AWAY} does not answer" in done.err
    assert [row["state"] for row in json.loads(done.out)] == ["server away", "embedded"]


def test_a_key_file_that_is_gone_is_said(weir: Weir, server: FakeOllama, tmp_path: Path):
    gone = tmp_path / "gone"
    params = {"model": "ollama/llama3.2", "api_base": server.url, "api_key": f"file:{gone}"}
    weir.configure(("small", params, {}))

    assert str(gone) in weir("list").err
    assert weir("show", "small").code == 1


def test_the_server_of_the_environment_is_listed_too(
    weir: Weir, server: FakeOllama, monkeypatch: pytest.MonkeyPatch
):
    weir.configure(("large", {"model": "openai/gpt-5-mini", "api_key": "k"}, {}))
    server.sizes = {"other:1b": 1}
    monkeypatch.setenv("OLLAMA_HOST", server.url)

    rows = json.loads(weir("list", "--json").out)

    assert [row["model_name"] for row in rows] == ["large", "extractive", "other:1b"]


def test_a_pull_tells_each_step_once_where_nobody_watches(weir: Weir, server: FakeOllama):
    done = weir("pull", "small")

    assert done.code == 0
    assert done.out == ""
    assert done.err.splitlines() == [
        "llama3.2: pulling manifest",
        "llama3.2: aabbccddeeff 0 %",
        "llama3.2: aabbccddeeff 50 %",
        "llama3.2: aabbccddeeff 100 %",
        "llama3.2: verifying sha256 digest",
        "llama3.2: success",
        f"llama3.2 is there, at {server.url}",
    ]
    assert server.asked == [("/api/pull", {"model": "llama3.2", "stream": True, "insecure": False})]


def test_a_pull_for_programs_is_a_line_of_json_for_each_step(weir: Weir):
    lines = [json.loads(line) for line in weir("pull", "small", "--json").out.splitlines()]

    assert (lines[0]["status"], lines[-1]["status"]) == ("pulling manifest", "success")
    assert [line["completed_bytes"] for line in lines if line["digest"]] == [0, 500, 1000]
    assert {line["model"] for line in lines} == {"llama3.2"}


def test_a_pull_on_a_terminal_has_bars(weir: Weir, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")

    done = weir("pull", "small")

    assert "llama3.2: pulling manifest" in done.err
    assert "aabbccddeeff" in done.err
    assert "1.0/1.0 kB" in done.err


def test_any_name_is_pulled_to_the_named_server(weir: Weir, server: FakeOllama):
    assert weir("pull", "qwen3:4b", "--server", server.url).code == 0
    assert server.asked[0][1]["model"] == "qwen3:4b"


def test_a_pull_that_fails_says_why(weir: Weir, server: FakeOllama):
    server.pull = [{"error": "pull model manifest: file does not exist"}]

    done = weir("pull", "small")

    assert done.code == 1
    assert done.err == "weir: the pull failed: pull model manifest: file does not exist\n"


def test_an_interrupted_pull_leaves_the_server_at_once_and_says_how_to_go_on(weir: Weir, server: FakeOllama):
    server.pull, server.endless = server.pull[:3], True
    command = [sys.executable, "-m", "flows.cli", "models", "pull", "small", "--config", str(weir.config)]
    pulling = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert pulling.stderr is not None
    assert "pulling manifest" in pulling.stderr.readline()
    pulling.send_signal(signal.SIGINT)
    _, rest = pulling.communicate(timeout=20)

    assert pulling.returncode == INTERRUPTED
    assert rest.splitlines()[-1] == "stopped; pull again to go on"
    assert server.gone.wait(5)


def test_a_model_of_another_provider_can_not_be_pulled(weir: Weir):
    done = weir("pull", "large")

    assert (done.code, done.err) == (1, "weir: `large` is no model of Ollama's but of openai\n")


def test_warming_loads_a_model_with_the_window_of_small_calls(weir: Weir, server: FakeOllama):
    server.sizes = {"llama3.2:latest": 1}

    done = weir("warm", "small")

    assert done.code == 0
    assert done.out.startswith("llama3.2  loaded in ")
    [(path, body)] = server.asked
    assert path == "/api/generate"
    assert (body["options"], body["keep_alive"]) == ({"num_ctx": 2048}, "5m")


def test_warming_takes_all_configured_ones_and_the_routes_own_window(weir: Weir, server: FakeOllama):
    server.sizes = {"a:latest": 1, "b:latest": 1}
    local: dict[str, object] = {"api_base": server.url}
    weir.configure(
        ("a", {"model": "ollama/a", "num_ctx": 4096, **local}, {}),
        ("b", {"model": "ollama/b", **local}, {"max_input_tokens": 1024}),
        ("again", {"model": "ollama/a", **local}, {}),
    )

    lines = [json.loads(line) for line in weir("warm", "--json").out.splitlines()]

    assert [line["model"] for line in lines] == ["a", "b"]
    assert [body["options"]["num_ctx"] for _, body in server.asked] == [4096, 1024]


def test_warming_what_is_not_there_says_what_to_pull(weir: Weir):
    done = weir("warm", "missing")

    assert done.code == 1
    assert done.err == "weir: the server has no model `nobody`: pull it with `weir models pull nobody`\n"


def test_warming_nothing_is_an_error(weir: Weir):
    weir.configure(("large", {"model": "openai/gpt-5-mini", "api_key": "k"}, {}))

    assert weir("warm").err == "weir: no Ollama model is configured; name one\n"


def test_a_model_is_shown_with_what_its_server_says(weir: Weir, server: FakeOllama):
    server.sizes = {"llama3.2:latest": 1}

    [facts] = json.loads(weir("show", "small", "--json").out)
    text = weir("show", "small").out

    assert (facts["route"], facts["length_tokens"]) == ("ollama:llama3.2", 131_072)
    assert facts["capabilities"] == "completion, tools"
    assert "quantization       Q4_K_M" in text
    assert "max_input_tokens" not in text


def test_a_model_that_is_not_configured_is_shown_by_its_server(weir: Weir, server: FakeOllama):
    server.sizes = {"other:1b": 1}

    [facts] = json.loads(weir("show", "other:1b", "--server", server.url, "--json").out)

    assert (facts["model"], facts["family"]) == ("other:1b", "llama")


def test_a_model_of_another_provider_is_shown_by_its_configuration(weir: Weir, server: FakeOllama):
    [facts] = json.loads(weir("show", "large", "--json").out)

    assert (facts["route"], facts["max_input_tokens"]) == ("openai:gpt-5-mini", 272_000)
    assert server.asked == []


def test_sizes_are_in_the_unit_that_fits():
    assert [size_text(size) for size in (None, 1_826_624, 2_019_393_189)] == ["-", "1.8 MB", "2.0 GB"]


@needs_ollama
def test_a_real_server_is_listed_warmed_and_shown(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weir = Weir(tmp_path, capsys)
    with running_ollama(tmp_path_factory.mktemp("ollama")) as real:
        weir.configure(("local", {"model": f"ollama/{MODEL}", "api_base": real.url}, {}))
        before = json.loads(weir("list", "--json").out)[0]
        warmed = json.loads(weir("warm", "--json").out)
        after = json.loads(weir("list", "--json").out)[0]
        [card] = json.loads(weir("show", "local", "--json").out)
        start_s = time.monotonic()
        pulled = weir("pull", f"127.0.0.1:{real.port}/nobody/nothing")

    assert (before["state"], after["state"]) == ("there", "loaded")
    assert before["window_tokens"] == card["length_tokens"] == 8192
    assert (warmed["model"], warmed["server"]) == (MODEL, real.url)
    assert pulled.code == 1
    assert time.monotonic() - start_s < 30
