"""The bell that wakes the flow's thread: rung when a record has arrived or work is done.

Bytewax runs one source on one thread here, so the source may rest while there is nothing to do; whoever makes
something to do rings. Polling every millisecond instead cost 1,000 turns a second whether or not there was
work. Rests are short, so a ring too few costs milliseconds, never a stop.

A turn costs about as much as a request does, so at a steady rate few of them matter. Records that arrive get
one at once. What is done goes out with the next records where those come often; else it rings, too.
"""

import threading
import time
from collections.abc import Sized

REST_S = 0.01
"""Longest rest, and about the longest that what is done waits for the turn of a record."""
GAP_S = 0.003
"""Shortest time between two turns of the flow: what comes within it makes one batch."""
OFTEN_S = 2 * REST_S
"""Records come often where the last one came no longer ago than this."""


class Bell:
    """Rung on any thread, waited for on the flow's."""

    def __init__(self, rest_s: float = REST_S) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._rest_s = rest_s
        self._watched: list[Sized] = []
        self._again = False
        self._urgent = False
        self._arrived_s = self._turned_s = 0.0
        self._left_s: float | None = None

    def watch(self, done: Sized) -> None:
        """Remember where an operator keeps what is done; it stays for good. On the flow's thread."""
        self._watched.append(done)

    def ring(self) -> None:
        """Something has arrived: end the rest that is, or the next one."""
        self._urgent = True
        self._release()

    def ring_soon(self) -> None:
        """Something is done: the same, unless records come so often that it can go with the next ones."""
        if time.monotonic() - self._arrived_s > OFTEN_S:
            self._release()

    def rest(self) -> None:
        """Until somebody rings, `REST_S` at most, and not before `GAP_S` after the last turn.

        Operators see only in the turn after it that their time has come. So where something is done and no
        records bring it along, the next rest is left out.
        """
        if self._again:
            self._again = False
            return
        now_s = time.monotonic()
        if not self._is_done():
            self._left_s = None
        elif self._left_s is None:
            self._left_s = now_s
        early_s = self._turned_s + GAP_S - now_s
        if early_s > 0:
            time.sleep(early_s)
        self._lock.acquire(timeout=self._rest_s)
        self._turned_s = time.monotonic()
        if self._urgent:
            self._urgent, self._arrived_s = False, self._turned_s
            self._again = self._left_s is not None and self._turned_s - self._left_s > REST_S
        else:
            self._again = self._is_done()

    def _is_done(self) -> bool:
        return any(map(len, self._watched))

    def _release(self) -> None:
        if self._lock.locked():
            try:
                self._lock.release()
            except RuntimeError:
                return  # another thread rang at the same moment
