"""The state file of `weir up`: what runs, so that `weir down` and `weir status` find it.

A pid alone proves nothing, for pids are used again: a process is ours when pid and start time agree.
"""

import dataclasses
import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from connectors.process.errors import AlreadyUp

_FILE = "state.json"
_SAME_START_S = 2.0
"""Start times that are nearer than this are the same; the system's clock may have been set in between."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process that was started."""

    name: str
    """`up`, `broker`, `worker-0`, ..."""
    pid: int
    """Its process id."""
    started_s: float
    """When it started, Unix time in seconds."""

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        started_s = start_time(self.pid)
        return started_s is not None and abs(started_s - self.started_s) < _SAME_START_S


@dataclass(frozen=True, slots=True)
class RunState:
    """What a `weir up` started."""

    supervisor: ProcessState
    """The `weir up` itself."""
    bootstrap: str
    """Kafka's `host:port`, several with commas."""
    embedded: bool
    """Whether the broker is ours."""
    data: str
    """Folder of the installation."""
    ready: bool
    """Whether everything was started."""
    drain_s: float
    """Longest wait for a worker to end in good order, in seconds."""
    processes: tuple[ProcessState, ...]
    """What it started, in order."""
    gateway: str | None = None
    """Where its gateway listens, as a URL; `None` where there is none."""


def start_time(pid: int) -> float | None:
    """When a process started, Unix time in seconds; `None` where there is none (a zombie is none)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def observe(name: str, pid: int) -> ProcessState:
    """The state of a process that runs now."""
    return ProcessState(name, pid, start_time(pid) or 0.0)


def write(run_dir: Path, state: RunState) -> None:
    """Write the state file, whole or not at all."""
    run_dir.mkdir(parents=True, exist_ok=True)
    work = run_dir / f"{_FILE}.{os.getpid()}"
    work.write_text(json.dumps(dataclasses.asdict(state), indent=1))
    work.replace(run_dir / _FILE)


def read(run_dir: Path) -> RunState | None:
    """The state of the `weir up` that runs now; `None` where none does, or what is written is stale."""
    try:
        fields = json.loads((run_dir / _FILE).read_text())
        fields["supervisor"] = ProcessState(**fields["supervisor"])
        fields["processes"] = tuple(ProcessState(**entry) for entry in fields["processes"])
        state = RunState(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if state.supervisor.alive else None


def clear(run_dir: Path) -> None:
    """Remove the state file."""
    (run_dir / _FILE).unlink(missing_ok=True)


@contextmanager
def only_one(run_dir: Path) -> Generator[None]:
    """Hold the folder for this process; the lock ends with the process, however it ends.

    Raises:
        AlreadyUp: When another process holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            state = read(run_dir)
            who = f" (pid {state.supervisor.pid})" if state else ""
            raise AlreadyUp(f"Weir is up already{who}", hint="stop it with `weir down` first") from error
        yield
