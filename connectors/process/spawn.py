"""Start child processes that cannot outlive us.

The kernel's parent-death signal (Linux) is bound to the *thread* that forked. So one thread of its own
forks for the whole process and lives as long as it does; whoever asks may end at any time. Between
fork and exec a small Python program arms the signal and looks whether we are still there; nothing of
our memory runs in the child, so other threads do no harm. Elsewhere than on Linux a child is an
ordinary one.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_TRAMPOLINE = """
import os, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
"""


@functools.cache
def _forker() -> ThreadPoolExecutor:
    """The one thread that forks."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="weir-forker")


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a command as a child that is killed when this process ends, however that happens.

    The child has a process group of its own, so that Ctrl-C in a terminal reaches only us. Its output
    is appended to `output`, or goes where ours goes. Its pid is the command's own. A command that
    doesn't exist shows as exit code 1 of the child. With `stdin=subprocess.PIPE` we hold the other,
    unbuffered end of its input.
    """

    def fork() -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(os.getpid()), *command]
        start = functools.partial(
            subprocess.Popen[bytes], argv, env=env, stdin=stdin, bufsize=0, process_group=0
        )
        if output is None:
            return start()
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("ab") as file:
            return start(stdout=file, stderr=file)

    return _forker().submit(fork).result()
