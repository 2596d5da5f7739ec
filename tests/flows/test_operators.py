"""The waiting of a step, bare and inside Bytewax."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from hypothesis import given
from hypothesis import strategies as st

from flows import operators
from flows.bell import Bell
from flows.operators import AsyncLogic, async_map, stage, stage_or_wait
from tests.flows.doubles import DrainingSource

Done = Callable[[int], None]


class Desk:
    """Takes work and hands it back when told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open: list[int] = []
        self.done: Done = self._nobody

    def _nobody(self, _: int) -> None:
        raise AssertionError("nothing was handed over yet")

    def start(self, batch: list[int], done: Done) -> None:
        self.batches.append(batch)
        self.open += batch
        self.done = done

    def finish(self, *items: int) -> None:
        for item in items:
            self.open.remove(item)
            self.done(item)


def odd(item: int) -> int | None:
    return -item if item % 2 else None


def emitted(result: tuple[object, bool]) -> list[int]:
    """What was emitted; the shard must be kept."""
    items, discard = result
    assert discard is AsyncLogic.RETAIN
    return list(items)  # type: ignore[call-overload]


def test_a_batch_is_handed_over_once_and_what_needs_no_work_passes_by():
    desk = Desk()
    logic = AsyncLogic(desk.start, odd)

    assert emitted(logic.on_batch([1, 2, 3, 4])) == [-1, -3]
    assert desk.batches == [[2, 4]]


def test_a_batch_that_needs_no_work_begins_none():
    desk = Desk()
    logic = AsyncLogic(desk.start, odd)

    assert emitted(logic.on_batch([1])) == [-1]
    assert (desk.batches, logic.notify_at()) == ([], None)


def test_items_are_emitted_in_the_order_in_which_they_are_done():
    desk = Desk()
    logic = AsyncLogic(desk.start, odd)
    logic.on_batch([2, 4, 6])
    desk.finish(6, 2)

    assert emitted(logic.on_notify()) == [6, 2]
    assert emitted(logic.on_notify()) == []
    desk.finish(4)
    assert emitted(logic.on_eof()) == [4]


def test_the_next_batch_brings_what_has_come_back():
    desk = Desk()
    logic = AsyncLogic(desk.start, odd)
    logic.on_batch([2])
    desk.finish(2)

    assert emitted(logic.on_batch([1])) == [-1, 2]


def test_it_looks_again_in_a_millisecond_while_something_is_pending():
    desk = Desk()
    logic = AsyncLogic(desk.start, odd)
    assert logic.notify_at() is None
    logic.on_batch([2, 4])
    desk.finish(2)
    logic.on_notify()

    at = logic.notify_at()
    assert at is not None
    assert abs(at - datetime.now(UTC)) < timedelta(seconds=1)
    desk.finish(4)
    logic.on_notify()
    assert logic.notify_at() is None


class CountingBell(Bell):
    """Counts what is done."""

    rings = 0

    def ring_soon(self) -> None:
        self.rings += 1


def test_each_item_that_is_done_rings():
    desk, bell = Desk(), CountingBell()
    logic = AsyncLogic(desk.start, odd, bell)
    logic.on_batch([1, 2, 4])
    assert bell.rings == 0
    desk.finish(2, 4)

    assert bell.rings == 2
    assert emitted(logic.on_notify()) == [2, 4]
    assert logic.notify_at() is None


def test_there_is_no_state_to_keep():
    assert AsyncLogic(Desk().start, odd).snapshot() is None  # type: ignore[func-returns-value]


@given(batches=st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=6), data=st.data())
def test_every_item_comes_out_once_whenever_it_is_done(batches: list[list[int]], data: st.DataObject):
    desk = Desk()
    logic = AsyncLogic(desk.start, odd)
    out: list[int] = []
    for batch in batches:
        out += emitted(logic.on_batch(batch))
        handed_over = sum(len(each) for each in desk.batches)
        desk.finish(*desk.open[: data.draw(st.integers(0, len(desk.open)))])
        out += emitted(logic.on_notify()) if data.draw(st.booleans()) else []
        pending = handed_over - sum(item >= 0 for item in out)
        assert (logic.notify_at() is not None) == (pending > 0)
    desk.finish(*desk.open)
    out += emitted(logic.on_eof())

    assert sorted(out) == sorted(-item if item % 2 else item for batch in batches for item in batch)
    assert logic.notify_at() is None


def later(batch: list[int], done: Done) -> None:
    """Work that ends on other threads, the last first."""
    for number, item in enumerate(reversed(batch)):
        threading.Timer(0.005 * (number + 1), done, (item * 10,)).start()


def test_inside_bytewax_items_wait_on_other_threads_and_all_come_out():
    out: list[int] = []
    flow = Dataflow("test")
    numbers = op.input("in", flow, DrainingSource([*range(1, 9)], lambda: len(out) == 8))
    doubled = stage("double", numbers, lambda batch: [item * 2 for item in batch])
    waited = async_map("wait", doubled, later, lambda item: item if item > 12 else None, str)
    op.output("out", waited, TestingSink(out))
    run_main(flow)

    assert sorted(out) == [14, 16, 20, 40, 60, 80, 100, 120]


def test_a_stage_may_drop_and_add_items_in_its_own_order():
    out: list[int] = []
    flow = Dataflow("test")
    numbers = op.input("in", flow, TestingSource([1, 2, 3], batch_size=3))
    op.output("out", stage("rule", numbers, lambda batch: [*reversed(batch), 9][1:]), TestingSink(out))
    run_main(flow)

    assert out == [2, 1, 9]


def test_what_shares_a_shard_shares_batches_and_shards_are_few():
    batches: list[list[int]] = []
    out: list[int] = []

    def now(batch: list[int], done: Done) -> None:
        batches.append(batch)
        for item in batch:
            done(item)

    flow = Dataflow("test")
    numbers = op.input("in", flow, TestingSource([*range(100)], batch_size=100))
    op.output(
        "out", async_map("wait", numbers, now, lambda _: None, lambda item: str(item % 50)), TestingSink(out)
    )
    run_main(flow)

    assert sorted(out) == [*range(100)]
    assert 1 < len(batches) <= operators.SHARDS
    assert all((item + 50 in batch) == (item < 50) for batch in batches for item in batch)


def test_what_need_not_wait_goes_on_at_once_and_the_rest_when_it_is_done():
    out: list[int] = []
    batches: list[list[int]] = []
    bell = CountingBell()

    def start(batch: list[int], done: Done) -> None:
        batches.append(batch)
        for item in batch:
            threading.Timer(0.02, done, (item * 100,)).start()

    def rule(batch: list[int]) -> list[int]:
        assert batch
        return [-item for item in batch]

    flow = Dataflow("test")
    source = DrainingSource([1, 2, 3, 5, 7, 9, 4], lambda: len(out) == 7)
    numbers = op.input("in", flow, source)
    done = stage_or_wait("step", numbers, rule, lambda item: item % 2 == 0, start, bell)
    op.output("out", done, TestingSink(out))
    run_main(flow)

    assert out[:3] == [-1, -3, -5]
    assert sorted(out) == [-9, -7, -5, -3, -1, 200, 400]
    assert batches == [[2], [4]]
    assert bell.rings == 2
