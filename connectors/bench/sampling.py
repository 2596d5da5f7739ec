"""CPU, memory, threads and open files of process trees, sampled beside a run."""

import contextlib
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """The sum over all watched processes at one moment."""

    at_ms: float
    """Unix time in milliseconds."""
    cpu_s: float
    """CPU seconds used since the first start, dead processes included."""
    rss_mb: float
    """Resident memory, in MiB."""
    threads: int
    """Threads."""
    fds: int
    """Open file descriptors."""


class Sampler:
    """Looks at the trees of `roots` every `every_s`, in a thread, until closed."""

    def __init__(self, roots: Callable[[], Iterable[int]], every_s: float = 0.2) -> None:
        self._roots = roots
        self._every_s = every_s
        self._cpu: dict[tuple[int, float], float] = {}
        self._stop = threading.Event()
        self.samples: list[Sample] = []
        """All samples, oldest first."""
        self._thread = threading.Thread(target=self._run, name="bench-sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take a last sample and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.samples.append(self._look())
        self.samples.append(self._look())

    def _look(self) -> Sample:
        rss = threads = fds = 0
        for process in _trees(self._roots()):
            with contextlib.suppress(psutil.Error), process.oneshot():
                used = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = used.user + used.system
                rss += process.memory_info().rss
                threads += process.num_threads()
                fds += process.num_fds()
        return Sample(time.time_ns() / 1e6, sum(self._cpu.values()), rss / 2**20, threads, fds)


def cpu_between_s(samples: list[Sample], from_ms: float, to_ms: float) -> float:
    """CPU seconds used between two moments, interpolated between samples."""
    return _cpu_at(samples, to_ms) - _cpu_at(samples, from_ms)


def at(samples: list[Sample], moment_ms: float) -> Sample | None:
    """The first sample at or after a moment; the last one after the end, `None` of none."""
    if not samples:
        return None
    place = bisect_left(samples, moment_ms, key=lambda sample: sample.at_ms)
    return samples[min(place, len(samples) - 1)]


def _cpu_at(samples: list[Sample], moment_ms: float) -> float:
    if not samples:
        return 0.0
    place = bisect_left(samples, moment_ms, key=lambda sample: sample.at_ms)
    if place == 0:
        return samples[0].cpu_s
    if place == len(samples):
        return samples[-1].cpu_s
    before, after = samples[place - 1], samples[place]
    share = (moment_ms - before.at_ms) / (after.at_ms - before.at_ms)
    return before.cpu_s + share * (after.cpu_s - before.cpu_s)


def _trees(roots: Iterable[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid in roots:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            found += [root, *root.children(recursive=True)]
    return found
