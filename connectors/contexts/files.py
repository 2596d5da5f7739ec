"""Which file a worker keeps its turns in: its own as long as it runs, the same one again after a restart."""

import fcntl
import logging
import os
import tempfile
import time
import zlib
from pathlib import Path

from connectors.contexts.store import remove

_log = logging.getLogger(__name__)

IN_MEMORY = Path(":memory:")
"""What SQLite takes for no file."""
LEFT_S = 30 * 24 * 60 * 60.0
"""A file that nobody has written for so long, and nobody uses, is removed."""
SLOTS = 64
"""Most workers of one installation on a machine that keep a file in the folder; others use a passing one."""


class TurnsFile:
    """A file that no other process uses, from here to `close`."""

    def __init__(self, folder: str | None, installation: str, instance_id: str | None) -> None:
        """Take one; where the folder can't be used a passing one, which is lost at the end.

        Args:
            folder: Where; `None` for `~/.cache/weir/contexts`.
            installation: What tells this installation's files from those of others.
            instance_id: The worker's stable name, where it has one.
        """
        self._lock: int | None = None
        self._passing: tempfile.TemporaryDirectory[str] | None = None
        home = Path.home() / ".cache" / "weir" / "contexts" if folder is None else Path(folder)
        names = [] if instance_id is None else [f"named-{zlib.crc32(instance_id.encode()):08x}"]
        stem = f"{zlib.crc32(installation.encode()):08x}"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in (*names, *map(str, range(SLOTS))):
                if self._taken(home / f"{stem}-{name}.lock"):
                    self.path = home / f"{stem}-{name}.sqlite"
                    _sweep(home, time.time() - LEFT_S)
                    return
            why = f"all {SLOTS} are in use"
        except OSError as error:
            why = error.strerror or str(error)
        try:
            self._passing = tempfile.TemporaryDirectory(prefix="weir-contexts-")
            self.path = Path(self._passing.name) / "turns.sqlite"
        except OSError:  # no disk at all
            self.path = IN_MEMORY
        _log.warning("no file for turns in %s (%s): they are read again after a restart", home, why)

    def _taken(self, path: Path) -> bool:
        self._lock = _lock(path)
        return self._lock is not None

    def remove(self) -> None:
        """Remove the turns; the place stays taken."""
        remove(self.path)

    def close(self) -> None:
        """Let others have the place."""
        if self._lock is not None:
            os.close(self._lock)
        if self._passing is not None:
            self._passing.cleanup()


def _lock(path: Path) -> int | None:
    """The lock, held; `None` where another process has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _sweep(home: Path, before_s: float) -> None:
    """Remove what other installations and workers left behind: nobody else would."""
    for path in home.glob("*.sqlite"):
        if path.stat().st_mtime < before_s and (lock := _lock(path.with_suffix(".lock"))) is not None:
            remove(path)
            os.close(lock)
