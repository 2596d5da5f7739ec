"""The ledger's `started` entries: shared, acknowledged before the call goes on, asked again after that."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from connectors.kafka.ledger import Ledger
from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition
from schemas.arrivals import Start
from schemas.packed import unpack_started
from tests.connectors.kafka.owning import CLUSTER, DELIVERY, FakeOutbox, live, owned, record, who

Starts = Callable[[Partition, int, int], "asyncio.Task[bool]"]


class Bench:
    """A ledger, its outbox and its owner."""

    def __init__(self, mode: str = "strict") -> None:
        self.ownership: Ownership = owned()
        self.outbox = FakeOutbox()
        delivery = replace(DELIVERY, ledger=mode)  # type: ignore[arg-type]
        self.ledger = Ledger(CLUSTER, delivery, self.ownership, self.outbox)  # type: ignore[arg-type]

    def start(self, partition: Partition, offset: int, attempt: int = 1) -> "asyncio.Task[bool]":
        asked = self.ledger.started(record(partition, offset), who("r", 11, 12), attempt, "p:m")
        return asyncio.ensure_future(asked)

    async def sent(self) -> None:
        """Wait until what is due was handed over."""
        while not self.outbox.sent:
            await asyncio.sleep(0.001)


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(test)


def test_an_attempt_waits_for_its_acknowledgement():
    async def test() -> None:
        bench = Bench()
        partition = live(bench.ownership)
        task = bench.start(partition, 10)
        await bench.sent()
        await asyncio.sleep(0.01)
        assert not task.done()
        bench.outbox.sent[0].ack(77)
        assert await task
        assert partition.marks.ends.usage_offset == 78

    run(test())


def test_attempts_due_together_share_a_record_for_each_partition():
    async def test() -> None:
        bench = Bench()
        one, two = live(bench.ownership, 1), live(bench.ownership, 2)
        tasks = [bench.start(one, 10), bench.start(two, 10), bench.start(one, 11, 3)]
        await bench.sent()
        records = [sent.record for sent in bench.outbox.sent]
        assert [(r.topic, r.partition, r.key) for r in records] == [
            ("x.llm.usage", 1, None),
            ("x.llm.usage", 2, None),
        ]
        assert bench.outbox.kinds == ["started", "started"]
        entries = unpack_started(records[0].value or b"")
        assert [(e.source, e.offset, e.attempt) for e in entries] == [(0, 10, 1), (0, 11, 3)]
        assert {(e.request_hash, e.body_hash) for e in entries} == {(11, 12)}
        bench.outbox.ack_all()
        assert await asyncio.gather(*tasks) == [True, True, True]

    run(test())


def test_acknowledgements_that_come_together_wake_the_loop_once():
    async def test() -> None:
        bench = Bench()
        loop = asyncio.get_running_loop()
        woken: list[object] = []
        wake = loop.call_soon_threadsafe
        tasks = [bench.start(live(bench.ownership, number), 10) for number in (1, 2, 3)]
        await bench.sent()
        loop.call_soon_threadsafe = lambda *args, **kwargs: (woken.append(args), wake(*args, **kwargs))[1]  # type: ignore[method-assign,assignment]
        bench.outbox.ack_all()
        assert all(await asyncio.gather(*tasks))
        assert len(woken) == 1

    run(test())


def test_an_attempt_may_not_start_when_the_partition_went_while_it_waited():
    async def test() -> None:
        bench = Bench()
        partition = live(bench.ownership)
        task = bench.start(partition, 10)
        await bench.sent()
        bench.ownership.give_up(partition)
        bench.outbox.ack_all()
        assert not await task

    run(test())


def test_nothing_is_written_for_a_partition_that_is_not_ours():
    async def test() -> None:
        bench = Bench()
        partition = live(bench.ownership)
        task = bench.start(partition, 10)
        await asyncio.sleep(0)
        bench.ownership.give_up(partition)
        assert not await asyncio.wait_for(task, 1)
        assert bench.outbox.sent == []

    run(test())


def test_a_trailing_ledger_writes_and_does_not_wait():
    async def test() -> None:
        bench = Bench("trailing")
        task = bench.start(live(bench.ownership), 10)
        assert await asyncio.wait_for(task, 1)
        await bench.sent()
        assert bench.outbox.kinds == ["started"]
        bench.outbox.ack_all()
        await asyncio.sleep(0)

    run(test())


@pytest.mark.parametrize("mode", ["strict", "trailing"])
def test_a_call_that_was_cancelled_meanwhile_takes_the_acknowledgement_calmly(mode: str):
    async def test() -> None:
        bench = Bench(mode)
        task = bench.start(live(bench.ownership), 10)
        await bench.sent()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bench.outbox.ack_all()
        await asyncio.sleep(0.01)

    run(test())


@pytest.mark.parametrize(("mode", "hurries"), [("strict", 1), ("trailing", 0)])
def test_what_calls_wait_for_is_in_a_hurry(mode: str, hurries: int):
    async def test() -> None:
        bench = Bench(mode)
        one, two = live(bench.ownership, 1), live(bench.ownership, 2)
        tasks = [bench.start(one, 10), bench.start(two, 10)]
        await bench.sent()
        assert bench.outbox.hurries == hurries
        bench.outbox.ack_all()
        await asyncio.gather(*tasks)

    run(test())


class Firsts:
    """First attempts that the flow's thread notes, and those that may go on."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.gone: list[int] = []

    def begin(self, *places: tuple[Partition, int]) -> None:
        starts = [
            Start(
                record(partition, offset),
                who("r", 11, 12),
                1,
                "p:m",
                lambda offset=offset: self.gone.append(offset),
            )
            for partition, offset in places
        ]
        self.bench.ledger.begin(starts, asyncio.get_running_loop())


def test_first_attempts_go_on_together_once_they_are_durable():
    async def test() -> None:
        bench = Bench()
        firsts, one, two = Firsts(bench), live(bench.ownership, 1), live(bench.ownership, 2)
        loop = asyncio.get_running_loop()
        firsts.begin((one, 10), (two, 20), (one, 11))
        records = [sent.record for sent in bench.outbox.sent]
        assert [[e.offset for e in unpack_started(r.value or b"")] for r in records] == [[10, 11], [20]]
        assert bench.outbox.hurries == 1
        await asyncio.sleep(0.01)
        assert firsts.gone == []
        woken: list[object] = []
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args, **kwargs: (woken.append(args), wake(*args, **kwargs))[1]  # type: ignore[method-assign,assignment]
        bench.outbox.ack_all()
        await asyncio.sleep(0.01)
        assert (firsts.gone, len(woken)) == ([10, 11, 20], 1)

    run(test())


def test_with_a_trailing_ledger_first_attempts_go_on_at_once_and_only_once():
    async def test() -> None:
        bench = Bench("trailing")
        firsts = Firsts(bench)
        firsts.begin((live(bench.ownership), 10))
        await asyncio.sleep(0.01)
        assert (firsts.gone, bench.outbox.kinds, bench.outbox.hurries) == ([10], ["started"], 0)
        bench.outbox.ack_all()
        await asyncio.sleep(0.01)
        assert firsts.gone == [10]

    run(test())


def test_a_first_attempt_of_a_partition_that_went_is_told_so_and_not_noted():
    async def test() -> None:
        bench = Bench()
        firsts, partition = Firsts(bench), live(bench.ownership)
        bench.ownership.give_up(partition)
        firsts.begin((partition, 10))
        await asyncio.sleep(0.01)
        assert (firsts.gone, bench.outbox.sent) == ([10], [])

    run(test())
