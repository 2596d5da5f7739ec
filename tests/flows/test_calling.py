"""Calls on the real loop over stand-ins: started first, asked again, retried, streamed, cancelled."""

import asyncio
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from flows import calling
from flows.calling import CallPolicy, CallPorts, Calls
from flows.stages.health import Health
from flows.stages.jobs import Ended, Job
from flows.stages.retry import RetryPolicy
from schemas.calls import Missing, Refused, Throttled, Unavailable
from schemas.chunks import Chunk
from schemas.codes import Code
from schemas.responses import LastChunk
from tests.flows.doubles import (
    ANSWER,
    FakeDoor,
    FakeLedger,
    FakeOutlet,
    FakeProvider,
    OneProvider,
    never,
    planned,
    streamed,
)
from tests.flows.stages.making import job

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


def test_a_call_is_started_on_the_ledger_and_answered(make: Make):
    bench = make()
    ended = bench.run()

    assert (ended.answer, ended.failed, ended.reason) == (ANSWER, None, "named")
    assert ended.route is not None
    assert ended.route.name == "p:m"
    assert tries(ended) == [(1, "p:m", "ok")]
    assert bench.ledger.entries == [(7, 1, "p:m")]
    assert bench.door.through == [7]
    assert bench.provider.gates == [True]
    assert (ended.last_chunk, bench.outbox.sent) == (None, [])


def test_what_the_provider_gets_is_the_job_bound_to_its_route(make: Make):
    bench = make()
    asked = planned()
    asked.input_tokens = 9
    bench.run(asked)
    call = bench.provider.calls[0]

    assert (call.request_id, call.route.name, call.max_tokens, call.input_tokens) == ("r", "p:m", 5, 9)
    assert not call.stream
    encoded = bench.provider.encoded[0]
    assert encoded is not None
    assert encoded.url == "p:m"


def test_no_byte_leaves_before_the_attempt_is_on_the_ledger(make: Make):
    bench = make()
    acked = asyncio.Event()
    bench.ledger.wait = lambda: _wait(acked)
    bench.begin(planned())
    bench.until(lambda: bench.ledger.entries)
    time.sleep(0.02)
    assert bench.provider.calls == []
    bench.calls.loop.call_soon_threadsafe(acked.set)

    assert bench.end().answer == ANSWER


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


@pytest.mark.parametrize("gone", ["ledger", "door"])
def test_a_partition_that_went_meanwhile_is_not_called_for(make: Make, gone: str):
    bench = make()
    if gone == "ledger":
        bench.ledger.may = False
    else:
        bench.door.ours = False
    ended = bench.run()

    assert bench.provider.calls == []
    assert (ended.answer, ended.failed, ended.attempts) == (None, None, [])


def test_out_of_lease_a_call_is_held_and_goes_on_with_it(make: Make):
    bench = make()
    bench.lease = False
    bench.begin(planned())
    bench.until(lambda: bench.ledger.entries)
    time.sleep(calling.HOLD_S * 1.5)
    assert bench.provider.calls == []
    bench.lease = True

    assert bench.end().answer == ANSWER


def test_a_call_held_out_of_lease_is_not_made_when_its_partition_went(make: Make):
    bench = make()
    bench.lease = False
    bench.begin(planned())
    bench.until(lambda: bench.ledger.entries)
    bench.door.ours = False
    bench.lease = True

    assert (bench.end().answer, bench.provider.calls) == (None, [])


def test_failures_are_retried_each_attempt_on_the_ledger_then_the_next_route(make: Make):
    bench = make(Throttled("slow", status=429, retry_after_s=0.001), Unavailable("down"))
    ended = bench.run(planned("p:a", "p:b"))

    assert tries(ended) == [(1, "p:a", "throttled"), (2, "p:a", "unavailable"), (3, "p:b", "ok")]
    assert bench.ledger.entries == [(7, 1, "p:a"), (7, 2, "p:a"), (7, 3, "p:b")]
    assert ended.reason == "fallback after unavailable"
    assert [each.url for each in bench.provider.encoded if each is not None] == ["p:a", "p:a", "p:b"]


