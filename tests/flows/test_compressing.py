"""A process of the pool, from outside: when it may run, and when it ends."""

import os
import socket
import subprocess
import sys
import time

import pytest

from flows.compressing import NICE

COUNTER = ("connectors.tokenizers.counter:build", "o200k")


@pytest.mark.parametrize(("policy", "scheduler", "nice"), [("idle", os.SCHED_IDLE, 0), ("nice", 0, NICE)])
def test_it_steps_back_as_it_is_told_and_ends_with_its_socket(policy: str, scheduler: int, nice: int):
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "flows.compressing", policy, *COUNTER]
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with theirs, subprocess.Popen(command, stdin=theirs) as process:
        end_s = time.monotonic() + 60
        seen = (0, 0)
        while seen != (scheduler, before + nice) and time.monotonic() < end_s:
            time.sleep(0.05)
            seen = os.sched_getscheduler(process.pid), os.getpriority(os.PRIO_PROCESS, process.pid)
        theirs.close()
        ours.close()
        process.wait(60)

    assert seen == (scheduler, before + nice)
    assert process.returncode == 0
