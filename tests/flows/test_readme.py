"""What README.md promises: its code runs, its configuration loads, its commands and links exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from flows import cli
from flows.settings import Settings, load
from tests.support.command import environment
from tests.support.kafka import Topics, requires
from tests.support.worker import running_worker

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.broker
def test_the_consumer_of_the_readme_finds_its_own_answer(topics: Topics, tmp_path: Path):
    (code,) = blocks("python")
    with running_worker(topics.cluster, tmp_path / "worker.log"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | environment(topics.cluster),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert "Ada wrote it in 1843." in done.stdout
    assert len(code.splitlines()) <= 20


@pytest.mark.broker
def test_the_kcat_commands_of_the_readme_ask_and_read(topics: Topics, tmp_path: Path):
    requires("kcat", "bash")
    (block,) = (one for one in blocks("sh") if "kcat" in one)
    cluster = topics.cluster
    script = block.replace("127.0.0.1:19092", cluster.bootstrap[0]).replace(
        "-t llm.", f"-t {cluster.prefix}llm."
    )
    ask, read = script.splitlines()
    with running_worker(cluster, tmp_path / "worker.log"):
        subprocess.run(["bash", "-c", ask], check=True, timeout=30)
        answers: list[str] = []
        for _ in range(100):
            out = subprocess.run(["bash", "-c", read], check=True, timeout=30, capture_output=True).stdout
            answers = [line for line in out.decode().splitlines() if line.startswith("demo-1 ")]
            if answers:
                break

    assert orjson.loads(answers[0].partition(" ")[2])["request_id"] == "demo-1"


def test_the_configurations_of_the_readme_load_without_a_warning(tmp_path: Path):
    texts = blocks("yaml")
    found: list[Settings] = []
    for text in texts:
        (tmp_path / "weir.yaml").write_text(text)
        found.append(
            load(str(tmp_path / "weir.yaml"), {"OPENAI_API_KEY": "k"} if "model_list" in text else {})
        )

    assert [settings.warnings for settings in found] == [()] * len(texts)
    assert [route.model_name for route in found[0].routes][:2] == ["small", "large"]
    assert {settings.outside.references.roots for settings in found} > {()}


def test_every_command_of_the_readme_exists(capsys: pytest.CaptureFixture[str]):
    seconds = "list|search|forget|follow|show|replay|check|render|pull"
    seconds += "|warm|create|rotate|revoke|add|remove|password"
    named = set(re.findall(rf"weir ([a-z]+(?: (?:{seconds}))?)\b", README))
    named -= {"is"}
    assert len(named) >= 15
    for command in named:
        assert cli.run([*command.split(), "--help"]) == 0, command
    assert capsys.readouterr().err == ""


GROUPS = ("dlq", "contexts", "contracts", "models", "keys", "memory", "users")
"""Commands whose second word is a command, too."""


def test_every_option_of_the_readme_exists(capsys: pytest.CaptureFixture[str]):
    for command, rest in re.findall(r"`weir ([a-z]+) ([^`]*)`", README):
        capsys.readouterr()
        words = [command, *rest.split()[:1]] if command in GROUPS else [command]
        assert cli.run([*words, "--help"]) == 0
        shown = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown, (command, option)


def test_every_link_of_the_documents_leads_to_a_file():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / link).exists(), (name, link)


def test_every_make_target_of_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE))

    assert {one or other for one, other in named} <= targets
    assert {"setup", "run", "test", "test-full", "prove", "check", "bench"} <= targets
