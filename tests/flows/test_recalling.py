"""Recall where it waits: fetched side by side, bounded in time, joined in order; the others go by."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import uvloop
from bytewax.testing import TestingSink, run_main

from flows.orchestrate import Waiting, build
from flows.recalling import Recalling
from flows.stages.health import Health
from flows.stages.jobs import Ended, Failed, Gathered, Job, Work
from flows.stages.limits import RecallPolicy
from flows.steps import BoundSteps
from schemas.arrivals import Outcome
from schemas.codes import Code
from schemas.records import Record
from schemas.requests import Message
from tests.flows.doubles import ANSWER, DrainingSource, FakeAnswers, bound
from tests.flows.stages.making import job, route

Give = Callable[[Job], Awaitable[Gathered | Failed]]
QUICK = RecallPolicy(timeout=timedelta(milliseconds=200))


def given(what: Gathered | Failed, wait_s: float = 0) -> Give:
    async def give(_: Job) -> Gathered | Failed:
        await asyncio.sleep(wait_s)
        return what

    return give


@dataclass
class FakeGatherer:
    """Gives what it was made with to requests whose prompt names it."""

    name: str
    give: Give
    field: str | None = "prompt"

    def wants(self, job: Job) -> bool:
        return self.name in (job.request.prompt or "")

    async def gather(self, job: Job) -> Gathered | Failed:
        return await self.give(job)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = uvloop.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(5)
    made.close()


def gathered(gatherers: list[FakeGatherer], asked: Job, policy: RecallPolicy = QUICK) -> Work:
    async def run() -> Work:
        return await Recalling(gatherers, asyncio.get_running_loop(), policy).gather(asked)

    return asyncio.run(run())


def failure(work: Work) -> Failed:
    assert isinstance(work, Ended)
    assert work.failed is not None
    return work.failed


def test_what_several_sources_give_goes_into_the_messages_in_order():
    turn = Message(role="user", content="before")
    sources = [
        FakeGatherer("a", given(Gathered(context="text", notes={"a": "cut"}), 0.02)),
        FakeGatherer("b", given(Gathered(history=(turn,), memories=("likes tea",)))),
    ]
    work = gathered(sources, job(prompt="a b"))

    assert isinstance(work, Job)
    assert [message.role for message in work.messages] == ["system", "user", "user"]
    assert "text" in str(work.messages[0].content)
    assert "- likes tea" in str(work.messages[0].content)
    assert [message.content for message in work.messages[1:]] == ["before", "a b"]
    assert (work.request.context, work.notes) == ("text", {"a": "cut"})


def test_sources_are_asked_side_by_side():
    sources = [FakeGatherer(name, given(Gathered(), 0.1)) for name in "abc"]
    begun_s = time.monotonic()
    gathered(sources, job(prompt="abc"))

    assert time.monotonic() - begun_s < 0.25


def test_only_what_a_job_wants_is_fetched():
    sources = [FakeGatherer("a", given(Gathered(memories=("m",)))), FakeGatherer("z", given(Gathered(), 9))]
    work = gathered(sources, job(prompt="a"))

    assert isinstance(work, Job)
    assert work.gathered.memories == ("m",)


def test_a_failure_of_a_source_is_the_end_of_the_job():
    failed = Failed(Code.INVALID_REQUEST, "no", "recall", field="context_ref")
    work = gathered([FakeGatherer("a", given(failed))], job(prompt="a"))

    assert failure(work) is failed


def test_a_source_that_takes_too_long_is_a_failure_that_may_be_tried_again():
    work = gathered([FakeGatherer("a", given(Gathered(), 9))], job(prompt="a"))

    assert failure(work) == Failed(
        Code.MODEL_UNAVAILABLE,
        "a gave no answer within 0.2 s; send the request again, or raise weir.recall.timeout",
        "recall",
        field="prompt",
    )


def test_a_deadline_that_comes_first_is_said_to_have_passed():
    asked = job(prompt="a")
    asked.deadline_ms = round(time.time() * 1000) + 20
    begun_s = time.monotonic()
    work = gathered([FakeGatherer("a", given(Gathered(), 9))], asked, RecallPolicy())

    assert (failure(work).code, failure(work).stage) == (Code.DEADLINE_EXCEEDED, "recall")
    assert time.monotonic() - begun_s < 1


def test_what_is_held_for_a_job_is_dropped_with_it():
    dropped = threading.Event()

    class Hold:
        def __del__(self) -> None:
            dropped.set()

    sources = [
        FakeGatherer("a", given(Gathered(hold=Hold()))),
        FakeGatherer("b", given(Gathered(hold=object()))),
    ]
    sources[0].give = _once(Hold)
    work = gathered(sources, job(prompt="ab"))
    dropped.clear()
    assert isinstance(work, Job)
    assert not dropped.is_set()
    del work

    assert dropped.wait(1)


def _once(hold: Callable[[], object]) -> Give:
    async def give(_: Job) -> Gathered | Failed:
        return Gathered(hold=hold())

    return give


def test_a_fault_in_a_source_reaches_the_handler_of_the_loop(loop: asyncio.AbstractEventLoop):
    seen: list[object] = []
    told = threading.Event()

    def handler(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        seen.append(context["exception"])
        told.set()

    async def broken(_: Job) -> Gathered | Failed:
        raise ZeroDivisionError

    loop.set_exception_handler(handler)
    recalling = Recalling([FakeGatherer("a", broken)], loop, QUICK)
    recalling.start([job(prompt="a")], lambda _: None)

    assert told.wait(5)
    assert isinstance(seen[0], ZeroDivisionError)


def with_recall(steps: BoundSteps, recalling: Recalling) -> BoundSteps:
    return BoundSteps(replace(steps._ports, recalling=recalling), steps._policy, Health())


def test_jobs_that_wait_are_overtaken_and_all_are_answered(loop: asyncio.AbstractEventLoop):
    settled: list[Outcome] = []
    threads: dict[str, str] = {}

    def submit(jobs: list[Job], done: Any) -> None:
        for each in jobs:
            done(Ended(each.record, each, answer=ANSWER, route=route("p:m")))

    async def slowly(asked: Job) -> Gathered | Failed:
        threads[asked.request.prompt or ""] = threading.current_thread().name
        await asyncio.sleep(0.05)
        if asked.request.prompt == "slow bad":
            return Failed(Code.INVALID_REQUEST, "no", "recall")
        return Gathered(memories=("m",))

    recalling = Recalling([FakeGatherer("slow", slowly)], loop, QUICK)
    steps = with_recall(bound(submit=submit, answers=FakeAnswers()), recalling)
    prompts = ["slow", "a", "slow bad", "b", "c"]
    now_ms = time.time_ns() // 1_000_000
    records = [
        Record(0, 3, offset, now_ms, None, b'{"prompt": "%s"}' % prompt.encode())
        for offset, prompt in enumerate(prompts)
    ]
    source = DrainingSource(records, lambda: len(settled) == len(prompts))
    run_main(build(source, steps, TestingSink(settled)))

    order = [outcome.record.offset for outcome in settled]
    assert sorted(order[:3]) == [1, 3, 4]
    assert sorted(order[3:]) == [0, 2]
    assert set(threads) == {"slow", "slow bad"}
    codes = {o.record.offset: o.response.error.code for o in settled if o.response and o.response.error}
    assert codes == {2: Code.INVALID_REQUEST}


def test_without_sources_recall_is_a_plain_rule_and_with_them_only_some_jobs_wait(
    loop: asyncio.AbstractEventLoop,
):
    plain = dict(bound().between)["recall"]
    recalling = Recalling([FakeGatherer("slow", given(Gathered()))], loop, QUICK)
    step = dict(with_recall(bound(), recalling).between)["recall"]

    assert not isinstance(plain, Waiting)
    assert isinstance(step, Waiting)
    asked, waiting = job(prompt="hi"), job(prompt="slow")
    ended = Ended(asked.record, asked)
    assert [step.waits(each) for each in (asked, waiting, ended)] == [False, True, False]
    assert step.rule([asked, ended]) == [asked, ended]
    assert asked.messages == (Message(role="user", content="hi"),)
