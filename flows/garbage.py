"""When the interpreter looks for cycles: rarely, by the clock, never in the middle of a burst.

Its own trigger is the number of objects that are alive, and with thousands of requests under way those are no
garbage: it looked at them again and again (15 % of the CPU of a flood, pauses of 25-240 ms). Weir makes next
to no cycles, so once a minute is enough; a bound on new objects holds whatever makes more.
"""

import gc

EVERY_S = 60.0
"""Between two collections."""
MAX_OBJECTS = 2_000_000
"""So many new container objects are not left alone any longer."""


class Garbage:
    """Collects by the clock. One thread at a time."""

    def __init__(self, now_s: float) -> None:
        """Take over from the interpreter; what is there by now is never looked at again.

        Args:
            now_s: A clock that only goes forward, in seconds.
        """
        gc.freeze()
        gc.disable()
        self._last_s = now_s

    def tick(self, now_s: float, new_objects: int) -> bool:
        """Collect when it is time, or when there is much; whether it did.

        Args:
            now_s: The same clock.
            new_objects: Container objects made and not freed since the last time (`gc.get_count()[0]`).
        """
        if now_s - self._last_s < EVERY_S and new_objects < MAX_OBJECTS:
            return False
        self._last_s = now_s
        gc.collect()
        return True
