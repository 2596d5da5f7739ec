"""Helper processes of the bench: they say one line when they are ready and end when our pipe does."""

import contextlib
import subprocess
import sys
import threading
from types import TracebackType

from connectors.bench.errors import HelperError

READY_S = 30.0
"""Longest wait for a helper's first line, in seconds."""


class Child:
    """`python -m MODULE ARGUMENTS`, from its first line of output until `close`."""

    def __init__(self, module: str, *arguments: str) -> None:
        """Start it and wait for its first line.

        Raises:
            HelperError: When it ends or says nothing within `READY_S`.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        """Its process id."""
        self.said = self._first_line()
        """Its first line."""
        if not self.said:
            self.close()
            raise HelperError(f"{module} did not come up; what it says is above")

    def _first_line(self) -> str:
        watchdog = threading.Timer(READY_S, self._process.kill)
        watchdog.start()
        try:
            assert self._process.stdout is not None
            return self._process.stdout.readline().decode().strip()
        finally:
            watchdog.cancel()

    def close(self) -> None:
        """End its input, which ends it; kill it when it doesn't within 10 seconds."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "Child":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
