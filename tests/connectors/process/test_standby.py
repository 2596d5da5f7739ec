"""The spare: it waits for its role, takes it at once, is made anew later, and never outlives us."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.process.child import Child
from connectors.process.standby import Role, Standby, read_role

WAITER = """
import sys, time
from connectors.process.standby import read_role
print("ready", flush=True)
role = read_role(sys.stdin.buffer.readline())
if role is None: sys.exit(0)
role.assume_output()
print("I am", role.instance_id, flush=True)
time.sleep(60)
"""
COLD = (sys.executable, "-c", "import time; print('cold', flush=True); time.sleep(60)")


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)


class Bench:
    """A standby with a clock that tests turn, and children that are ended."""

    def __init__(self, home: Path, command: tuple[str, ...] = (sys.executable, "-c", WAITER)) -> None:
        self.now_s = 0.0
        self.log = home / "spare.log"
        later = timedelta(seconds=5)
        self.standby = Standby(command, env=None, output=self.log, later=later, clock=lambda: self.now_s)
        self.child = Child("worker-0", COLD, output=home / "worker-0.log", spare=self.standby)

    def made(self) -> int:
        """Let the time of the spare come; its process id, once it is ready."""
        self.now_s += 5
        assert self.standby.step()
        until(lambda: self.log.is_file() and self.log.read_text().endswith("ready\n"))
        assert self.standby.pid is not None
        return self.standby.pid

    def said(self) -> str:
        """What the child wrote, once it wrote something."""
        assert self.child.output is not None
        output = self.child.output
        until(lambda: output.is_file() and bool(output.read_text()))
        return output.read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.standby.close()
    made.child.kill()


def test_child_is_the_spare_under_its_name_with_its_own_log(bench: Bench):
    pid = bench.made()

    bench.child.launch()

    assert bench.child.pid == pid
    assert bench.said() == "I am worker-0\n"
    assert bench.standby.pid is None
    assert bench.log.read_text() == "ready\n"


def test_without_a_spare_the_child_is_started_cold(bench: Bench):
    assert not bench.standby.step()

    bench.child.launch()

    assert bench.said() == "cold\n"


def test_next_spare_is_made_five_seconds_after_the_last_was_wanted(bench: Bench):
    bench.made()
    bench.child.launch()

    bench.now_s += 4.9
    early = bench.standby.step()
    bench.now_s += 0.2

    assert not early
    assert bench.standby.step()
    assert not bench.standby.step()
    assert bench.standby.pid not in (None, bench.child.pid)


def test_spare_that_ended_is_made_again_with_back_off(bench: Bench):
    pid = bench.made()
    os.kill(pid, 9)
    until(bench.standby.step)
    gone = bench.standby.pid

    early = bench.standby.step()
    bench.now_s += 0.2

    assert gone is None
    assert not early
    assert bench.standby.step()
    assert bench.standby.pid not in (None, pid)


def test_spare_that_has_ended_takes_no_role(bench: Bench):
    pid = bench.made()
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    bench.child.launch()

    assert bench.said() == "cold\n"


def test_spare_whose_stdin_ends_ends_with_zero():
    done = subprocess.run([sys.executable, "-c", WAITER], input=b"", capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"ready\n")


def test_closed_standby_leaves_no_process(bench: Bench):
    pid = bench.made()

    bench.standby.close()
    bench.standby.close()

    assert bench.standby.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_role_is_one_line_and_half_a_line_is_none():
    role = Role("worker-1", "/tmp/line\nbreak.log")

    assert role.line().count(b"\n") == 1
    assert read_role(role.line()) == role
    assert read_role(role.line()[:-1]) is None
    assert read_role(b"") is None


def test_role_without_a_log_leaves_the_output_where_it_goes(capfd: pytest.CaptureFixture[str]):
    Role("worker-1").assume_output()
    os.write(1, b"here")

    assert capfd.readouterr().out == "here"


def test_role_with_a_log_takes_output_and_errors_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    saved = os.dup(1), os.dup(2)
    try:
        Role("worker-1", str(tmp_path / "w.log")).assume_output()
        os.write(1, b"out ")
        os.write(2, b"err")
    finally:
        for number, kept in enumerate(saved, start=1):
            os.dup2(kept, number)
            os.close(kept)

    assert (tmp_path / "w.log").read_text() == "out err"
    assert capfd.readouterr() == ("", "")
