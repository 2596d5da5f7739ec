"""A spare worker: a process that has loaded everything and waits for a name.

A worker needs a second or more of one core to load its modules, and half a second to connect. The spare has
the first behind it. It owns nothing and has no connection until its role comes, one line on its stdin; when
stdin ends without one, it ends too. The next spare is made some seconds after a worker was started, for then
the cores belong to that worker.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from connectors.process.backoff import Backoff, Failures
from connectors.process.spawn import spawn


@dataclass(frozen=True, slots=True)
class Role:
    """What a spare becomes: one line of JSON on its stdin."""

    instance_id: str
    """The worker's stable name."""
    log: str | None = None
    """File that its output is appended to from now on; `None`: where it goes already."""

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    def assume_output(self) -> None:
        """Let the output of this process go to the role's log."""
        if self.log is None:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        with Path(self.log).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)


def read_role(line: bytes) -> Role | None:
    """The role in a line; `None` where there is no whole line: whoever would have sent it is gone."""
    return Role(**json.loads(line)) if line.endswith(b"\n") else None


class Standby:
    """Keeps one spare. `take` from any thread, `step` from one."""

    def __init__(
        self,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str] | None,
        output: Path,
        later: timedelta = timedelta(seconds=3),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started before `step`.

        Args:
            command: Program and arguments of a worker without a name, which waits for its role.
            env: Its whole environment; `None` for ours.
            output: File that it writes to until it has a role.
            later: How long after `take`, or after this, the next spare is made.
            clock: Seconds of a clock that only goes forward.
        """
        self._command, self._env, self._output = command, env, output
        self._later_s, self._clock = later.total_seconds(), clock
        self._failures = Failures(Backoff())
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._due_s = clock() + self._later_s

    @property
    def pid(self) -> int | None:
        """Process id of the spare; `None` while there is none."""
        spare = self._spare
        return spare.pid if spare is not None else None

    def step(self) -> bool:
        """See to it that there is a spare when its time has come; whether something changed."""
        with self._lock:
            if self._spare is not None:
                if self._spare.poll() is None:
                    return False
                self._end(self._spare)
                self._spare = None
                ran_s = self._clock() - self._started_s
                self._due_s = self._clock() + self._failures.after(ran_s, 0)
                return True
            if self._clock() < self._due_s:
                return False
            self._spare = spawn(self._command, env=self._env, output=self._output, stdin=subprocess.PIPE)
            self._started_s = self._clock()
            return True

    def take(self, role: Role) -> subprocess.Popen[bytes] | None:
        """Give the spare a role; its process, or `None` where there is none that could take it."""
        with self._lock:
            spare, self._spare = self._spare, None
            self._due_s = self._clock() + self._later_s
        if spare is None:
            return None
        assert spare.stdin is not None
        try:
            spare.stdin.write(role.line())
        except OSError:
            self._end(spare)
            return None
        spare.stdin.close()
        return spare

    def close(self) -> None:
        """End the spare at once; it owns nothing. No other is made until the next `step`."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            self._end(spare)

    @staticmethod
    def _end(spare: subprocess.Popen[bytes]) -> None:
        if spare.stdin is not None:
            with contextlib.suppress(OSError):
                spare.stdin.close()
        spare.kill()
        spare.wait()
