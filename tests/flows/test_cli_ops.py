"""`weir up`, `down`, `status`, `worker`, and how every command behaves at its edges."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner

from connectors.kafka.clients import probe
from connectors.kafka.errors import BrokerDown
from connectors.kafka.ports import free_port
from connectors.process import state
from flows.cli import app, run
from schemas.cluster import Cluster
from tests.support.kafka import requires

WEIR = (sys.executable, "-m", "flows.cli")
COMMANDS = [
    "up",
    "down",
    "status",
    "worker",
    "gateway",
    "ask",
    "cancel",
    "submit",
    "tail",
    "trace",
    "lag",
    "dlq",
    "contexts",
    "contracts",
    "bench",
]


def _env(**more: str) -> dict[str, str]:
    """Our environment without settings of Weir or Kafka."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEIR_", "KAFKA_"))}
    if "WEIR_CACHE" in os.environ:
        kept["WEIR_CACHE"] = os.environ["WEIR_CACHE"]
    return kept | more


def _weir(*args: str, timeout_s: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WEIR, *args], capture_output=True, text=True, timeout=timeout_s, check=False, env=_env(**env)
    )


def _nowhere() -> str:
    return f"127.0.0.1:{free_port()}"


def _wait(is_so: Callable[[], bool], seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end_s:
        time.sleep(0.05)


def test_help_names_every_command_and_each_has_its_own():
    listing = CliRunner().invoke(app, [])

    assert listing.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in listing.stdout
        found = CliRunner().invoke(app, [command, "--help"])
        assert (found.exit_code, found.stdout.startswith(f"Usage: weir {command}")) == (0, True)


def test_version_is_printed():
    assert CliRunner().invoke(app, ["--version"]).stdout.strip().count(".") == 2


@pytest.mark.parametrize("args", [["no-such"], ["up", "--no-such"], ["up", "--port", "x"]])
def test_wrong_use_is_one_line_and_exit_code_two(args: list[str], capsys: pytest.CaptureFixture[str]):
    code = run(args)

    told = capsys.readouterr()
    assert code == 2
    assert told.out == ""
    assert told.err.startswith("weir: ")
    assert told.err.count("\n") == 1


def test_status_with_nothing_running_says_so_with_exit_code_one(tmp_path: Path):
    address = _nowhere()

    done = _weir("status", "--data", str(tmp_path), KAFKA_BOOTSTRAP_SERVERS=address)
    as_json = _weir("status", "--json", "--data", str(tmp_path), KAFKA_BOOTSTRAP_SERVERS=address)

    assert (done.returncode, done.stderr) == (1, "")
    assert f"no Kafka at {address}" in done.stdout
    assert "no `weir up` runs on this folder" in done.stdout
    found = json.loads(as_json.stdout)
    assert (as_json.returncode, found["up"], found["processes"], found["lag"]) == (1, False, [], None)


def test_down_with_nothing_running_is_no_error_and_removes_a_stale_state(tmp_path: Path):
    run_dir = tmp_path / "run"
    dead = state.ProcessState("up", 2**22 + 1, 1.0)
    state.write(run_dir, state.RunState(dead, "127.0.0.1:1", True, str(tmp_path), True, 30.0, ()))

    done = _weir("down", "--data", str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "nothing runs here\n")
    assert list(run_dir.iterdir()) == []


@pytest.mark.parametrize("command", ["up", "worker"])
def test_broker_that_is_down_is_one_line(command: str, tmp_path: Path):
    address = _nowhere()
    args = [command, "--data", str(tmp_path)] if command == "up" else [command]

    done = _weir(*args, KAFKA_BOOTSTRAP_SERVERS=address)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"weir: no Kafka at {address}")
    assert "Traceback" not in done.stderr


def test_worker_program_of_its_own_says_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli_worker", "--config", "/no/such.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=_env(),
    )

    assert done.returncode == 1
    assert done.stderr.startswith("weir: ")
    assert done.stderr.count("\n") == 1


def test_no_java_is_one_line_that_says_what_to_install(tmp_path: Path):
    done = _weir("up", "--data", str(tmp_path), "--port", str(free_port()), PATH=str(tmp_path), JAVA_HOME="")

    assert done.returncode == 1
    assert done.stderr.startswith("weir: the embedded broker needs Java 17 or newer; install it")
    assert done.stderr.count("\n") == 1
    assert not state.read(tmp_path / "run")


