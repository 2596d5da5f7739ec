"""Idempotency keys: answered once, whichever gateway is asked, whatever crashed in between."""

import asyncio

import pytest

from connectors.gateway.exchange import keeping
from connectors.gateway.exchange.exchange import KafkaExchange
from connectors.gateway.exchange.rules import claims
from connectors.gateway.ports import Answers, Lost, Problem
from schemas.chunks import Chunk
from schemas.requests import Request
from schemas.responses import Response
from tests.connectors.gateway.exchange.conftest import ADA, BOB, Lab, all_of, asking, text
from tests.support.replying import Replying

THREE = "0 ......1 ......2 ......"
ELSE = ADA.__class__("key-else", "acme", ADA.scopes)


def calls(workers: Replying, *answers: Answers) -> int:
    """How many calls were made for these."""
    return sum(workers.calls[request_id] for request_id in {each.request_id for each in answers})


async def end_of(answers: Answers) -> Chunk | Response | Lost:
    return (await all_of(answers))[-1]


def test_the_same_key_gets_the_stored_answer_from_any_gateway(lab: Lab):
    async def play() -> None:
        one, other = lab.one, lab.other
        first = await one.ask(asking(), ADA, key="k1")
        shown = await all_of(first)

        again = await one.ask(asking(), ADA, key="k1")
        elsewhere = await other.ask(asking(), ADA, key="k1")

        assert first.request_id == again.request_id == elsewhere.request_id
        for stored in (again, elsewhere):
            items = await all_of(stored)
            assert (text(items), items[-1]) == (text(shown), shown[-1])
        assert calls(lab.workers, first, again, elsewhere) == 1

    lab.run(play)


def test_the_same_key_follows_the_answer_that_is_being_made(lab: Lab):
    async def play() -> None:
        one, other = lab.one, lab.other
        asked = asking(chunks=6, every_ms=100)
        first = await one.ask(asked, ADA, key="k2")
        await anext(aiter(first))

        here = await one.ask(asked, ADA, key="k2")
        there = await other.ask(asked, ADA, key="k2")
        texts = [text(await all_of(each)) for each in (here, there)]

        assert texts[0] == texts[1]
        assert texts[0].count(" ") == 6
        assert calls(lab.workers, first, here, there) == 1

    lab.run(play)


def test_the_same_key_at_the_same_time_is_one_request(lab: Lab):
    async def play() -> None:
        exchanges = [lab.one, lab.other]
        asked = [exchanges[n % 2].ask(asking(), ADA, key="k3") for n in range(6)]

        answers = await asyncio.gather(*asked)

        assert len({each.request_id for each in answers}) == 1
        assert {text(await all_of(each)) for each in answers} == {THREE}
        assert calls(lab.workers, *answers) == 1

    lab.run(play)


