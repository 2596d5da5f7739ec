"""How calls end on the real loop: unknown outcomes, deadlines, cancels, streams, faults."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from flows.calling import Calls
from flows.stages.health import Health
from schemas.arrivals import Start
from schemas.calls import Unavailable
from schemas.chunks import Chunk
from schemas.codes import Code
from schemas.responses import LastChunk
from tests.flows.calling_bench import Bench, Make, code_of, make, tries
from tests.flows.doubles import (
    ANSWER,
    never,
    planned,
    streamed,
)
from tests.flows.stages.making import job

__all__ = ["make"]


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
    assert bench.provider.calls == []


def test_a_cancel_between_a_call_and_its_first_step_ends_it(make: Make):
    bench = make(never)

    def begin(starts: list[Start], loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(starts[0].go)
        bench.calls.cancel("default", "r")

    bench.ledger.begin = begin  # type: ignore[method-assign]
    bench.calls.loop.call_soon_threadsafe(time.sleep, 0.1)  # so that the loop finds both
    bench.begin(planned())
    ended = bench.end()

    assert code_of(ended) is Code.CANCELLED
    assert bench.fatal == []


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
