"""Real workers as processes: started, killed, stopped, woken, and started again as `weir up` does it.

A thread for each waits for the end of its process; spare and back-off are those of `weir up`.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from connectors.bench.facts import Stop
from connectors.process.backoff import Backoff, Failures
from connectors.process.child import Child
from connectors.process.standby import Standby

BACKOFF = Backoff(most=timedelta(milliseconds=200))
"""As `weir up` waits, but never longer than after a first failure: a run has no time for more."""
STEP_S = 0.1
"""Between two looks at the spare."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a worker's process."""

    at_ms: float
    """Unix time in milliseconds."""
    code: int
    """Its exit code; the negative number of the signal that ended it."""


class Worker:
    """One worker and its supervisor thread. With `restart` it comes back whenever its process ends."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        restart: bool = True,
        spare: Standby | None = None,
    ) -> None:
        """Start it.

        Args:
            command: Program and arguments.
            env: Its environment; `WEIR_INSTANCE_ID` is its name where it has one.
            log: File of its output.
            restart: Whether it is started again when it ends.
            spare: Where a process that only waits for the worker's name is taken from.
        """
        name = env.get("WEIR_INSTANCE_ID", "worker")
        self._child = Child(name, tuple(command), env=env, output=log, spare=spare)
        self._failures = Failures(BACKOFF)
        self._wanted = True
        self.restart = restart
        """Whether it is started again when it ends."""
        self.exits: list[Exit] = []
        """How its processes ended, oldest first."""
        self._process = self._start()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._supervise, name="bench-worker", daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started_s = time.monotonic()
        return self._child.launch()

    @property
    def pid(self) -> int:
        """Process id of the present process, or of the last one."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def kill(self) -> Stop:
        """SIGKILL; returns when the process is gone."""
        process, at_ms = self._process, _now_ms()
        process.kill()
        process.wait()
        return Stop(at_ms, _now_ms())

    def freeze(self, seconds: float) -> Stop:
        """SIGSTOP, then SIGCONT after that time."""
        process, at_ms = self._process, _now_ms()
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)
        return Stop(at_ms, _now_ms())

    def terminate(self, timeout_s: float) -> int | None:
        """SIGTERM; the exit code, or `None` when it is still there after that time."""
        process = self._process
        process.terminate()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """Stop it for good: SIGTERM, and SIGKILL after 10 seconds."""
        with self._changed:
            self._wanted = False
            self._changed.notify_all()
        if self.terminate(10) is None:
            self.kill()
        self._thread.join()

    def _supervise(self) -> None:
        while True:
            code = self._process.wait()
            self.exits.append(Exit(_now_ms(), code))
            wait_s = self._failures.after(time.monotonic() - self._started_s, 0)
            with self._changed:
                self._changed.wait_for(lambda: not self._wanted, timeout=wait_s)
                if not (self._wanted and self.restart):
                    return
                self._process = self._start()


@contextlib.contextmanager
def kept(spare: Standby) -> Generator[Standby]:
    """Keep a spare, with a thread of its own, as long as the context lasts."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(STEP_S):
            spare.step()

    thread = threading.Thread(target=run, name="bench-spare", daemon=True)
    thread.start()
    try:
        yield spare
    finally:
        ended.set()
        thread.join()
        spare.close()


def worker_env(bootstrap: Sequence[str], prefix: str, partitions: int, session_ms: int) -> dict[str, str]:
    """The environment of a worker on a run's own topics."""
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(bootstrap),
        "WEIR_TOPIC_PREFIX": prefix,
        "WEIR_PARTITIONS": str(partitions),
        "WEIR_SESSION_MS": str(session_ms),
    }


def end_all(workers: Sequence[Worker]) -> None:
    """Close all of them, at the same time."""
    threads = [threading.Thread(target=worker.close) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        with contextlib.suppress(KeyboardInterrupt):
            thread.join()


def _now_ms() -> float:
    return time.time_ns() / 1e6
