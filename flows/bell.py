"""The bell that wakes the flow's thread: rung when a record has arrived or work is done.

Bytewax runs one source on one thread here, so the source may rest while there is nothing to do; whoever makes
something to do rings. Polling every millisecond instead cost 1,000 turns a second whether or not there was
work. Rests are short, so a ring too few costs milliseconds, never a stop.
"""

import threading
import time

REST_S = 0.01
"""Longest rest."""
GAP_S = 0.003
"""Shortest time between two turns of the flow: what comes within it makes one batch."""


class Bell:
    """Rung on any thread, waited for on the flow's."""

    __slots__ = ("_lock", "_rest_s", "_rung", "_turned_s")

    def __init__(self, rest_s: float = REST_S) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._rest_s = rest_s
        self._rung = False
        self._turned_s = 0.0

    def ring(self) -> None:
        """End the rest that is, or the next one."""
        if self._lock.locked():
            try:
                self._lock.release()
            except RuntimeError:
                return  # another thread rang at the same moment

    def rest(self) -> None:
        """Until somebody rings, `REST_S` at most, and not before `GAP_S` after the last turn.

        After a ring the next rest is left out: in that turn the operators, whose time has come meanwhile,
        emit what is done.
        """
        if self._rung:
            self._rung = False
            return
        early_s = self._turned_s + GAP_S - time.monotonic()
        if early_s > 0:
            time.sleep(early_s)
        self._rung = self._lock.acquire(timeout=self._rest_s)
        self._turned_s = time.monotonic()
