"""Programs that use the gateway as their own API, each a process of its own that is asked line by line."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support import clients_setup
from tests.support.clients_setup import FOLDER
from tests.support.kafka import missing


@dataclass(frozen=True, slots=True)
class Program:
    """One client."""

    name: str
    """Name in the tests."""
    script: tuple[str, ...]
    """Its file under `tests/clients`, and arguments."""
    runner: Callable[[], str]
    """The interpreter that has its packages."""
    api: str = "openai"
    """Whose API it speaks."""
    words: str = "openai"
    """Whose words it answers in."""


def _ours() -> str:
    return sys.executable


def _theirs() -> str:
    return str(clients_setup.python())


def _node() -> str:
    clients_setup.node()
    return "node"


PROGRAMS = {
    program.name: program
    for program in (
        Program("openai-python", ("openai_client.py",), _ours),
        Program("openai-node", ("openai_client.mjs",), _node),
        Program("anthropic-python", ("anthropic_client.py",), _ours, "anthropic", "anthropic"),
        Program("anthropic-node", ("anthropic_client.mjs",), _node, "anthropic", "anthropic"),
        Program("langchain", ("langchain_client.py",), _theirs),
        Program("litellm", ("litellm_client.py",), _theirs),
        Program("litellm-anthropic", ("litellm_client.py", "anthropic"), _theirs, "anthropic"),
    )
}


class Client:
    """A program that runs."""

    def __init__(self, program: Program, url: str, key: str) -> None:
        self.program = program
        try:
            command: Sequence[str] = (program.runner(), str(FOLDER / program.script[0]), *program.script[1:])
        except clients_setup.NotInstalled as reason:
            missing(str(reason))
            raise
        env = os.environ | {"GATEWAY_URL": url, "GATEWAY_KEY": key}
        env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
        if program.script[0].endswith(".mjs"):
            env["CLIENTS_HOME"] = str(clients_setup.home("node"))
        self._process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.verbs: list[str] = self._line()
        """What it can do."""

    def ask(self, verb: str, model: str, text: str = "Hi.", **more: Any) -> dict[str, Any]:
        """Have it do something; what came of it, an error too."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps({"verb": verb, "model": model, "text": text, **more}) + b"\n")
        self._process.stdin.flush()
        return self._line()

    @property
    def ended(self) -> bool:
        """Whether it is no more; what it said is on stderr."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with self._process:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self.program.name} ended; what it said is above"
        return orjson.loads(line)
