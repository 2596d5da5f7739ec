"""Calls on the real loop over stand-ins: started first, asked again, retried."""

import asyncio
import time

from flows import drive
from schemas.calls import Missing, Refused, Throttled, Unavailable
from schemas.codes import Code
from tests.flows.calling_bench import Make, code_of, make, tries
from tests.flows.doubles import (
    ANSWER,
    planned,
)

__all__ = ["make"]


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


def test_a_partition_that_went_meanwhile_is_not_called_for(make: Make):
    bench = make()
    bench.door.ours = False
    ended = bench.run()

    assert bench.provider.calls == []
    assert (ended.answer, ended.failed, ended.attempts) == (None, None, [])


def test_nor_is_one_that_went_before_a_further_attempt(make: Make):
    bench = make(Unavailable("down"))
    bench.ledger.may = False  # asked for further attempts only: a first one asks the door
    ended = bench.run()

    assert len(bench.provider.calls) == 1
    assert (ended.answer, ended.failed, ended.attempts) == (None, None, [])


def test_the_first_attempts_of_a_batch_are_noted_together(make: Make):
    bench = make()
    noted: list[int] = []
    begin = bench.ledger.begin
    bench.ledger.begin = lambda starts, loop: (noted.append(len(starts)), begin(starts, loop))[1]  # type: ignore[method-assign]
    bench.begin(planned(), planned(), planned())
    ends = [bench.end() for _ in range(3)]

    assert noted == [3]
    assert [ended.answer for ended in ends] == [ANSWER] * 3


def test_out_of_lease_a_call_is_held_and_goes_on_with_it(make: Make):
    bench = make()
    bench.lease = False
    bench.begin(planned())
    bench.until(lambda: bench.ledger.entries)
    time.sleep(drive.HOLD_S * 1.5)
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
