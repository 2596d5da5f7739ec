"""The state file: written whole, believed only while its process lives."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.process import state
from connectors.process.errors import AlreadyUp, NotReady, ProcessProblem


def _state(supervisor: state.ProcessState) -> state.RunState:
    worker = state.ProcessState("worker-0", 2**22 + 1, 1.0)
    return state.RunState(supervisor, "127.0.0.1:1", True, "/d", True, 30.0, (worker,))


def test_state_of_a_living_supervisor_is_read_back(tmp_path: Path):
    written = _state(state.observe("up", os.getpid()))

    state.write(tmp_path, written)

    assert state.read(tmp_path) == written
    assert written.supervisor.alive
    assert not written.processes[0].alive
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_state_of_a_dead_or_another_process_is_stale(tmp_path: Path):
    ours = state.observe("up", os.getpid())
    state.write(tmp_path, _state(dataclasses.replace(ours, started_s=ours.started_s - 100)))
    another = state.read(tmp_path)
    state.write(tmp_path, _state(state.observe("up", 2**22 + 1)))

    assert another is None
    assert state.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"supervisor": {"pid": 1}}'])
def test_broken_state_file_is_no_state(tmp_path: Path, text: str):
    (tmp_path / "state.json").write_text(text)

    assert state.read(tmp_path) is None


def test_missing_state_is_no_state_and_clearing_it_is_no_error(tmp_path: Path):
    assert state.read(tmp_path) is None
    state.clear(tmp_path)


def test_zombie_is_not_alive():
    child = subprocess.Popen(["true"])
    seen = state.observe("c", child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not seen.alive
    child.wait()


def test_folder_belongs_to_one_supervisor_and_is_free_when_it_is_gone(tmp_path: Path):
    script = "import sys, pathlib, time; from connectors.process import state\n"
    script += "with state.only_one(pathlib.Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    state.write(tmp_path, _state(state.observe("up", holder.pid)))

    with (
        pytest.raises(AlreadyUp, match=rf"up already \(pid {holder.pid}\); stop it"),
        state.only_one(tmp_path),
    ):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()

    with state.only_one(tmp_path):
        pass


def test_every_leaf_has_a_code_and_a_line():
    assert {leaf.code for leaf in ProcessProblem.__subclasses__()} == {"already_up", "not_ready", "pool"}
    assert str(NotReady("it is not", hint="wait")) == "it is not; wait"
    assert str(NotReady("it is not")) == "it is not"
