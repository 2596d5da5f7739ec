"""The plugin that stops its worker dead, in a process that may die."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.bench import poison
from connectors.providers.registry import Registry
from schemas.calls import Call, Route
from schemas.requests import Request

SCRIPT = """
import sys
from tests.connectors.bench.test_poison import call_of
from connectors.bench.poison import PoisonCodec
PoisonCodec().encode(call_of(sys.argv[1]))
"""


def call_of(prompt: str) -> Call:
    route = Route("poison:x", "poison", "poison", "x", api_base="http://127.0.0.1:9/v1")
    return Call("r1", Request(prompt=prompt), (), route, None, False, 1)


def encode(prompt: str, log: Path) -> int:
    env = {**os.environ, poison.LOG_VARIABLE: str(log), "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run([sys.executable, "-c", SCRIPT, prompt], env=env, check=False).returncode


def test_poison_ends_the_process_and_is_noted(tmp_path: Path):
    log = tmp_path / "poison.log"

    assert encode(f"{poison.MARK} 1", log) == poison.EXIT_CODE
    assert log.read_text() == "r1\n"


def test_other_prompts_pass(tmp_path: Path):
    request = poison.PoisonCodec().encode(call_of("hello"))

    assert request.url == "http://127.0.0.1:9/v1/chat/completions"


def test_plugin_adds_its_provider():
    registry = Registry()
    poison.register(registry)

    assert poison.NAME in registry.names()


def test_end_without_a_log_file_is_an_end_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    codes: list[int] = []
    monkeypatch.delenv(poison.LOG_VARIABLE, raising=False)
    monkeypatch.setattr(os, "_exit", codes.append)
    poison.PoisonCodec().encode(call_of(poison.MARK))

    monkeypatch.setenv(poison.LOG_VARIABLE, str(tmp_path / "p.log"))
    poison.PoisonCodec().encode(call_of(poison.MARK))

    assert codes == [poison.EXIT_CODE] * 2
    assert (tmp_path / "p.log").read_text() == "r1\n"
