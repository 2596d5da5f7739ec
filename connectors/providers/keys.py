"""Secrets that stand in files, so that they can be rotated while Weir runs.

A file is looked at once a second at most, and read again when its time of change, size or inode is another;
after a 401 or 403 it is read at once. What can't be read is never held back: a file that is gone or empty
is an error for as long as it is so. A secret is in no reason and no log.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace

from schemas.calls import Call, Missing, Route

EVERY_S = 1.0
"""Time between two looks at a file."""
MAX_BYTES = 65_536
"""Longest secret."""
_NEVER = float("-inf")


class KeyFile:
    """A file and the secret that was last read from it. From any thread."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._next_s = _NEVER
        self._seen: tuple[int, int, int] | None = None
        self._secrets: tuple[str, ...] = ()

    def read(self) -> str:
        """The secret as it is now.

        Raises:
            Missing: When the file can't be read, or has no secret; the reason names it.
        """
        now_s = self._clock()
        if now_s >= self._next_s:
            try:
                self._look()
            except OSError as error:
                raise Missing(f"the key file {self._path} can't be read: {error.strerror}") from error
            self._next_s = now_s + EVERY_S
        return self._secrets[0]

    def doubt(self) -> None:
        """A server did not take the secret: read the file when it is asked for next."""
        self._next_s, self._seen = _NEVER, None

    def secrets(self) -> tuple[str, ...]:
        """The secret and the one before it, as far as they are known."""
        return self._secrets

    def _look(self) -> None:
        with open(self._path, "rb") as file:
            found = os.fstat(file.fileno())
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen == self._seen:
                return
            data = file.read(MAX_BYTES + 1)
        secret = _text_of(data).rstrip("\r\n")
        if not secret.strip():
            self._seen = None
            raise Missing(f"the key file {self._path} is {'empty' if not data else 'no text with a key'}")
        if secret not in self._secrets[:1]:
            self._secrets = (secret, *self._secrets[:1])
        self._seen = seen


def _text_of(data: bytes) -> str:
    try:
        return data.decode() if len(data) <= MAX_BYTES else ""
    except UnicodeDecodeError:
        return ""


class Keys:
    """The secrets of the routes of one provider. From any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[str, KeyFile] = {}
        self._routes: dict[str, tuple[Route, Route]] = {}

    def keyed(self, call: Call) -> Call:
        """The call with its route's secret in it; as it is where the secret stands in no file.

        Raises:
            Missing: When the file has none; the reason names it.
        """
        route = call.route
        if route.api_key_file is None:
            return call
        secret = self._file(route.api_key_file).read()
        known = self._routes.get(route.name)
        if known is None or known[0] is not route or known[1].api_key != secret:
            known = self._routes[route.name] = (route, replace(route, api_key=secret))
        return replace(call, route=known[1])

    def doubt(self, route: Route) -> None:
        """The route's server did not take its secret."""
        if route.api_key_file is not None:
            self._file(route.api_key_file).doubt()

    def secrets(self, route: Route) -> tuple[str, ...]:
        """Every secret that a server may have got from the route and echoed."""
        own = () if route.api_key is None else (route.api_key,)
        return own if route.api_key_file is None else (*own, *self._file(route.api_key_file).secrets())

    def _file(self, path: str) -> KeyFile:
        found = self._files.get(path)
        return found if found is not None else self._files.setdefault(path, KeyFile(path, self._clock))
