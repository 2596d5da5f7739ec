"""One timer for the total time of many calls."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from connectors.providers.deadlines import Deadlines


async def bounded(deadlines: Deadlines, total_s: float, work: Callable[[], Awaitable[str]]) -> str:
    limit = deadlines.start(total_s)
    try:
        return await work()
    except asyncio.CancelledError:
        if not limit.ran_out():
            raise
        return "late"
    finally:
        limit.end()


async def forever() -> str:
    await asyncio.sleep(60)
    return "never"


async def at_once() -> str:
    return "done"


def test_a_late_call_is_ended_and_its_task_goes_on():
    async def main() -> list[str]:
        deadlines = Deadlines()
        first = await bounded(deadlines, 0.01, forever)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return [first, await bounded(deadlines, 5, at_once)]

    assert asyncio.run(main()) == ["late", "done"]


def test_each_call_has_its_own_time():
    order: list[str] = []

    async def main() -> None:
        deadlines = Deadlines()

        async def call(name: str, total_s: float) -> None:
            order.append(f"{name} {await bounded(deadlines, total_s, forever)}")

        await asyncio.gather(call("long", 0.3), call("short", 0.05), call("middle", 0.15))

    asyncio.run(main())

    assert order == ["short late", "middle late", "long late"]


def test_calls_in_time_leave_nothing_behind():
    async def main() -> int:
        deadlines = Deadlines()
        for _ in range(5):
            await bounded(deadlines, 0.02, at_once)
        await asyncio.sleep(0.05)
        assert await bounded(deadlines, 0.02, forever) == "late"
        deadlines.close()
        return len(deadlines._open)

    assert asyncio.run(main()) == 0


def test_a_cancellation_from_outside_is_not_a_late_call():
    async def main() -> None:
        deadlines = Deadlines()
        task = asyncio.create_task(bounded(deadlines, 5, forever))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadlines.close()

    asyncio.run(main())


def test_a_cancellation_from_outside_wins_over_one_of_ours():
    async def main() -> None:
        deadlines = Deadlines()
        task = asyncio.create_task(bounded(deadlines, 0.0, forever))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.005, task.cancel)
        await asyncio.sleep(0)
        deadlines._look(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_call_that_swallows_its_end_is_not_cancelled_any_more():
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "mine"
        return "never"

    async def main() -> str:
        said = await bounded(Deadlines(), 0.01, stubborn)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return said

    assert asyncio.run(main()) == "mine"


def test_outside_of_a_task_there_is_no_call():
    async def main() -> list[BaseException]:
        found: list[BaseException] = []

        def start() -> None:
            try:
                Deadlines().start(1)
            except RuntimeError as error:
                found.append(error)

        asyncio.get_running_loop().call_soon(start)
        await asyncio.sleep(0.01)
        return found

    [error] = asyncio.run(main())
    assert str(error) == "a call runs in a task"
