"""Watches a request's body as it comes in, piece by piece: how large, how deep its JSON goes. Pure.

Depth is watched on the bytes, before anything parses them. As long as there are no more brackets than levels
allowed nothing need be looked at closely, which is so for most bodies; from there on texts are told from
structure.
"""

import re

from connectors.gateway.ports import Problem

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Largest body of any route."""
MAX_DEPTH = 100
"""Deepest nesting of JSON in it."""
_TEXT_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MARK = re.compile(rb'["\[\]{}]')


class Body:
    """What has come of one body."""

    def __init__(self, *, json: bool) -> None:
        """Nothing has come; `json` is whether depth counts."""
        self.size_bytes = 0
        self._json = json
        self._held: list[bytes] | None = []
        self._brackets = 0
        self._rest = b""
        self._in_text = False
        self._depth = 0

    def take(self, piece: bytes) -> None:
        """More of it.

        Raises:
            Problem: 413 `too_large`, 400 `invalid_request` where it is nested too deep.
        """
        self.size_bytes += len(piece)
        check_size(self.size_bytes)
        if not self._json or not piece:
            return
        if self._held is None:
            self._look(piece)
            return
        self._held.append(piece)
        self._brackets += piece.count(b"[") + piece.count(b"{")
        if self._brackets > MAX_DEPTH:
            pieces, self._held = self._held, None
            self._look(b"".join(pieces))

    def _look(self, piece: bytes) -> None:
        data, at = self._rest + piece, 0
        self._rest = b""
        while at < len(data):
            if self._in_text:
                end = _TEXT_END.match(data, at)
                if end is None:
                    # cut within a text: all that matters of it is whether an odd backslash ends it
                    tail = len(data) - len(data.rstrip(b"\\"))
                    self._rest = b"\\" if min(tail, len(data) - at) % 2 else b""
                    return
                self._in_text, at = False, end.end()
                continue
            mark = _MARK.search(data, at)
            if mark is None:
                return
            at = mark.end()
            self._count(mark[0])

    def _count(self, mark: bytes) -> None:
        if mark == b'"':
            self._in_text = True
        elif mark in b"[{":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                text = f"the body is nested deeper than {MAX_DEPTH} levels"
                raise Problem(400, "invalid_request", text)
        else:
            self._depth -= 1


def check_size(size_bytes: int) -> None:
    """Turn away what is too large, by its declared length or by what came of it.

    Raises:
        Problem: 413 `too_large`.
    """
    if size_bytes > MAX_BODY_BYTES:
        raise Problem(413, "too_large", f"the body has more than {MAX_BODY_BYTES} bytes")


def declared_bytes(length: str | None) -> int:
    """The declared length; 0 where there is none.

    Raises:
        Problem: 400 `invalid_request` for one that is no number.
    """
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit() or len(length) > 18:
        raise Problem(400, "invalid_request", "the content-length is no number")
    return int(length)
