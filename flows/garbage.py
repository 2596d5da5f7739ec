"""When the interpreter looks for cycles: rarely, by the clock, never in the middle of a burst.

Its own trigger is the number of objects that are alive, and with thousands of requests under way those are no
garbage: it looked at them again and again (15 % of the CPU of a flood, pauses of 25-240 ms). Weir makes next
to no cycles, so once a minute is enough; a bound on new objects holds whatever makes more.
"""

import gc
import threading
import time

EVERY_S = 60.0
"""Between two collections."""
MAX_OBJECTS = 2_000_000
"""So many new container objects are not left alone any longer."""
FEW_OBJECTS = 200_000
"""The same for a process whose libraries leave cycles behind: some tens of megabytes."""
TICK_S = 1.0
"""Between two looks of the thread."""


class Garbage:
    """Collects by the clock. One thread at a time."""

    def __init__(self, now_s: float, max_objects: int = MAX_OBJECTS) -> None:
        """Take over from the interpreter; what is there by now is never looked at again.

        Args:
            now_s: A clock that only goes forward, in seconds.
            max_objects: So many new container objects are not left alone.
        """
        gc.freeze()
        gc.disable()
        self._last_s, self._max_objects = now_s, max_objects

    def tick(self, now_s: float, new_objects: int) -> bool:
        """Collect when it is time, or when there is much; whether it did.

        Args:
            now_s: The same clock.
            new_objects: Container objects made and not freed since the last time (`gc.get_count()[0]`).
        """
        if now_s - self._last_s < EVERY_S and new_objects < self._max_objects:
            return False
        self._last_s = now_s
        gc.collect()
        return True


def collect_by_the_clock() -> None:
    """For the rest of the process, on a thread of its own: for a process without a watchdog."""
    garbage = Garbage(time.monotonic(), FEW_OBJECTS)

    def run() -> None:
        while True:
            time.sleep(TICK_S)
            garbage.tick(time.monotonic(), gc.get_count()[0])

    threading.Thread(target=run, name="weir-garbage", daemon=True).start()
