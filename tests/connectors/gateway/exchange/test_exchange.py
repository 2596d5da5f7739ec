"""Requests out and answers back, on the real broker."""

import asyncio
import time
from collections.abc import Callable

import pytest

from connectors.gateway.exchange import cancels, stream
from connectors.gateway.exchange.exchange import KafkaExchange
from connectors.gateway.exchange.rules.tokens import read, sign
from connectors.gateway.parts import GatewaySettings
from connectors.gateway.ports import Answers, Lost, Problem
from connectors.kafka.errors import TopicMismatch
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.requests import MAX_REQUEST_BYTES, Request
from schemas.responses import Response
from schemas.topics import REQUESTS, RESPONSES
from tests.connectors.gateway.exchange.conftest import ADA, BOB, SECRET, Lab, all_of, asking, text
from tests.support.kafka import Topics

THREE = "0 ......1 ......2 ......"


async def until(is_so: Callable[[], object], seconds: float = 5) -> None:
    """Wait for something that happens elsewhere."""
    end_s = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end_s, "it didn't happen"
        await asyncio.sleep(0.02)


def test_an_answer_comes_whole_and_its_request_lies_where_its_key_says(lab: Lab, shared: Topics):
    async def play() -> None:
        exchange = await lab.fresh()
        answers = await exchange.ask(asking(stream=False), ADA)

        (response,) = await all_of(answers)

        assert isinstance(response, Response)
        assert (response.response, response.tenant, response.request_id) == (
            THREE,
            "acme",
            answers.request_id,
        )
        assert answers.request_id.startswith("req_")
        assert exchange.gauges()["streams"] == 0

    lab.run(play)
    record = shared.consume(REQUESTS, 1)[0]
    sent = Request.model_validate_json(record.value)
    assert record.key == str(sent.request_id).encode()
    assert sent.reply_topic == shared.cluster.topic("reply.gateway")
    assert (sent.deadline_ms or 0) > time.time() * 1000


def test_a_stream_is_in_order_and_ends_with_its_response(lab: Lab):
    async def play() -> None:
        exchange = lab.one

        items = await all_of(await exchange.ask(asking(), ADA))

        assert [type(item) for item in items] == [Chunk, Chunk, Chunk, Response]
        assert text(items) == THREE

    lab.run(play)


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("repeat", "CCCR"),
        ("restart", "CCCCCR"),
        ("gap", "CL"),
        ("fail", "R"),
        ("no_copy", "CCCR"),
    ],
)
def test_faults_on_the_way_are_mended_or_told(
    lab: Lab, fault: str, kinds: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "COPY_WAIT_S", 0.3)

    async def play() -> None:
        exchange = await lab.fresh()

        items = await all_of(await exchange.ask(asking(fault=fault), ADA))

        assert "".join(type(item).__name__[0] for item in items) == kinds
        assert exchange.counters().get("found_elsewhere", 0) == (fault == "no_copy")

    lab.run(play)


def test_no_answer_before_the_deadline_is_lost(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "SLACK_MS", 0)

    async def play() -> None:
        exchange = lab.one
        request = asking(fault="silent").model_copy(update={"timeout_ms": 300})

        assert await all_of(await exchange.ask(request, ADA)) == [Lost("no answer came before the deadline")]

    lab.run(play)


def test_a_lost_copy_of_an_answer_without_pieces_is_found_at_the_deadline(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "SLACK_MS", 0)

    async def play() -> None:
        exchange = lab.one
        request = asking(stream=False, fault="no_copy").model_copy(update={"timeout_ms": 500})

        (found,) = await all_of(await exchange.ask(request, ADA))

        assert isinstance(found, Response)

    lab.run(play)


def test_a_slow_reader_is_bounded_and_still_gets_every_piece(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh()
        answers = await exchange.ask(asking(chunks=700, chars=2000), ADA)
        await until(lambda: lab.workers.calls[answers.request_id])
        await until(lambda: answers.window.overflows)  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)
        held = exchange.gauges()["held_bytes"]

        items = await all_of(answers)

        assert held == 0
        assert [item.seq for item in items if isinstance(item, Chunk)] == list(range(700))
        assert isinstance(items[-1], Response)
        assert exchange.counters()["caught_up"] >= 2

    lab.run(play)


