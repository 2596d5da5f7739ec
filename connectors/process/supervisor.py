"""Keep children running: start again with back-off what failed, stop all in order.

Rules that hold here:
- A child that ended with exit code 0 was asked to, and is left alone (unless `always`).
- How long a failed one waits is the rule of `connectors.process.backoff`.
- Layers stop from the highest down, the children of a layer together: workers before their broker.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from connectors.process.backoff import Backoff, Failures
from connectors.process.child import exit_text

POLL_S = 0.02
"""Between two looks at the children: what a killed worker's partitions wait for first."""


class Ward(Protocol):
    """What can be supervised: `connectors.process.child.Child` and the embedded broker."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process id; `None` before it was started."""
        ...

    @property
    def patience(self) -> timedelta:
        """Longest wait after `terminate` before `kill`."""
        ...

    @property
    def always(self) -> bool:
        """Whether it is started again even after exit code 0."""
        ...

    def launch(self) -> object:
        """Start it, without waiting until it is ready."""
        ...

    def poll(self) -> int | None:
        """Its exit code; `None` while it runs."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it at once and tidy up; also when it has ended."""
        ...

    def last_words(self) -> str:
        """Where to look after a failure; may be empty."""
        ...


@dataclass(slots=True)
class _Place:
    ward: Ward
    layer: int
    failures: Failures
    started_s: float = 0.0
    due_s: float | None = None
    resting: bool = False


class Supervisor:
    """Runs in one thread: `add`, `step` (or `run`), `stop`. Other threads may only set the event of `run`."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        backoff: Backoff | None = None,
        launch_errors: tuple[type[Exception], ...] = (OSError,),
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._say = say
        self._backoff = backoff or Backoff()
        self._launch_errors = launch_errors
        self._clock = clock
        self._chance = chance
        self._changed = changed
        self._places: list[_Place] = []

    @property
    def wards(self) -> list[Ward]:
        """All that are supervised, in the order of `add`."""
        return [place.ward for place in self._places]

    def add(self, ward: Ward, *, layer: int = 0) -> None:
        """Supervise one more; it is started unless it runs already."""
        place = _Place(ward, layer, Failures(self._backoff))
        self._places.append(place)
        if ward.pid is not None and ward.poll() is None:
            place.started_s = self._clock()
        else:
            self._launch(place)

    def step(self) -> None:
        """Look at each child once: note who ended, start who is due."""
        for place in self._places:
            if place.due_s is not None:
                if self._clock() >= place.due_s:
                    self._launch(place)
            elif not place.resting and (code := place.ward.poll()) is not None:
                self._ended(place, code)

    def run(self, stop: threading.Event) -> None:
        """Supervise until the event is set."""
        while not stop.wait(POLL_S):
            self.step()

    def stop(self, hurry: threading.Event | None = None) -> None:
        """End all, layer by layer; when `hurry` is set, those that are left are killed."""
        for layer in sorted({place.layer for place in self._places}, reverse=True):
            self._stop_layer([place.ward for place in self._places if place.layer == layer], hurry)
        self._places.clear()

    def _launch(self, place: _Place) -> None:
        place.due_s = None
        try:
            place.ward.launch()
        except self._launch_errors as error:
            self._later(place, f"did not start: {error}", 0)
        else:
            place.started_s = self._clock()
            self._say(f"{place.ward.name}: started, pid {place.ward.pid}")
        self._changed()

    def _ended(self, place: _Place, code: int) -> None:
        if code == 0 and not place.ward.always:
            place.resting = True
            self._say(f"{place.ward.name}: ended with exit code 0")
            self._changed()
            return
        self._later(place, f"ended with {exit_text(code)}", self._clock() - place.started_s)

    def _later(self, place: _Place, what: str, ran_s: float) -> None:
        delay_s = place.failures.after(ran_s, self._chance())
        place.due_s = self._clock() + delay_s
        words = place.ward.last_words()
        look = f" (see {words})" if words else ""
        when = f"in {delay_s:.1f} s" if delay_s else "at once"
        self._say(f"{place.ward.name}: {what}; starts again {when}{look}")
        if not delay_s:
            self._launch(place)

    def _stop_layer(self, wards: list[Ward], hurry: threading.Event | None) -> None:
        running = [ward for ward in wards if ward.pid is not None and ward.poll() is None]
        for ward in running:
            ward.terminate()
        asked_s = self._clock()
        while running and not (hurry is not None and hurry.is_set()):
            if all(self._clock() - asked_s > ward.patience.total_seconds() for ward in running):
                break
            time.sleep(POLL_S)
            for ward in [ward for ward in running if ward.poll() is not None]:
                running.remove(ward)
                self._say(f"{ward.name}: stopped, {exit_text(ward.poll() or 0)}")
        for ward in running:
            self._say(f"{ward.name}: did not stop in {self._clock() - asked_s:.1f} s, killed")
        for ward in wards:
            ward.kill()