def test_output_piped_into_a_program_that_ends_is_quiet():
    helped = f"{' '.join(WEIR)} --help | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    shown = f"{' '.join(WEIR)} status --json | true; echo ${{PIPESTATUS[0]}}"
    for line in (helped, shown):
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=_env(KAFKA_BOOTSTRAP_SERVERS=_nowhere()),
        )

        assert done.stderr == ""
        assert done.stdout.strip() in {"0", "1"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, state.RunState]]:
    """A detached `weir up` with two workers on a broker of its own."""
    requires("java", "mvn")
    home = tmp_path_factory.mktemp("up")
    done = _weir(
        "up", "--detach", "--workers", "2", "--port", "0", "--data", str(home), WEIR_PARTITIONS="2",
        WEIR_GATEWAY_PORT="0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (home / "said").write_text(done.stderr)
    current = state.read(home / "run")
    assert current is not None
    yield home, current
    if (left := state.read(home / "run")) is not None:
        os.kill(left.supervisor.pid, signal.SIGKILL)


@pytest.mark.broker
class TestUp:
    """One installation, in order: up, killed parts come back, down."""

    def test_detached_up_returns_when_broker_and_workers_run(self, up: tuple[Path, state.RunState]):
        home, current = up

        found = json.loads(_weir("status", "--json", "--data", str(home)).stdout)

        probe(Cluster((current.bootstrap,)))
        names = [process["name"] for process in found["processes"] if process["name"] != "spare"]
        assert names == ["up", "broker", "worker-0", "worker-1", "gateway"]
        assert all(process["alive"] for process in found["processes"])
        assert (found["up"], found["kafka"], found["bootstrap"]) == (True, "answers", current.bootstrap)

    def test_gateway_answers_to_the_key_that_up_showed_once(self, up: tuple[Path, state.RunState]):
        home, current = up
        assert current.gateway is not None
        key = next(
            line.split()[-1] for line in (home / "said").read_text().splitlines() if "shown once" in line
        )
        asked = Request(f"{current.gateway}/api/me", headers={"authorization": f"Bearer {key}"})
        _wait(lambda: _listens(current.gateway or ""), 20)

        with urlopen(asked, timeout=5) as answer:
            assert json.loads(answer.read())["scopes"] == ["admin"]
        assert f"gateway at {current.gateway}" in (home / "said").read_text()
        written = [*(home / "log").iterdir(), *(home / "run").iterdir()]
        assert not [path for path in written if key in path.read_text(errors="replace")]

    @pytest.mark.parametrize("how", [[], ["--detach"]])
    def test_second_up_on_the_same_folder_is_refused(self, up: tuple[Path, state.RunState], how: list[str]):
        home, current = up

        done = _weir("up", *how, "--data", str(home))

        pid = current.supervisor.pid
        assert done.returncode == 1
        assert done.stderr == f"weir: Weir is up already (pid {pid}); stop it with `weir down` first\n"

    def test_killed_broker_and_worker_are_started_again(self, up: tuple[Path, state.RunState]):
        home, current = up
        before = {one.name: one.pid for one in current.processes if one.name != "spare"}
        os.kill(before["worker-1"], signal.SIGKILL)
        os.kill(before["broker"], signal.SIGKILL)

        def again() -> dict[str, int]:
            now = state.read(home / "run")
            assert now is not None
            return {process.name: process.pid for process in now.processes if process.alive}

        def recovered() -> bool:
            now = again()
            changed = [now.get(name, before[name]) != before[name] for name in ("broker", "worker-1")]
            return set(before) <= set(now) and all(changed) and _answers(current.bootstrap)

        _wait(recovered, 60)

        assert recovered()
        assert "broker: ended with SIGKILL (exit code -9); starts again" in (home / "run/up.log").read_text()

    def test_down_stops_everything_workers_first(self, up: tuple[Path, state.RunState]):
        home, _ = up
        current = state.read(home / "run")
        assert current is not None

        done = _weir("down", "--data", str(home))

        log = (home / "run" / "up.log").read_text()
        assert done.returncode == 0, done.stderr
        assert not [process.name for process in current.processes if process.alive]
        assert log.index("worker-0: stopped") < log.index("broker: stopped")
        assert state.read(home / "run") is None


def _listens(url: str) -> bool:
    try:
        urlopen(f"{url}/healthz", timeout=5).close()
    except OSError:
        return False
    return True


def _answers(bootstrap: str) -> bool:
    try:
        probe(Cluster((bootstrap,)))
    except BrokerDown:
        return False
    return True
