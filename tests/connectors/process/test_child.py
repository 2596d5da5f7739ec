"""Children: they die with us, and their logs are bounded."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

from connectors.process.child import Child
from connectors.process.spawn import spawn
from connectors.process.state import start_time

PARENT = """
import threading, time
from connectors.process.spawn import spawn
def start():
    print(spawn(["sleep", "60"]).pid, flush=True)
thread = threading.Thread(target=start)  # it ends at once; the child must live on, and die with the process
thread.start()
thread.join()
time.sleep(60)
"""


def _gone_within(pid: int, seconds: float) -> bool:
    end_s = time.monotonic() + seconds
    while start_time(pid) is not None:
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def test_child_lives_on_when_the_thread_that_asked_ends_and_dies_with_the_process():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.stdout.close()
    time.sleep(0.3)
    lived = psutil.Process(pid).name() == "sleep"

    parent.kill()
    parent.wait()

    assert lived
    assert _gone_within(pid, 3)


def test_command_that_does_not_exist_is_exit_code_one_with_its_reason(tmp_path: Path):
    child = spawn(["/no/such/program"], output=tmp_path / "out")

    assert child.wait(10) == 1
    assert "/no/such/program: No such file" in (tmp_path / "out").read_text()


def test_log_over_ten_megabytes_is_put_aside_at_the_next_start(tmp_path: Path):
    output = tmp_path / "c.log"
    output.write_bytes(b"x" * (10 * 2**20 + 1))
    child = Child("c", ("true",), output=output)

    child.launch()
    while child.poll() is None:
        time.sleep(0.01)

    assert output.read_bytes() == b""
    assert (tmp_path / "c.log.1").stat().st_size == 10 * 2**20 + 1


def test_last_words_are_the_last_line_of_the_log(tmp_path: Path):
    output = tmp_path / "c.log"
    child = Child("c", ("true",), output=output)

    assert Child("quiet", ("true",)).last_words() == ""
    assert child.last_words() == ""
    output.write_text("")
    assert child.last_words() == str(output)
    output.write_text("one\ntwo \n")
    assert child.last_words() == f"{output}: two"


def test_child_that_was_never_started_can_be_stopped():
    child = Child("c", ("true",))
    child.terminate()
    child.kill()

    assert child.pid is None
    assert child.poll() is None
