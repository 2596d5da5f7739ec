"""A command as a supervised child."""

import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from connectors.process.spawn import spawn
from connectors.process.standby import Role, Standby

_MOST_LOG_BYTES = 10 * 1024 * 1024


@dataclass(slots=True)
class Child:
    """A command that can be started again and again."""

    name: str
    """What it is called in messages."""
    command: tuple[str, ...]
    """Program and arguments."""
    env: Mapping[str, str] | None = None
    """Its whole environment; `None` for ours."""
    output: Path | None = None
    """File that its output is appended to, put aside at a start when it is over 10 MB; `None` for ours."""
    patience: timedelta = timedelta(seconds=35)
    """Longest wait after SIGTERM before SIGKILL: a worker's drain and 5 s."""
    always: bool = False
    """Whether it is started again even when it ended with exit code 0."""
    spare: Standby | None = None
    """Where a process that is ready to be this child is taken from, if there is one."""
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        """Its process id, while it is ours."""
        return self._popen.pid if self._popen is not None else None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it, from the spare where there is one; it must not be running."""
        if self.output is not None and self.output.is_file() and self._log_bytes() > _MOST_LOG_BYTES:
            self.output.replace(self.output.with_name(self.output.name + ".1"))
        log = str(self.output) if self.output is not None else None
        taken = self.spare.take(Role(self.name, log)) if self.spare is not None else None
        self._popen = taken or spawn(self.command, env=self.env, output=self.output)
        return self._popen

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that ended it), or `None` while it runs or never ran."""
        return self._popen.poll() if self._popen is not None else None

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self._popen is not None:
            self._popen.terminate()

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def last_words(self) -> str:
        """Where to look after a failure, with the last line that it wrote."""
        if self.output is None or not self.output.is_file():
            return ""
        with self.output.open("rb") as file:
            file.seek(max(0, self._log_bytes() - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()[:200]}" if lines else ""
        return f"{self.output}{said}"

    def _log_bytes(self) -> int:
        return self.output.stat().st_size if self.output is not None else 0


def exit_text(code: int) -> str:
    """An exit code as people read it: `exit code 1`, `SIGKILL (exit code -9)`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"{signal.Signals(-code).name} (exit code {code})"
    except ValueError:
        return f"exit code {code}"
