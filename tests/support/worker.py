"""Real workers for tests: `weir worker` as a process on the topics of a test."""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from connectors.kafka.offsets import group_state
from schemas.cluster import Cluster
from tests.support.command import environment

READY_S = 30.0
"""Longest wait until a worker has its partitions."""


@contextmanager
def running_worker(cluster: Cluster, log: Path, **env: str) -> Generator[subprocess.Popen[bytes]]:
    """A worker that serves; at the end it is stopped in good order, or killed after 15 s."""
    own = {"WEIR_SESSION_MS": "2000", "WEIR_CONVERSATIONS_FOLDER": str(log.parent / "turns")}
    settings = os.environ | environment(cluster) | own | env
    before = set(group_state(cluster).members)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "worker"], env=settings, stdout=output, stderr=output
        )
    try:
        end_s = time.monotonic() + READY_S
        while True:
            group = group_state(cluster)
            if group.state == "Stable" and set(group.members) - before:
                break
            assert process.poll() is None, f"the worker ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < end_s, f"the worker isn't ready: {log.read_text()[-2000:]}"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
