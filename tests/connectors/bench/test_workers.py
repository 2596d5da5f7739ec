"""Worker processes and their supervisor, with small scripts as workers."""

import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from connectors.bench.sampling import Sample, Sampler, at, cpu_between_s
from connectors.bench.workers import Worker, end_all, kept, worker_env
from connectors.process.standby import Standby

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
BUSY = (sys.executable, "-c", "while True: pass")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)",
)


@pytest.fixture
def make(tmp_path: Path) -> Generator[Callable[[tuple[str, ...]], Worker]]:
    made: list[Worker] = []

    def start(command: tuple[str, ...]) -> Worker:
        made.append(Worker(command, dict(os.environ), tmp_path / f"{len(made)}.log"))
        return made[-1]

    yield start
    end_all(made)
    assert not any(worker.alive for worker in made)


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_killed_worker_comes_back(make: Callable[..., Worker]):
    worker = make(SLEEPER)
    first = worker.pid

    stop = worker.kill()

    assert stop.at_ms <= stop.until_ms
    until(lambda: worker.alive and worker.pid != first)
    assert [end.code for end in worker.exits] == [-signal.SIGKILL]


def test_killed_worker_is_the_spare_where_there_is_one(tmp_path: Path):
    script = "import sys, time; print('spare', flush=True); print(sys.stdin.readline(), flush=True)"
    script += "; time.sleep(60)"
    command, log = (sys.executable, "-c", script), tmp_path / "spare.log"
    with kept(Standby(command, env=None, output=log, later=timedelta(0))) as spare:
        worker = Worker(SLEEPER, dict(os.environ) | {"WEIR_INSTANCE_ID": "one"}, tmp_path / "w", spare=spare)
        until(lambda: spare.pid is not None and log.exists() and "spare" in log.read_text())
        waiting = spare.pid
        worker.kill()
        until(lambda: worker.alive and worker.pid == waiting)
        until(lambda: '"instance_id": "one"' in log.read_text())
        worker.close()

    assert spare.pid is None


def test_worker_without_restart_stays_away(make: Callable[..., Worker]):
    worker = make(SLEEPER)
    worker.restart = False
    worker.kill()
    time.sleep(0.5)

    assert not worker.alive


def test_terminate_gives_the_exit_code_or_nothing_in_time(make: Callable[..., Worker], tmp_path: Path):
    meek, stubborn = make(SLEEPER), make(STUBBORN)
    until(lambda: "up" in (tmp_path / "1.log").read_text())
    assert meek.terminate(5) == -signal.SIGTERM

    assert stubborn.terminate(0.2) is None
    stubborn.kill()


def test_frozen_worker_stands_still_and_goes_on(make: Callable[..., Worker]):
    worker = make(BUSY)
    process = psutil.Process(worker.pid)
    until(lambda: process.cpu_times().user > 0.1)
    before = process.cpu_times().user
    stop = worker.freeze(0.4)
    frozen = process.cpu_times().user

    assert frozen - before < 0.2
    assert 400 <= stop.until_ms - stop.at_ms < 2000
    until(lambda: process.cpu_times().user > frozen)


def test_sampler_adds_up_trees_and_remembers_the_dead(make: Callable[..., Worker]):
    worker = make(BUSY)
    sampler = Sampler(lambda: [worker.pid], every_s=0.05)
    until(lambda: bool(sampler.samples) and sampler.samples[-1].cpu_s > 0.2)
    worker.restart = False
    worker.kill()
    sampler.close()

    last = sampler.samples[-1]
    assert last.cpu_s >= 0.2
    assert (last.rss_mb, last.threads) == (0, 0)
    alive = max(sampler.samples, key=lambda sample: sample.rss_mb)
    assert alive.rss_mb > 1
    assert alive.threads >= 1
    assert alive.fds >= 3


def sample(at_ms: float, cpu_s: float) -> Sample:
    return Sample(at_ms, cpu_s, 0, 0, 0)


def test_cpu_between_is_interpolated_and_bounded():
    samples = [sample(1000, 1.0), sample(2000, 2.0), sample(3000, 4.0)]

    assert cpu_between_s(samples, 1500, 2500) == pytest.approx(1.5)
    assert cpu_between_s(samples, 0, 9000) == pytest.approx(3.0)
    assert cpu_between_s([], 0, 1) == 0


def test_sample_at_a_moment_is_the_next_one():
    samples = [sample(1000, 1.0), sample(2000, 2.0)]

    assert at(samples, 1001) == samples[1]
    assert at(samples, 5000) == samples[1]
    assert at([], 1) is None


def test_environment_of_a_worker_names_its_topics():
    env = worker_env(("127.0.0.1:1", "127.0.0.1:2"), "p.", 4, 2000)

    assert env["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:1,127.0.0.1:2"
    assert (env["WEIR_TOPIC_PREFIX"], env["WEIR_PARTITIONS"], env["WEIR_SESSION_MS"]) == ("p.", "4", "2000")
    assert env["PATH"] == os.environ["PATH"]
