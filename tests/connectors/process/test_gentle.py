"""The gentle pool first; where it starves, the firm one, for a while."""

import asyncio

import pytest

from connectors.process.errors import PoolFailed
from connectors.process.gentle import GentlePool
from connectors.process.pool import Pool


class FakePool(Pool):
    """Answers with its name, after a while or never."""

    def __init__(self, name: bytes, wait_s: float = 0, problem: str = "") -> None:
        super().__init__([], 1, 1)
        self.name, self.wait_s, self.problem = name, wait_s, problem
        self.asked = self.cancelled = 0

    async def run(self, piece: bytes) -> bytes:
        self.asked += 1
        try:
            await asyncio.sleep(self.wait_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.problem:
            raise PoolFailed(self.problem)
        return self.name + piece


def test_the_gentle_pool_does_all_that_it_can():
    gentle, firm = FakePool(b"gentle "), FakePool(b"firm ")

    async def play() -> list[bytes]:
        both = GentlePool(gentle, firm)
        return [await both.run(b"1"), await both.run(b"2")]

    assert asyncio.run(play()) == [b"gentle 1", b"gentle 2"]
    assert firm.asked == 0


def test_what_starves_goes_to_the_firm_pool_and_so_do_the_next():
    gentle, firm = FakePool(b"gentle ", wait_s=60), FakePool(b"firm ")

    async def play() -> list[bytes]:
        both = GentlePool(gentle, firm, patience_s=0.05)
        return [*await asyncio.gather(both.run(b"1"), both.run(b"2")), await both.run(b"3")]

    assert asyncio.run(play()) == [b"firm 1", b"firm 2", b"firm 3"]
    assert (gentle.asked, gentle.cancelled, firm.asked) == (2, 2, 3)


def test_after_a_while_the_gentle_pool_is_tried_again(monkeypatch: pytest.MonkeyPatch):
    gentle, firm = FakePool(b"gentle ", wait_s=60), FakePool(b"firm ")
    monkeypatch.setattr("connectors.process.gentle.FIRM_S", 0.05)

    async def play() -> list[bytes]:
        both = GentlePool(gentle, firm, patience_s=0.05)
        first = await both.run(b"1")
        gentle.wait_s = 0
        await asyncio.sleep(0.1)
        return [first, await both.run(b"2")]

    assert asyncio.run(play()) == [b"firm 1", b"gentle 2"]


def test_a_piece_that_kills_processes_is_not_tried_on_the_firm_pool():
    gentle, firm = FakePool(b"gentle ", problem="2 processes died of it"), FakePool(b"firm ")

    with pytest.raises(PoolFailed, match="2 processes died of it"):
        asyncio.run(GentlePool(gentle, firm).run(b"1"))
    assert firm.asked == 0
