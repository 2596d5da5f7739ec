"""A real Ollama with the tiny model, on a loopback port, for tests. Skips visibly where there is none.

With `CI=true` one that is not there is a failure, unless the machine has no Go to build it with. Each server
has a folder and a port of its own.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import ollama
import psutil
import pytest

from tests.support import tiny_model
from tests.support.kafka import missing
from tests.support.ollama_build import BUILD_TIMEOUT_S, NoGo, NotBuilt, binary

MODEL = "tiny"
"""Name of the tiny model."""
READY_S = 20.0
needs_ollama = pytest.mark.timeout(BUILD_TIMEOUT_S + 120)
"""Marks tests on a real Ollama: the first one may have to wait until it is built."""


class RealOllama:
    """A server that runs, with the tiny model."""

    def __init__(self, home: Path, program: Path) -> None:
        self.home = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = home / "ollama.log"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; the model outlives a restart."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("OLLAMA_")}
        env |= {
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(self.home / "models"),
            "OLLAMA_NUM_PARALLEL": "1",
            "HOME": str(self.home),
        }
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "serve"], env=env, stdout=output, stderr=output, start_new_session=True
            )
        end_s = time.monotonic() + READY_S
        while True:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end_s, f"Ollama is not ready: {self.log()[-2000:]}"
            time.sleep(0.05)

    def make_model(self) -> None:
        """Write the tiny model and hand it to the server."""
        file = self.home / "tiny.gguf"
        tiny_model.write(file)
        client = ollama.Client(host=self.url, timeout=READY_S)
        try:
            digest = client.create_blob(file)
            client.create(
                model=MODEL,
                files={file.name: digest},
                template=tiny_model.TEMPLATE,
                parameters={"num_thread": 1},
            )
        finally:
            client.close()

    def stop(self) -> None:
        """Kill it with all its children, as a machine that goes down would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace")

    def work_s(self) -> float:
        """CPU time that its processes used so far, in seconds."""
        assert self._process is not None
        serving = psutil.Process(self._process.pid)
        times = [one.cpu_times() for one in (serving, *serving.children(recursive=True))]
        return sum(each.user + each.system for each in times)


@contextmanager
def running_ollama(home: Path) -> Generator[RealOllama]:
    """A server of one's own; killed at the end."""
    try:
        server = RealOllama(home, binary())
    except NoGo as reason:
        pytest.skip(str(reason))
    except NotBuilt as reason:
        missing(str(reason))
        raise
    try:
        server.start()
        server.make_model()
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
