"""The supervisor: back-off by the rule, nothing restarted that was asked to end, all stopped in order."""

import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.process.child import Child, exit_text
from connectors.process.supervisor import Supervisor


@dataclass(slots=True)
class FakeWard:
    """A ward whose exit codes a test sets."""

    name: str
    log: list[str]
    patience: timedelta = timedelta(seconds=1)
    always: bool = False
    pid: int | None = None
    code: int | None = None
    refuses: int = 0
    stubborn: bool = False
    launches: int = field(default=0)

    def launch(self) -> None:
        self.launches += 1
        if self.refuses:
            self.refuses -= 1
            raise OSError("no such file")
        self.pid, self.code = 100 + self.launches, None

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.log.append(f"terminate {self.name}")
        if not self.stubborn:
            self.code = -signal.SIGTERM

    def kill(self) -> None:
        self.log.append(f"kill {self.name}")
        self.code = -signal.SIGKILL

    def last_words(self) -> str:
        return ""


@dataclass(slots=True)
class World:
    """A supervisor with a clock that tests turn."""

    now_s: float = 0.0
    said: list[str] = field(default_factory=list[str])
    log: list[str] = field(default_factory=list[str])
    changes: int = 0

    def supervisor(self) -> Supervisor:
        def changed() -> None:
            self.changes += 1

        return Supervisor(self.said.append, clock=lambda: self.now_s, chance=lambda: 0.0, changed=changed)


@pytest.fixture
def world() -> World:
    return World()


def _delays(world: World, supervisor: Supervisor, ward: FakeWard, failures: int) -> list[float]:
    """Fail the ward that often at once after each start; return how long it took until it was started."""
    delays: list[float] = []
    for _ in range(failures):
        launches, failed_s = ward.launches, world.now_s
        ward.code = 1
        while ward.launches == launches:
            supervisor.step()
            world.now_s += 0.01
        delays.append(round(world.now_s - failed_s, 1))
    return delays


def test_wait_doubles_with_each_failure_up_to_fifteen_seconds(world: World):
    supervisor, ward = world.supervisor(), FakeWard("w", world.log)
    supervisor.add(ward)

    assert _delays(world, supervisor, ward, 9) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]
    assert world.said[:3] == [
        "w: started, pid 101",
        "w: ended with exit code 1; starts again in 0.2 s",
        "w: started, pid 102",
    ]


def test_child_that_had_served_is_started_again_in_the_same_step(world: World):
    supervisor, ward = world.supervisor(), FakeWard("w", world.log)
    supervisor.add(ward)
    world.now_s += 5

    ward.code = -9
    supervisor.step()

    assert ward.launches == 2
    assert world.said[1:] == [
        "w: ended with SIGKILL (exit code -9); starts again at once",
        "w: started, pid 102",
    ]
    assert _delays(world, supervisor, ward, 2) == [0.2, 0.4]


def test_child_that_ended_with_zero_is_left_alone_unless_always(world: World):
    supervisor = world.supervisor()
    once, always = FakeWard("once", world.log), FakeWard("always", world.log, always=True)
    supervisor.add(once)
    supervisor.add(always)

    once.code = always.code = 0
    supervisor.step()
    world.now_s += 1
    supervisor.step()
    supervisor.step()

    assert (once.launches, always.launches) == (1, 2)
    assert "once: ended with exit code 0" in world.said
    assert world.said.count("once: ended with exit code 0") == 1


def test_child_that_cannot_be_launched_is_tried_again(world: World):
    supervisor, ward = world.supervisor(), FakeWard("w", world.log, refuses=2)
    supervisor.add(ward)
    for _ in range(2):
        world.now_s += 1
        supervisor.step()

    assert world.said == [
        "w: did not start: no such file; starts again in 0.2 s",
        "w: did not start: no such file; starts again in 0.4 s",
        "w: started, pid 103",
    ]
    assert world.changes == 3


def test_running_ward_is_adopted_not_started_again(world: World):
    supervisor, ward = world.supervisor(), FakeWard("w", world.log)
    ward.launch()

    supervisor.add(ward)

    assert ward.launches == 1
    assert supervisor.wards == [ward]


def test_higher_layers_stop_first_and_a_layer_stops_together(world: World):
    supervisor = world.supervisor()
    for name, layer in (("broker", 0), ("worker-0", 1), ("worker-1", 1)):
        supervisor.add(FakeWard(name, world.log), layer=layer)

    supervisor.stop()

    assert world.log == [
        "terminate worker-0",
        "terminate worker-1",
        "kill worker-0",
        "kill worker-1",
        "terminate broker",
        "kill broker",
    ]
    assert supervisor.wards == []
    assert "worker-1: stopped, SIGTERM (exit code -15)" in world.said


def test_second_signal_kills_what_is_left(world: World):
    supervisor, ward, hurry = world.supervisor(), FakeWard("w", world.log, stubborn=True), threading.Event()
    supervisor.add(ward)
    hurry.set()

    supervisor.stop(hurry)

    assert world.log == ["terminate w", "kill w"]
    assert world.said[-1] == "w: did not stop in 0.0 s, killed"


def test_child_that_does_not_stop_in_time_is_killed():
    said: list[str] = []
    supervisor = Supervisor(said.append)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    child = Child("deaf", (sys.executable, "-c", script), patience=timedelta(seconds=0.3))
    supervisor.add(child)
    time.sleep(0.5)

    supervisor.stop()

    assert child.poll() == -signal.SIGKILL
    assert said[-1].startswith("deaf: did not stop in 0.")


def test_killed_child_is_running_again_within_a_second(tmp_path: Path):
    said: list[str] = []
    supervisor, stop = Supervisor(said.append), threading.Event()
    output = tmp_path / "log" / "child.log"
    child = Child("c", (sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(60)"),
                  output=output)  # fmt: skip
    supervisor.add(child)
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    end_s = time.monotonic() + 5
    while not (output.is_file() and output.read_text()) and time.monotonic() < end_s:
        time.sleep(0.02)
    first = child.pid
    killed_s = time.monotonic()

    assert child._popen is not None
    child._popen.kill()
    while output.read_text() != "hello\nhello\n" and time.monotonic() < killed_s + 5:
        time.sleep(0.02)
    took_s = time.monotonic() - killed_s
    stop.set()
    thread.join()
    supervisor.stop()

    assert child.pid != first
    assert took_s < 2
    assert said[1].startswith(
        f"c: ended with SIGKILL (exit code -9); starts again in 0.2 s (see {output}: hello)"
    )


def test_exit_codes_are_named():
    assert [exit_text(code) for code in (0, 3, -9, -99)] == [
        "exit code 0",
        "exit code 3",
        "SIGKILL (exit code -9)",
        "exit code -99",
    ]
