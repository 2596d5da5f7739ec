"""The operators' commands from inside: signals, detaching, and ends that are not orderly."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from connectors.kafka.ports import free_port
from connectors.process import state
from connectors.process.errors import NotReady
from connectors.process.standby import Role
from flows import cli_errors, cli_ops, cli_worker
from flows.cli import run
from schemas.cluster import Cluster
from tests.support.kafka import Topics


class FakeStack:
    """A stack that sends signals to the test instead of running anything."""

    cluster = Cluster(("127.0.0.1:1",))

    def __init__(self, in_start: int = 0, in_run: int = signal.SIGTERM, in_stop: int = 0) -> None:
        self.in_start, self.in_run, self.in_stop = in_start, in_run, in_stop
        self.hurried: bool | None = None

    def start(self) -> None:
        _send(self.in_start)

    def run(self, stop: threading.Event) -> None:
        _send(self.in_run)
        assert stop.wait(5)

    def stop(self, hurry: threading.Event) -> None:
        _send(self.in_stop)
        self.hurried = hurry.is_set()


def _send(number: int) -> None:
    if number:
        os.kill(os.getpid(), number)
        time.sleep(0.01)


@pytest.fixture
def handlers() -> Generator[None]:
    """Puts the signal handlers back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("second", "hurried"), [(0, False), (signal.SIGINT, True)])
def test_one_signal_stops_and_a_second_hurries(second: int, hurried: bool):
    stack = FakeStack(in_stop=second)

    cli_ops._run(stack)  # type: ignore[arg-type]

    assert stack.hurried is hurried


@pytest.mark.usefixtures("handlers")
def test_signal_while_it_starts_ends_it_at_once():
    with pytest.raises(KeyboardInterrupt):
        cli_ops._run(FakeStack(in_start=signal.SIGTERM))  # type: ignore[arg-type]


def _child(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(cli_ops, "weir_command", lambda *args: (sys.executable, "-c", script, *args))


READY = """
import os, pathlib, sys, time
from connectors.process import state
home = pathlib.Path(sys.argv[sys.argv.index("--data") + 1])
print("a line of it", flush=True)
run = state.RunState(state.observe("up", os.getpid()), "127.0.0.1:1", False, str(home), True, DRAIN, ())
state.write(home / "run", run)
time.sleep(60)
"""


def test_detached_up_passes_lines_on_and_down_kills_what_does_not_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    _child(monkeypatch, deaf + READY.replace("DRAIN", "-29.8"))

    code = run(["up", "--detach", "--data", str(tmp_path)])
    current = state.read(tmp_path / "run")
    stopped = run(["down", "--data", str(tmp_path)])

    told = capsys.readouterr().err
    assert (code, stopped) == (0, 1)
    assert "a line of it" in told
    assert current is not None
    assert f"pid {current.supervisor.pid} did not stop in 0.2 s and was killed" in told
    assert not current.supervisor.alive
    os.waitpid(current.supervisor.pid, 0)


def test_detached_up_that_ends_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    _child(monkeypatch, "import sys; sys.exit('no luck')")

    code = run(["up", "--detach", "--data", str(tmp_path), "--config", "/dev/null"])

    assert code == 1
    assert capsys.readouterr().err.splitlines() == [
        "no luck",
        f"weir: weir up ended with exit code 1; see {tmp_path}/run/up.log",
    ]


def test_detached_up_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[subprocess.Popen[bytes]] = []

    def popen(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"]))
        return started[0]

    monkeypatch.setattr(cli_ops, "DETACH_TIMEOUT_S", 0.2)
    monkeypatch.setattr(cli_ops, "start_detached", popen)

    with pytest.raises(NotReady, match=r"not ready after 0\.2 s"):
        cli_ops._up_detached(tmp_path, 1, 0, None)

    assert started[0].wait(5) == -signal.SIGTERM


@pytest.mark.broker
def test_status_shows_processes_group_and_lag(
    tmp_path: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("WEIR_TOPIC_PREFIX", topics.cluster.prefix)
    ours = state.observe("up", os.getpid())
    dead = state.ProcessState("worker-0", 2**22 + 1, 1.0)
    seen = state.RunState(ours, topics.cluster.bootstrap[0], True, str(tmp_path), True, 30.0, (dead,))
    state.write(tmp_path / "run", seen)

    code = run(["status", "--data", str(tmp_path)])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0] == f"kafka     {topics.cluster.bootstrap[0]}  answers"
    assert lines[1].startswith(f"up        pid {os.getpid()}  up ")
    assert lines[2] == f"worker-0  pid {2**22 + 1}  dead"
    assert lines[3] == "group     Dead, 0 members, 0 requests waiting"


def test_worker_gets_its_name_and_its_exit_code_is_passed_on(monkeypatch: pytest.MonkeyPatch):
    seen: list[str | None] = []

    def run_worker(settings: cli_ops.Settings) -> int:
        seen.append(settings.delivery.instance_id)
        return 7

    monkeypatch.setattr("flows.app.run_worker", run_worker)

    assert run(["worker", "--instance-id", "worker-3"]) == 7
    assert cli_worker.main([]) == 7
    assert seen == ["worker-3", None]


def test_spare_is_warm_before_it_has_a_role_and_then_serves_under_that_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    seen: list[str | None] = []

    class Roles(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            seen.append("asked")
            return super().readline(size)

    def run_worker(settings: cli_ops.Settings) -> int:
        seen.append(settings.delivery.instance_id)
        return 7

    monkeypatch.setattr("flows.app.warm", lambda settings: seen.append("warm"))
    monkeypatch.setattr("flows.app.run_worker", run_worker)

    assert cli_worker.stand_by(None, Roles(Role("worker-3").line())) == 7
    assert cli_worker.stand_by(None, Roles(b"")) == 0
    assert seen == ["warm", "asked", "worker-3", "warm", "asked"]


def test_spare_program_ends_with_zero_when_its_stdin_does(tmp_path: Path):
    command = [sys.executable, "-m", "flows.cli_worker", "--standby"]
    env = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}

    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, env=env
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_up_without_a_broker_fails_in_one_line_and_leaves_no_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")

    assert run(["up", "--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("weir: no Kafka at ")
    assert state.read(tmp_path / "run") is None


def test_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch):
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert cli_errors.guarded(interrupted) == 130


def test_reader_that_is_gone_is_quiet():
    script = "import sys; from flows.cli_errors import guarded\n"
    script += "def work():\n    print('x' * 100000, flush=True)\n    return 0\nsys.exit(guarded(work))"
    ended = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ended.stdout is not None
    ended.stdout.close()

    assert ended.stderr is not None
    told = ended.stderr.read()
    ended.stderr.close()

    assert ended.wait(30) == cli_errors.BROKEN_PIPE
    assert told == b""
