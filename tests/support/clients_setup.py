"""Installs the programs that tests run as users of the gateway, once; they are kept under the user's cache.

Node's come from `tests/clients/package-lock.json`, in seconds; LangChain and LiteLLM from
`tests/clients/requirements.lock`, in a minute: those only where `CI=true` or `WEIR_CLIENTS=build`, or as a
program (`python tests/support/clients_setup.py`). Whoever finds an installation under way waits for it.
"""

from __future__ import annotations  # `make` may start this with whatever Python the machine has

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "clients"
LOCKS = {"node": "package-lock.json", "python": "requirements.lock"}
INSTALL_TIMEOUT_S = 900


class NotInstalled(Exception):  # noqa: N818 - named for what is missing
    """They aren't here; the text says why."""


def home(kind: str) -> Path:
    """Where those of a lock are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    key = hashlib.sha256((FOLDER / LOCKS[kind]).read_bytes()).hexdigest()[:16]
    return Path(cache) / "weir" / "clients" / f"{kind}-{key}"


def node() -> Path:
    """The folder of Node's packages, installed now if they aren't there.

    Raises:
        NotInstalled: Without Node, npm or their registry.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NotInstalled(f"{program} is not installed")
    with _making("node") as folder:
        if folder is not None:
            for name in ("package.json", LOCKS["node"]):
                shutil.copy(FOLDER / name, folder / name)
            _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    return home("node")


def python(*, now: bool = False) -> Path:
    """The Python that has LangChain and LiteLLM; installed where that is wanted, or was.

    Raises:
        NotInstalled: Where they are not wanted, or their registry can't be reached.
    """
    found = home("python") / "venv" / "bin" / "python"
    wanted = now or os.environ.get("CI") == "true" or os.environ.get("WEIR_CLIENTS") == "build"
    if not wanted and not _stamp("python").exists():
        raise NotInstalled(
            "no LangChain and LiteLLM here: `WEIR_CLIENTS=build make test` installs them, once"
        )
    with _making("python") as folder:
        if folder is not None:
            _run([sys.executable, "-m", "venv", "venv"], folder)
            options = ["--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:"]
            _run(
                [str(found), "-m", "pip", "install", "-q", *options, "-r", str(FOLDER / LOCKS["python"])],
                folder,
            )
    return found


def _stamp(kind: str) -> Path:
    return home(kind) / "whole"


@contextmanager
def _making(kind: str) -> Iterator[Path | None]:
    """An empty folder to install to, `None` where that was done; others wait meanwhile."""
    folder = home(kind)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _stamp(kind).exists():
            yield None
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
        _stamp(kind).touch()


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise NotInstalled(f"{command[0]} can't install the clients: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that pip ends with us
    try:
        print(f"clients for the tests: {python(now=True)}", file=sys.stderr)
    except NotInstalled as problem:
        sys.exit(str(problem))
