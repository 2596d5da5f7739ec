"""Fetching a conversation's history for recall."""

import asyncio
import threading
from collections.abc import Callable
from uuid import UUID

from flows.history import HistoryGatherer
from flows.stages.jobs import Gathered
from schemas.contexts import Asking, Past
from tests.connectors.contexts.making import turn
from tests.flows.stages.making import job

CONTEXT = UUID(int=1)


class FakeTurns:
    """Answers on a thread of its own, as the real ones do."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self.asked: list[Asking] = []

    def read(self, asking: Asking, done: Callable[[Past], None]) -> None:
        self.asked.append(asking)
        threading.Thread(target=done, args=(self.past,)).start()


def test_a_turn_gets_what_lies_before_it_in_its_conversation():
    turns = FakeTurns(Past((turn(3),)))
    found = asyncio.run(HistoryGatherer(turns).gather(job(context_id=str(CONTEXT), tenant="a")))

    assert isinstance(found, Gathered)
    assert [each.content for each in found.history] == ["q3", "a3"]
    assert turns.asked == [Asking(CONTEXT, "a", 3, 7)]


def test_only_turns_of_conversations_want_a_history():
    gatherer = HistoryGatherer(FakeTurns(Past()))

    assert gatherer.wants(job(context_id=str(CONTEXT)))
    assert not gatherer.wants(job())
    assert not gatherer.wants(job(context_id=str(CONTEXT), input="to be embedded"))
    assert asyncio.run(gatherer.gather(job())) == Gathered()


def test_a_history_that_comes_too_late_is_dropped():
    class Slow(FakeTurns):
        def read(self, asking: Asking, done: Callable[[Past], None]) -> None:
            self.late = lambda: done(self.past)

    async def run() -> None:
        turns = Slow(Past())
        task = asyncio.create_task(HistoryGatherer(turns).gather(job(context_id=str(CONTEXT))))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        turns.late()
        await asyncio.sleep(0.01)

    asyncio.run(run())
