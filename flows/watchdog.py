"""Looks after a worker's process, once a second."""

import gc
import threading
import time
from collections.abc import Callable

from flows.garbage import Garbage

ANSWERS = 3
"""How often in a row the broker must have answered while the lease was out."""


class Watchdog:
    """Ends the process when its lease has been out for long while the broker answers: it was forgotten.

    Cycles are collected by the clock.
    """

    def __init__(
        self,
        overdue_s: Callable[[], float],
        bound_s: float,
        answers: Callable[[], bool],
        fatal: Callable[[str], None],
    ) -> None:
        """Watch.

        Args:
            overdue_s: How long the lease has been out.
            bound_s: How long it may be.
            answers: Whether the broker answers now; may take a while.
            fatal: Ends the process, with a reason.
        """
        self._overdue_s, self._bound_s = overdue_s, bound_s
        self._answers, self._fatal = answers, fatal

    def start(self) -> None:
        """Begin, on a thread of its own."""
        threading.Thread(target=self._run, name="weir-watchdog", daemon=True).start()

    def _run(self) -> None:
        answered = 0
        garbage = Garbage(time.monotonic())
        while True:
            time.sleep(1)
            garbage.tick(time.monotonic(), gc.get_count()[0])
            if self._overdue_s() <= self._bound_s:
                answered = 0
            elif self._answers():
                answered += 1
            if answered >= ANSWERS:
                self._fatal(f"out of the group for {self._bound_s:.0f} s while the broker answers")
