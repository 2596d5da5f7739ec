"""Builds a real Ollama for the tests, once; what is built is kept under the user's cache.

As a program (`python tests/support/ollama_build.py`) it builds, unless it is there. It needs Go and a C++
compiler and takes four to six minutes. Whoever finds a build under way waits for it.
"""

from __future__ import annotations  # `.ci/run` starts this with whatever Python the machine has

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "v0.6.5"
"""The last version whose Go module holds all that is needed to build it."""
MODULE = f"github.com/ollama/ollama@{VERSION}"
BUILD_TIMEOUT_S = 1500


class NotBuilt(Exception):  # noqa: N818 - named for what is missing
    """There is no Ollama here; the text says why."""


class NoGo(NotBuilt):
    """And there can't be one: the machine has no Go."""


def home() -> Path:
    """Where builds are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "weir" / "ollama" / VERSION


def binary() -> Path:
    """The program, if it was built, or is being built, or where `CI=true` or `WEIR_OLLAMA=build`: built now.

    Raises:
        NotBuilt: When there is none.
    """
    if found := existing():
        return found
    wanted = os.environ.get("CI") == "true" or os.environ.get("WEIR_OLLAMA") == "build"
    if not wanted and not _under_way():
        raise NotBuilt("no Ollama here: `WEIR_OLLAMA=build make test` builds one, once")
    return build()


def existing() -> Path | None:
    """The program, where it was built before."""
    found = home() / "ollama"
    return found if found.is_file() else None


def build() -> Path:
    """Build the program, unless it is there; wait for a build that is under way.

    Raises:
        NoGo: When Go is missing.
        NotBuilt: When the build fails.
    """
    with _lock():
        if found := existing():
            return found
        if shutil.which("go") is None:
            raise NoGo("Ollama can't be built: Go is not installed")
        scratch = home() / "new"
        shutil.rmtree(scratch, ignore_errors=True)
        command = ["nice", "-n", "19", "go", "install", MODULE]
        environment = os.environ | {"GOBIN": str(scratch), "CGO_ENABLED": "1"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise NotBuilt(f"Ollama can't be built: {done.stderr.strip()[-500:]}")
        (scratch / "ollama").replace(home() / "ollama")
        return home() / "ollama"


@contextmanager
def _lock() -> Iterator[None]:
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _under_way() -> bool:
    place = home() / "lock"
    if not place.exists():
        return False
    with place.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `go` ends with us
    try:
        print(f"Ollama for the tests: {build()}", file=sys.stderr)
    except NotBuilt as problem:
        sys.exit(str(problem))