def test_a_gateway_that_died_between_claim_and_request_loses_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    async def play() -> None:
        one, other = lab.one, lab.other

        async def dies(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(KafkaExchange, "put", dies)
            with pytest.raises(RuntimeError):
                await one.ask(asking(), ADA, key="k4")

        again = await other.ask(asking(), ADA, key="k4")

        assert text(await all_of(again)) == THREE
        assert calls(lab.workers, again) == 1

    lab.run(play)


def test_a_request_that_was_written_may_be_sent_again_and_is_still_called_once(lab: Lab):
    async def play() -> None:
        one, other = lab.one, lab.other
        asked = asking(chunks=3, every_ms=200)
        first = await one.ask(asked, ADA, key="k5")
        again = await other.ask(asked, ADA, key="k5")

        assert text(await all_of(again)) == THREE
        assert lab.workers.records[first.request_id] == 2
        assert calls(lab.workers, first, again) == 1

    lab.run(play)


def test_another_request_with_the_same_key_is_a_conflict(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        await end_of(await exchange.ask(asking(), ADA, key="k6"))

        with pytest.raises(Problem) as told:
            await exchange.ask(asking(prompt="something else"), ADA, key="k6")

        assert (told.value.status, told.value.code) == (422, "conflict")

    lab.run(play)


def test_keys_belong_to_their_caller(lab: Lab):
    async def play() -> None:
        exchange = lab.one

        answers = [await exchange.ask(asking(), caller, key="k7") for caller in (ADA, BOB, ELSE)]

        assert len({each.request_id for each in answers}) == 3

    lab.run(play)


@pytest.mark.parametrize(("fault", "requests"), [("fail", 2), ("refuse", 1)])
def test_a_failure_that_may_pass_frees_its_key(lab: Lab, fault: str, requests: int):
    async def play() -> None:
        exchange, other = lab.one, lab.other
        first = await exchange.ask(asking(fault=fault), ADA, key=f"k8-{fault}")
        await end_of(first)

        again = await exchange.ask(asking(fault=fault), ADA, key=f"k8-{fault}")
        await end_of(again)
        third = await other.ask(asking(fault=fault), ADA, key=f"k8-{fault}")
        await end_of(third)

        assert len({first.request_id, again.request_id}) == requests
        assert len({first.request_id, again.request_id, third.request_id}) == (3 if requests == 2 else 1)

    lab.run(play)


def test_a_request_whose_deadline_has_passed_without_an_answer_frees_its_key(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keeping, "SLACK_MS", 0)

    async def play() -> None:
        exchange = lab.one
        asked = asking(fault="silent").model_copy(update={"timeout_ms": 50})
        first = await exchange.ask(asked, ADA, key="k9")
        await first.close(cancel=False)
        await asyncio.sleep(0.1)

        again = await exchange.ask(asked, ADA, key="k9")

        assert again.request_id != first.request_id
        await again.close(cancel=False)

    lab.run(play)


def test_an_old_request_is_followed_and_not_sent_again(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claims, "RESEND_MS", 0)

    async def play() -> None:
        one, other = lab.one, lab.other
        asked = asking(every_ms=200)
        first = await one.ask(asked, ADA, key="k10")
        again = await other.ask(asked, ADA, key="k10")

        assert text(await all_of(again)) == THREE
        assert lab.workers.records[first.request_id] == 1

    lab.run(play)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_empty_or_too_long_is_refused(lab: Lab, key: str):
    async def play() -> None:
        exchange = lab.one
        with pytest.raises(Problem) as told:
            await exchange.ask(asking(), ADA, key=key)
        assert told.value.status == 400

    lab.run(play)


def test_an_answer_is_found_by_its_id_while_it_is_made_and_after(lab: Lab):
    async def play() -> None:
        one, other = lab.one, lab.other
        asked = await one.ask(asking(stream=False), ADA, key="k11")
        silent = await one.ask(asking(stream=False, fault="silent"), ADA, key="k12")
        await end_of(asked)

        found = await all_of(await other.find(asked.request_id, ADA))
        waiting = await other.find(silent.request_id, ADA)

        assert isinstance(found[0], Response)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(aiter(waiting))
        await waiting.close(cancel=False)

    lab.run(play)


def test_an_unknown_id_and_another_tenants_are_not_found(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        kept = await exchange.ask(asking(), ADA, key="k13")
        bare = await exchange.ask(asking(), ADA)

        for request_id, caller in ((kept.request_id, BOB), (bare.request_id, ADA), ("req_no", ADA)):
            with pytest.raises(Problem) as told:
                await exchange.find(request_id, caller)
            assert told.value.status == 404

    lab.run(play)


def test_a_stored_answer_names_its_start_and_its_end(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        await end_of(await exchange.ask(asking(), ADA, key="k14"))
        stored = await exchange.ask(asking(), ADA, key="k14")
        start = stored.token
        await all_of(stored)
        await stored.close(cancel=True)

        assert text(await all_of(await exchange.resume(start, ADA))) == THREE
        assert await all_of(await exchange.resume(stored.token, ADA)) == []

    lab.run(play)


def test_records_that_cannot_be_read_are_counted_and_skipped(lab: Lab):
    async def play() -> None:
        exchange = await lab.fresh()
        exchange.keeping.post("x", b"{}")
        exchange.keeping.post("resumed/x", b"[]")

        assert text(await all_of(await exchange.ask(asking(), ADA, key="k15"))) == THREE
        assert exchange.counters()["unreadable_claims"] == 2

    lab.run(play)


def test_claims_that_are_not_read_in_time_are_told(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        with pytest.raises(Problem) as told:
            await exchange.keeping.read_up_to(10**12, 0.05)
        assert told.value.status == 503

    lab.run(play)


def test_a_request_is_the_same_with_another_deadline(lab: Lab):
    async def play() -> None:
        exchange = lab.one
        first = await exchange.ask(asking(), ADA, key="k16")
        await end_of(first)
        later = Request.model_validate(asking().model_dump(exclude_none=True) | {"timeout_ms": 9000})

        assert (await exchange.ask(later, ADA, key="k16")).request_id == first.request_id

    lab.run(play)
