"""The bell ends a rest, is never lost, and turns of the flow have a shortest distance."""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.testing import TestingSink, run_main

from flows.bell import GAP_S, Bell
from flows.operators import async_map

LONG_S = 20.0


def rest_s(bell: Bell) -> float:
    """How long a rest took."""
    begun_s = time.monotonic()
    bell.rest()
    return time.monotonic() - begun_s


def test_a_rest_ends_by_itself():
    bell = Bell(rest_s=0.02)

    assert rest_s(bell) >= 0.02


def test_a_ring_ends_the_rest_of_another_thread():
    bell = Bell(LONG_S)
    timer = threading.Timer(0.05, bell.ring)
    timer.start()

    assert rest_s(bell) < LONG_S / 2
    timer.join()


def test_a_ring_before_the_rest_is_not_lost():
    bell = Bell(LONG_S)
    bell.ring()

    assert rest_s(bell) < LONG_S / 2


def test_many_rings_are_one():
    bell = Bell(rest_s=0.02)
    for _ in range(5):
        bell.ring()
    bell.rest()

    assert rest_s(bell) >= 0.02


def test_done_where_no_record_came_of_late_ends_the_rest_and_the_next_one_is_left_out():
    bell, done = Bell(LONG_S), deque([1])
    bell.watch(done)
    bell.ring_soon()

    assert rest_s(bell) < LONG_S / 2
    assert rest_s(bell) < GAP_S
    done.clear()
    threading.Timer(0.05, bell.ring).start()
    assert rest_s(bell) > 0.02


def test_done_where_records_come_often_waits_for_the_end_of_the_rest():
    bell, done = Bell(rest_s=0.05), deque[int]()
    bell.watch(done)
    bell.ring()
    bell.rest()
    done.append(1)
    bell.ring_soon()

    assert rest_s(bell) >= 0.05
    assert rest_s(bell) < GAP_S, "nothing came along, so the next rest is left out"


def test_done_that_goes_out_with_the_records_costs_no_turn():
    bell, done = Bell(LONG_S), deque[int]()
    bell.watch(done)

    def arrive() -> None:
        done.append(1)
        bell.ring()

    for _ in range(5):
        timer = threading.Timer(0.005, arrive)
        timer.start()
        bell.rest()
        timer.join()
        done.clear()  # as an operator does that gets a record

        assert not bell._again


def test_done_that_records_never_bring_along_gets_a_turn_of_its_own():
    bell, turns = Bell(LONG_S), 0
    bell.watch([1])
    while turns < 50:
        turns += 1
        bell.ring()
        bell.rest()
        if bell._again:
            break
        time.sleep(0.005)

    assert 2 <= turns < 10


def test_turns_with_a_ring_each_are_a_gap_apart():
    bell = Bell(LONG_S)
    begun_s = time.monotonic()
    for _ in range(20):
        bell.ring()
        bell.rest()

    assert time.monotonic() - begun_s >= 19 * GAP_S


def test_ring_of_many_threads_at_once_breaks_nothing():
    bell = Bell(rest_s=0.001)
    threads = [threading.Thread(target=lambda: [bell.ring() for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        bell.rest()
    bell.ring()

    assert rest_s(bell) < LONG_S / 2


class Resting(DynamicSource[int]):
    """Gives out numbers one by one, each when the one before has come out; rests with the bell meanwhile."""

    def __init__(self, bell: Bell, out: list[int], count: int) -> None:
        self.bell, self.out, self.count = bell, out, count
        self.turns = 0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "RestingPartition":
        return RestingPartition(self)


class RestingPartition(StatelessSourcePartition[int]):
    def __init__(self, source: Resting) -> None:
        self._source, self._given = source, 0

    def next_batch(self) -> list[int]:
        source = self._source
        source.turns += 1
        source.bell.rest()
        if len(source.out) == source.count:
            raise StopIteration
        if self._given > len(source.out) or self._given == source.count:
            return []
        self._given += 1
        return [self._given]

    def next_awake(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC)


def test_inside_bytewax_each_item_comes_out_a_few_turns_after_its_ring():
    bell, out = Bell(), list[int]()

    def later(batch: list[int], done: Callable[[int], None]) -> None:
        for item in batch:
            threading.Timer(0.01, done, (item,)).start()

    source = Resting(bell, out, count=10)
    flow = Dataflow("test")
    numbers = op.input("in", flow, source)
    done = async_map("wait", numbers, later, lambda _: None, str, bell)
    op.output("out", op.inspect("ring", done, lambda _id, _item: bell.ring()), TestingSink(out))
    begun_s = time.monotonic()
    bell.ring()
    run_main(flow)

    assert out == list(range(1, 11))
    assert time.monotonic() - begun_s < LONG_S / 2
    assert source.turns <= 10 * 8