def test_a_slow_reader_does_not_hold_up_the_others(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        idle = [await exchange.ask(asking(chunks=400, chars=500), ADA) for _ in range(3)]

        items = await all_of(await exchange.ask(asking(chunks=50, every_ms=5), ADA))

        assert text(items).count(".") > 50
        assert isinstance(items[-1], Response)
        for answers in idle:
            await answers.close(cancel=True)

    lab.run(play)


def test_closing_a_stream_cancels_its_request_and_ending_one_does_not(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh()
        ended = await exchange.ask(asking(), ADA)
        await all_of(ended)
        await ended.close(cancel=True)
        left = await exchange.ask(asking(fault="silent"), ADA)
        kept = await exchange.ask(asking(fault="silent"), ADA)

        await kept.close(cancel=False)
        await left.close(cancel=True)
        await left.close(cancel=True)

        await until(lambda: left.request_id in lab.workers.cancelled)
        assert not {ended.request_id, kept.request_id} & lab.workers.cancelled
        assert await all_of(left) == []
        assert exchange.counters()["cancelled"] == 1

    lab.run(play)


def test_a_stream_that_is_resumed_within_its_grace_is_not_cancelled(lab: Lab):
    async def play() -> None:
        one, other = lab.one, lab.other
        here = await one.ask(asking(fault="silent"), ADA)
        there = await one.ask(asking(fault="silent"), ADA)
        nobody = await one.ask(asking(fault="silent"), ADA)
        for answers in (here, there, nobody):
            await answers.close(cancel=True, grace_s=1.0)

        await one.resume(here.token, ADA)
        await other.resume(there.token, ADA)

        await until(lambda: nobody.request_id in lab.workers.cancelled)
        assert not {here.request_id, there.request_id} & lab.workers.cancelled

    lab.run(play)


def test_beyond_the_bound_of_graces_a_request_is_cancelled_at_once(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cancels, "MOST_GRACES", 0)

    async def play() -> None:
        exchange = lab.one
        answers = await exchange.ask(asking(fault="silent"), ADA)
        await answers.close(cancel=True, grace_s=60)

        await until(lambda: answers.request_id in lab.workers.cancelled)

    lab.run(play)


@pytest.mark.parametrize("seen", range(5))
def test_a_stream_goes_on_at_another_gateway_right_after_what_was_shown(lab: Lab, seen: int):
    async def play() -> None:
        one, other = lab.one, lab.other
        answers = await one.ask(asking(), ADA)
        shown = [await anext(aiter(answers)) for _ in range(seen)]
        token = answers.token
        await answers.close(cancel=False)

        rest = await all_of(await other.resume(token, ADA))

        assert text([*shown, *rest]) == THREE
        assert sum(isinstance(item, Response) for item in [*shown, *rest]) == 1

    lab.run(play)


def test_a_token_of_another_tenant_or_a_forged_one_finds_nothing(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        answers = await exchange.ask(asking(), ADA)
        token = answers.token

        for caller, given in ((BOB, token), (ADA, token[:-2] + "xx"), (ADA, "")):
            with pytest.raises(Problem) as told:
                await exchange.resume(given, caller)
            assert (told.value.status, told.value.code) == (404, "not_found")

    lab.run(play)


def test_pieces_that_are_not_kept_any_more_are_gone(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    async def play() -> None:
        exchange = lab.one
        answers = await exchange.ask(asking(), ADA)
        await all_of(answers)
        monkeypatch.setattr("connectors.kafka.reading.Reader.beginnings", _later)
        token = exchange.open(_begun(answers), live=False).token

        with pytest.raises(Problem) as told:
            await exchange.resume(token, ADA)

        assert (told.value.status, told.value.code) == (410, "gone")

    lab.run(play)


def _later(_: object, places: list[object]) -> dict[object, int]:
    return dict.fromkeys(places, 10**9)


def _begun(answers: Answers) -> object:
    return answers._place.model_copy(update={"ended": False})  # type: ignore[attr-defined]


def test_beyond_the_bound_of_requests_callers_are_told_to_come_again(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh(requests=1)
        first = await exchange.ask(asking(fault="silent"), ADA)

        with pytest.raises(Problem) as told:
            await exchange.ask(asking(), ADA)
        await first.close(cancel=False)
        again = await all_of(await exchange.ask(asking(), ADA))

        assert (told.value.status, told.value.headers["retry-after-ms"]) == (503, "1000")
        assert text(again) == THREE

    lab.run(play)


def test_beyond_the_bound_of_bytes_callers_are_told_to_come_again(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh(outgoing_bytes=10_000)
        large = [exchange.ask(asking(prompt="x" * 9_000), ADA) for _ in range(4)]

        outcomes = await asyncio.gather(*large, return_exceptions=True)

        assert 1 <= sum(isinstance(each, Problem) for each in outcomes) <= 3
        assert exchange.gauges()["outgoing_bytes"] == 0
        assert exchange.under_way == sum(not isinstance(each, Problem) for each in outcomes)

    lab.run(play)


def test_a_request_that_is_too_large_is_refused(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh()

        with pytest.raises(Problem) as told:
            await exchange.ask(asking(prompt="x" * MAX_REQUEST_BYTES), ADA)

        assert (told.value.status, told.value.code) == (413, "too_large")
        assert exchange.under_way == 0

    lab.run(play)


def test_a_caller_that_gives_up_while_its_request_is_written_leaves_nothing_running(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh()
        task = asyncio.create_task(exchange.ask(asking(fault="silent"), ADA))
        await asyncio.sleep(0)
        task.cancel()

        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        await until(lambda: exchange.counters()["cancelled"] == 1)
        assert exchange.under_way == 0

    lab.run(play)


def test_streams_that_are_open_at_the_end_are_lost_and_can_be_resumed(lab: Lab):
    async def play() -> None:
        one, other = await lab.fresh(), lab.other
        answers = await one.ask(asking(every_ms=100), ADA)
        first = await anext(aiter(answers))

        one.end_streams("it stops")
        rest = await all_of(answers)

        assert rest == [Lost("it stops")]
        assert isinstance(first, Chunk)
        assert text([first, *await all_of(await other.resume(_token(answers), ADA))]) == THREE

    lab.run(play)


def _token(answers: Answers) -> str:
    """The place of what was shown, though the end was told."""
    place = read(answers.token, SECRET)
    assert place is not None
    return sign(place.model_copy(update={"ended": False}), SECRET)


def test_a_gateway_of_several_reads_its_own_partitions_and_resumes_from_others(lab: Lab):
    async def play() -> None:
        one = await lab.fresh(ordinal=0, instances=2)
        other = await lab.fresh(ordinal=1, instances=2)
        answers = [await one.ask(asking(), ADA) for _ in range(5)]

        assert sorted(one.inbox.position) == [0, 2]
        assert sorted(other.inbox.position) == [1, 3]
        for each in answers:
            assert text(await all_of(await other.resume(each.token, ADA))) == THREE
            assert text(await all_of(each)) == THREE

    lab.run(play)


def test_more_instances_than_partitions_is_told_at_the_start(lab: Lab):
    async def play() -> None:
        with pytest.raises(TopicMismatch, match="no partition"):
            await lab.fresh(ordinal=7, instances=8)

    lab.run(play)


def test_topics_that_are_missing_are_told_at_the_start(lab: Lab):
    async def play() -> None:
        nowhere = Cluster(lab.cluster.bootstrap, prefix="nowhere.")
        exchange = KafkaExchange(nowhere, GatewaySettings(), lambda: b"")
        with pytest.raises(TopicMismatch):
            await exchange.start()
        await exchange.stop()

    lab.run(play)


def test_a_stream_that_nobody_reads_is_let_go_and_ends_as_lost(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "SLACK_MS", 0)
    monkeypatch.setattr(stream, "UNREAD_S", 0.2)

    async def play() -> None:
        exchange = await lab.fresh()
        answers = await exchange.ask(asking().model_copy(update={"timeout_ms": 100}), ADA)

        await until(lambda: exchange.under_way == 0)

        assert await all_of(answers) == [Lost("the answer was not read in time")]

    lab.run(play)


def test_models_are_those_it_was_given(lab: Lab):
    async def play() -> None:
        assert await lab.one.models() == [{"id": "auto"}]

    lab.run(play)


def test_the_response_lies_where_it_is_looked_for(lab: Lab, shared: Topics):
    async def play() -> None:
        exchange = lab.one
        answers = await exchange.ask(asking(), ADA)
        await all_of(answers)
        place = answers._place  # type: ignore[attr-defined]

        found = await exchange.desk.response(answers.request_id, place.home, place.asked_ms)

        assert found is not None
        assert found.request_id == answers.request_id
        assert await exchange.desk.response("req_no", place.home, place.asked_ms) is None

    lab.run(play)
    assert shared.consume(RESPONSES, 1)
