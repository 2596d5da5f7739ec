"""Runs commands of `weir` in this process or as a program of its own, against the topics of a test."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest

from flows import cli
from schemas.cluster import Cluster

DEAD = "127.0.0.1:9"
"""An address where no Kafka answers."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    code: int
    """Its exit code."""
    out: str
    """Its stdout."""
    err: str
    """Its stderr."""


def environment(cluster: Cluster) -> dict[str, str]:
    """What points a command at a cluster."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(cluster.bootstrap),
        "WEIR_TOPIC_PREFIX": cluster.prefix,
        "WEIR_PARTITIONS": str(cluster.partitions),
    }


class Weir:
    """The command line, pointed at a cluster."""

    def __init__(
        self, cluster: Cluster, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._env = environment(cluster)
        self._capsys = capsys
        self._started: list[subprocess.Popen[str]] = []
        for name, value in self._env.items():
            patch.setenv(name, value)

    def __call__(self, *args: str) -> Outcome:
        """Run a command in this process."""
        self._capsys.readouterr()
        code = cli.run(list(args))
        return Outcome(code, *self._capsys.readouterr())

    def start(self, *args: str, shell: str = "") -> subprocess.Popen[str]:
        """Start a command as a process; with `shell` its output goes there: `| head -1`."""
        command = [sys.executable, "-m", "flows.cli", *args]
        if shell:
            text = " ".join(f"'{part}'" for part in command)
            command = ["bash", "-c", f"set -o pipefail; {text} {shell}"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, env=os.environ | self._env, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what was started and still runs."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