def test_the_wait_that_a_server_asks_for_is_kept(make: Make):
    bench = make(Throttled("slow", retry_after_s=0.1))
    begun_s = time.monotonic()

    assert bench.run().answer == ANSWER
    assert time.monotonic() - begun_s >= 0.095


def test_when_no_route_answers_the_failure_has_all_attempts(make: Make):
    bench = make(*[Unavailable("down")] * 4)
    ended = bench.run(planned("p:a", "p:b"))

    assert code_of(ended) is Code.MODEL_UNAVAILABLE
    assert [attempt for attempt, _, _ in tries(ended)] == [1, 2, 3, 4]


def test_failures_make_a_route_unhealthy_but_a_refusal_does_not(make: Make):
    bench = make(Unavailable("down"), Missing("no model"))
    bench.run(planned("p:a"))
    now_ms = time.time_ns() // 1_000_000
    bench.health.record("p:a", ok=False, now_ms=now_ms)
    assert not bench.health.healthy("p:a", now_ms)
    refusing = make(*[Refused("no")] * 3)
    assert [code_of(refusing.run()) for _ in range(3)] == [Code.REFUSED] * 3

    assert refusing.health.healthy("p:m", time.time_ns() // 1_000_000)


def test_a_route_that_cannot_honour_the_request_is_never_started(make: Make):
    bench = make()
    bench.provider.refuses = {"p:a"}
    ended = bench.run(planned("p:a", "p:b"))

    assert code_of(ended) is Code.REFUSED
    assert (bench.ledger.entries, bench.provider.calls) == ([], [])


def test_a_fallback_that_cannot_honour_the_request_ends_it(make: Make):
    bench = make(Missing("no such model"))
    bench.provider.refuses = {"p:b"}
    ended = bench.run(planned("p:a", "p:b"))

    assert code_of(ended) is Code.REFUSED
    assert tries(ended) == [(1, "p:a", "missing")]


def test_an_unknown_outcome_is_called_again_with_the_next_number(make: Make):
    bench = make()
    asked = planned()
    asked.record = replace(asked.record, attempts=2, unknown_outcome=True)
    ended = bench.run(asked)

    assert tries(ended) == [(2, "unknown", "unknown"), (3, "p:m", "ok")]
    assert bench.ledger.entries == [(7, 3, "p:m")]


def test_an_unknown_outcome_may_be_failed_instead(make: Make):
    bench = make(retry_unknown=False)
    asked = planned()
    asked.record = replace(asked.record, attempts=2, unknown_outcome=True)
    ended = bench.run(asked)

    assert code_of(ended) is Code.UNKNOWN_OUTCOME
    assert (tries(ended), bench.ledger.entries) == ([(2, "unknown", "unknown")], [])


def test_a_moved_request_goes_on_counting_its_attempts(make: Make):
    bench = make()
    asked = planned()
    asked.record = replace(asked.record, attempts=4)

    assert tries(bench.run(asked)) == [(5, "p:m", "ok")]


def test_a_deadline_ends_the_call_and_the_try_is_on_the_record(make: Make):
    bench = make(never)
    asked = planned()
    asked.deadline_ms = time.time_ns() // 1_000_000 + 50
    ended = bench.run(asked)

    assert code_of(ended) is Code.DEADLINE_EXCEEDED
    assert tries(ended) == [(1, "p:m", "unavailable")]


def test_a_cancel_ends_the_call_and_the_try_is_on_the_record(make: Make):
    bench = make(never)
    bench.begin(planned())
    bench.until(lambda: bench.provider.calls)
    bench.calls.cancel("other", "r")
    bench.calls.cancel("default", "r")
    ended = bench.end()

    assert code_of(ended) is Code.CANCELLED
    assert tries(ended) == [(1, "p:m", "unavailable")]


def test_a_cancel_before_the_call_leaves_no_try(make: Make):
    bench = make()
    bench.lease = False
    bench.begin(planned())
    bench.until(lambda: bench.ledger.entries)
    bench.calls.cancel("default", "r")

    assert tries(bench.end()) == []


def test_a_cancel_that_came_on_the_way_to_the_loop_ends_the_call_before_it_begins(make: Make):
    bench = make()
    bench.door.unwanted = {"r"}
    ended = bench.run()

    assert code_of(ended) is Code.CANCELLED
    assert (bench.ledger.entries, bench.provider.calls) == ([], [])


def test_two_records_of_one_request_end_both(make: Make):
    bench = make(never, never)
    bench.begin(planned(), planned())
    bench.until(lambda: len(bench.provider.calls) == 2)
    bench.calls.cancel("default", "r")

    assert [code_of(bench.end()), code_of(bench.end())] == [Code.CANCELLED] * 2


def test_a_streamed_answer_is_written_in_chunks_and_says_where_it_ended(make: Make):
    bench = make(streamed)
    ended = bench.run(planned(stream=True))
    chunks = [Chunk.model_validate_json(record.value or b"") for record in bench.outbox.sent]

    assert "".join(chunk.delta for chunk in chunks) == "yes"
    assert chunks[-1].last
    assert ended.last_chunk == LastChunk(attempt=1, seq=chunks[-1].seq)
    assert ended.attempts[0].first_token_ms is not None
    assert bench.outbox.sent[0].topic == "x.llm.chunks"


def test_a_new_attempt_of_a_stream_begins_anew(make: Make):
    async def cut(sink: Callable[[object], object] | None) -> object:
        await streamed(sink)  # type: ignore[arg-type]
        raise Unavailable("cut")

    bench = make(cut, streamed)
    ended = bench.run(planned(stream=True))
    chunks = [Chunk.model_validate_json(record.value or b"") for record in bench.outbox.sent]

    assert ended.answer == ANSWER
    second = [chunk for chunk in chunks if chunk.attempt == 2]
    assert [chunk.seq for chunk in second] == [*range(len(second))]
    assert not any(chunk.last for chunk in chunks if chunk.attempt == 1)


def test_the_gate_before_the_first_byte_asks_lease_door_and_deadline(make: Make):
    bench = make()
    gates: list[bool] = []
    asked = planned()
    asked.deadline_ms = time.time_ns() // 1_000_000 + 60_000

    async def look(_: object) -> object:
        for lease, ours in ((True, True), (False, True), (True, False), (True, True)):
            bench.lease, bench.door.ours = lease, ours
            gates.append(gate())
            asked.deadline_ms = 1 if len(gates) == 3 else asked.deadline_ms
        return ANSWER

    bench.provider.replies = [look]  # type: ignore[list-item]
    complete = bench.provider.complete

    async def complete_with_gate(*args: object) -> object:
        nonlocal gate
        gate = args[3]  # type: ignore[assignment]
        return await complete(*args)  # type: ignore[arg-type]

    gate: Callable[[], bool] = bool
    bench.provider.complete = complete_with_gate  # type: ignore[method-assign,assignment]
    bench.run(asked)

    assert gates == [True, False, False, False]


def test_a_fault_on_the_loop_ends_the_process(make: Make, caplog: pytest.LogCaptureFixture):
    async def broken(_: object) -> object:
        raise RuntimeError("a bug")

    bench = make(broken)
    bench.begin(planned())
    bench.until(lambda: bench.fatal)

    assert "a bug" in bench.fatal[0]
    assert "the call loop failed" in caplog.text


def test_a_fault_without_an_exception_is_told_too(make: Make):
    bench = make()
    bench.calls.loop.call_soon_threadsafe(bench.calls.loop.call_exception_handler, {"message": "odd"})
    bench.until(lambda: bench.fatal)

    assert "odd" in bench.fatal[0]


def test_a_job_without_a_plan_is_a_bug_that_names_it(make: Make):
    with pytest.raises(ValueError, match=r"llm\.requests/3/7"):
        make().begin(job())


def test_a_loop_that_was_never_opened_closes():
    bench = Bench()
    bench.close()
    unopened = Calls(bench.calls._ports, bench.calls._policy, Health())
    unopened.close()
    unopened.loop.close()
