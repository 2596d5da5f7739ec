"""Calls on the real loop over stand-ins: what the tests of calls share."""

import queue
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from flows.calling import Calls
from flows.drive import CallPolicy, CallPorts
from flows.stages.health import Health
from flows.stages.jobs import Ended, Job
from flows.stages.retry import RetryPolicy
from schemas.codes import Code
from tests.flows.doubles import (
    FakeDoor,
    FakeLedger,
    FakeOutlet,
    FakeProvider,
    OneProvider,
    planned,
)

RETRY = RetryPolicy(retries_per_route=1, base=timedelta(milliseconds=1), cap=timedelta(milliseconds=2))
Make = Callable[..., "Bench"]


class Bench:
    """The loop, its ports, and what has ended."""

    def __init__(self, *replies: object, retry_unknown: bool = True) -> None:
        self.provider = FakeProvider(*replies)  # type: ignore[arg-type]
        self.ledger, self.door, self.outbox = FakeLedger(), FakeDoor(), FakeOutlet()
        self.health = Health()
        self.lease = True
        self.fatal: list[str] = []
        self.ends: queue.Queue[Ended] = queue.Queue()
        ports = CallPorts(OneProvider(self.provider), self.ledger, self.door, self.outbox, lambda: self.lease)
        self.calls = Calls(ports, CallPolicy(RETRY, retry_unknown, "x.llm.chunks"), self.health)
        self.calls.open(self.fatal.append)

    def begin(self, *jobs: Job) -> None:
        self.calls.submit(list(jobs), self.ends.put)

    def end(self) -> Ended:
        return self.ends.get(timeout=5)

    def run(self, asked: Job | None = None) -> Ended:
        self.begin(asked or planned())
        return self.end()

    def until(self, condition: Callable[[], object]) -> None:
        end_s = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < end_s
            time.sleep(0.002)

    def close(self) -> None:
        self.calls.close()
        self.calls.loop.close()


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Bench] = []

    def bench(*replies: object, **options: bool) -> Bench:
        made.append(Bench(*replies, **options))
        return made[-1]

    yield bench
    for each in made:
        each.close()
        assert each.calls.active == {}


def code_of(ended: Ended) -> Code:
    assert ended.failed is not None
    return ended.failed.code


def tries(ended: Ended) -> list[tuple[int, str, str]]:
    return [(attempt.attempt, attempt.route, attempt.outcome) for attempt in ended.attempts]
