"""Long texts are counted by the pool: the same count, for the long ones only, within the deadline."""

import asyncio
import pickle
import time
from collections.abc import Awaitable, Callable

import pytest

from flows import compressing
from flows.counting import LONG, Counting
from flows.ports import PoolProblem
from flows.stages.count import count
from flows.stages.decode import decode
from flows.stages.jobs import Ended, Gathered, Job, Work
from flows.stages.limits import Limits
from flows.stages.recall import recall
from schemas.codes import Code
from tests.flows.stages.compression.making import WordCounter
from tests.flows.stages.making import job, record

TEXT = "the water rose by night, and 12 boats were lost. "
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
Run = Callable[[bytes], Awaitable[bytes]]


async def in_process(piece: bytes) -> bytes:
    return compressing.answer(piece, WordCounter(), None)


def by_pool(asked: Job, run: Run = in_process) -> Work:
    async def play() -> Work:
        return await Counting(run, "exact", asyncio.get_running_loop()).count(asked)

    return asyncio.run(play())


def waits(item: Work) -> bool:
    loop = asyncio.new_event_loop()
    loop.close()
    return Counting(in_process, "exact", loop).waits(item)


def failed(asked: Job, run: Run) -> tuple[Code, str]:
    found = by_pool(asked, run)
    assert isinstance(found, Ended)
    assert found.failed is not None
    assert found.failed.stage == "count"
    return found.failed.code, found.failed.message


def test_the_pools_count_is_that_of_the_flow():
    fields = {"prompt": "Who?", "context": TEXT * 3000, "tools": TOOLS, "response_format": {"type": "text"}}
    here, there = recall(job(**fields)), recall(job(**fields))

    assert by_pool(there) is there
    count(here, WordCounter())
    assert (there.measured, there.input_tokens) == (here.measured, here.input_tokens)
    assert there.estimate_kind == "exact"
    assert there.input_tokens > 30_000


def test_what_is_to_be_embedded_is_counted_too():
    here, there = (recall(job(prompt=None, input=[TEXT * 10, TEXT])) for _ in range(2))

    by_pool(there)
    assert there.input_tokens == count(here, WordCounter()).input_tokens > 100


@pytest.mark.parametrize(("letters", "long"), [(LONG // 2, False), (LONG + 1, True)])
def test_long_records_wait_and_others_do_not(letters: int, long: bool):
    arrived = decode(record(b'{"prompt": "%s"}' % (b"a" * letters)), Limits(), 0)
    assert isinstance(arrived, Job)

    assert waits(recall(arrived)) is long
    assert not waits(Ended(arrived.record))


def test_what_becomes_long_by_unpacking_or_fetching_waits():
    unpacked = recall(job(prompt="Who?", context=TEXT * 5000))
    fetched = job(prompt="Who?")
    fetched.gathered = Gathered(context=TEXT * 5000)

    assert isinstance(unpacked, Job)
    assert len(unpacked.record.value or b"") < LONG
    assert waits(unpacked)
    assert waits(recall(fetched))


def test_a_deadline_that_comes_while_it_waits_ends_it():
    async def never(_: bytes) -> bytes:
        await asyncio.sleep(60)
        return b""

    asked = recall(job(prompt=TEXT))
    assert isinstance(asked, Job)
    asked.deadline_ms = int(time.time() * 1000) + 50
    assert failed(asked, never) == (
        Code.DEADLINE_EXCEEDED,
        "the deadline passed while the request was counted",
    )


def test_a_pool_that_fails_is_told_and_so_is_a_counter_that_does():
    async def breaks(_: bytes) -> bytes:
        raise PoolProblem("2 processes died of it")

    async def errs(_: bytes) -> bytes:
        return pickle.dumps("ValueError: no such piece")

    asked = recall(job(prompt=TEXT))
    assert isinstance(asked, Job)
    code, message = failed(asked, breaks)
    assert (code, "2 processes died of it; shorten it" in message) == (Code.INTERNAL, True)
    assert failed(asked, errs)[1].endswith("could not be counted: ValueError: no such piece")
