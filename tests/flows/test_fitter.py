"""Fitting into windows: what is asked, what is compressed, and how it ends."""

import asyncio
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from flows import compressing
from flows.calibrations import Calibrations
from flows.fitter import Fitter, FitterPorts
from flows.ports import PoolProblem
from flows.stages.catalogue import Catalogue
from flows.stages.content import Content
from flows.stages.count import count
from flows.stages.estimates import assumed
from flows.stages.health import Health
from flows.stages.jobs import CallPlan, Ended, Job, Work
from flows.stages.recall import recall
from flows.stages.route import ASKED, Windows
from flows.stages.route import route as choose
from schemas.calls import Call, Route
from schemas.codes import Code
from tests.flows.stages.compression.making import WordCounter
from tests.flows.stages.making import job, route

CONTEXT = "\n\n".join(f"Gate {at} of lake {at} was opened by Marta in {1900 + at}." for at in range(60))
OPENAI = route("openai:small", max_input_tokens=500)
LARGE = route("openai:large", max_input_tokens=50_000)
CLAUDE = route("anthropic:c", max_input_tokens=500)
ASK = "Who opened gate 7, and when?"


@dataclass
class Outside:
    """A pool within this process, and a provider that counts as it is told."""

    counted: Callable[[Call], int | None] = lambda call: None
    calls: list[Call] = field(default_factory=list[Call])
    tasks: int = 0
    wait_s: float = 0
    problem: str = ""

    async def run(self, piece: bytes) -> bytes:
        self.tasks += 1
        await asyncio.sleep(self.wait_s)
        if self.problem:
            raise PoolProblem(self.problem)
        return compressing.answer(piece, WordCounter(), None)

    async def count(self, call: Call) -> int | None:
        self.calls.append(call)
        return self.counted(call)


def calibrations() -> Calibrations:
    return Calibrations("w", lambda provider: assumed(provider, "o200k"))


def routed(*routes: Route, learnt: Calibrations | None = None, **fields: object) -> Job:
    """A job on its way, counted and with its plan."""
    asked = count(recall(job(prompt=ASK, **fields)), WordCounter())
    known = learnt or calibrations()
    plan = choose(asked, Catalogue(routes), Health(), 0, Windows(known, ASKED))
    assert isinstance(plan, CallPlan), plan
    asked.plan = plan
    return asked


def fitted(asked: Job, outside: Outside, learnt: Calibrations | None = None) -> Work:
    async def play() -> Work:
        ports = FitterPorts(outside.run, outside.count, learnt or calibrations(), ASKED)
        fitter = Fitter(ports, asyncio.get_running_loop())
        assert fitter.waits(asked)
        return await fitter.fit_first(asked)

    return asyncio.run(play())


def words(asked: Job, name: str) -> int:
    measured = asked.fitted[name].measured
    return measured.text_tokens + measured.flat_tokens


def test_what_has_room_never_waits():
    outside = Outside()
    loop = asyncio.new_event_loop()
    loop.close()
    fitter = Fitter(FitterPorts(outside.run, outside.count, calibrations(), ASKED), loop)
    asked = routed(LARGE, context=CONTEXT)

    assert not fitter.waits(asked)
    assert not fitter.waits(Ended(asked.record))


def test_a_context_is_compressed_to_the_window_with_room_for_an_answer():
    asked = routed(OPENAI, context=CONTEXT)
    before = asked.input_tokens
    outside = Outside()

    assert fitted(asked, outside) is asked
    found = asked.fitted["openai:small"]
    assert before > 500
    assert words(asked, "openai:small") * 1.05 <= 500 - 125
    assert "Marta in 1907" in str(found.messages[0].content)
    assert found.record is not None
    assert found.record.method == "context: extract"
    assert (outside.tasks, outside.calls) == (1, [])
    assert CONTEXT in str(asked.messages[0].content)


def test_an_answers_limit_is_the_room_it_gets():
    asked = routed(OPENAI, context=CONTEXT, max_tokens=20)
    fitted(asked, Outside())

    assert 400 < words(asked, "openai:small") * 1.05 <= 480


def test_near_the_window_the_provider_is_asked_and_its_count_decides_and_teaches():
    asked = routed(CLAUDE, context=CONTEXT[:1600])
    outside, learnt = Outside(lambda call: 480), calibrations()

    assert fitted(asked, outside, learnt) is asked
    found = asked.fitted["anthropic:c"]
    assert (found.exact_tokens, found.record, outside.tasks) == (480, None, 0)
    assert found.messages == asked.messages
    assert outside.calls[0].messages == asked.messages
    assert learnt._known(CLAUDE).errors[Content.PROSE].calls == pytest.approx(1)


def test_a_provider_that_does_not_answer_leaves_our_own_bound():
    asked = routed(CLAUDE, context=CONTEXT[:1600])
    outside = Outside(lambda call: None)
    fitted(asked, outside)

    assert asked.fitted["anthropic:c"].exact_tokens is None
    assert asked.fitted["anthropic:c"].record is not None
    assert words(asked, "anthropic:c") * 1.68 <= 375


def test_what_is_compressed_for_a_provider_that_counts_is_asked_again_until_it_fits():
    asked = routed(CLAUDE, context=CONTEXT)
    outside = Outside(lambda call: 2 * sum(len(str(each.content).split()) for each in call.messages))
    fitted(asked, outside)

    exact = asked.fitted["anthropic:c"].exact_tokens
    assert exact is not None
    assert 200 < exact <= 375


def test_reject_and_upgrade_end_by_the_providers_count():
    rejected = routed(CLAUDE, context=CONTEXT[:1600], overflow="reject")
    ended = fitted(rejected, Outside(lambda call: 501))

    assert isinstance(ended, Ended)
    assert ended.failed is not None
    assert ended.failed.code is Code.TOKEN_LIMIT_EXCEEDED
    assert ended.failed.message.startswith("501 input tokens and 0 wanted")
    upgraded = routed(CLAUDE, LARGE, context=CONTEXT[:1600], overflow="upgrade")
    assert fitted(upgraded, Outside(lambda call: 501)) is upgraded
    assert upgraded.plan is not None
    assert [each.route.name for each in upgraded.plan.routes] == ["openai:large"]
    assert upgraded.plan.reason == "anthropic:c is too small"


def test_what_must_stay_and_is_too_large_fails_with_the_numbers():
    turns = [{"role": "system", "content": CONTEXT}, {"role": "user", "content": ASK}]
    asked = count(recall(job(messages=turns)), WordCounter())
    plan = choose(asked, Catalogue((OPENAI,)), Health(), 0, Windows(calibrations(), ASKED))
    assert isinstance(plan, CallPlan)
    asked.plan = plan
    ended = fitted(asked, Outside())

    assert isinstance(ended, Ended)
    assert ended.failed is not None
    assert ended.failed.code is Code.TOKEN_LIMIT_EXCEEDED
    assert "what must stay of it is too large" in ended.failed.message
    assert "500" in ended.failed.message


def test_a_pool_that_fails_and_a_deadline_that_comes_end_the_request_clearly():
    broken = fitted(routed(OPENAI, context=CONTEXT), Outside(problem="2 processes died of it"))
    asked = routed(OPENAI, context=CONTEXT)
    asked.deadline_ms = round(time.time() * 1000) + 50
    late = fitted(asked, Outside(wait_s=5))

    assert isinstance(broken, Ended) and isinstance(late, Ended)  # noqa: PT018
    assert broken.failed is not None and late.failed is not None  # noqa: PT018
    assert (broken.failed.code, late.failed.code) == (Code.INTERNAL, Code.DEADLINE_EXCEEDED)
    assert "2 processes died of it" in broken.failed.message


def test_a_bug_in_the_child_is_told_as_its_text():
    assert pickle.loads(compressing.answer(pickle.dumps(7), WordCounter(), None)).startswith("AttributeError")


def test_a_fallback_with_a_smaller_window_gets_its_own_tighter_compression():
    asked = routed(LARGE, OPENAI, context=CONTEXT)
    outside = Outside()

    async def play() -> None:
        ports = FitterPorts(outside.run, outside.count, calibrations(), ASKED)
        fitter = Fitter(ports, asyncio.get_running_loop())
        assert asked.plan is not None
        for planned in asked.plan.routes:
            assert await fitter.fit_fallback(asked, planned) is None
            assert await fitter.fit_fallback(asked, planned) is None

    asyncio.run(play())
    assert list(asked.fitted) == ["openai:small"]
    assert words(asked, "openai:small") <= 375
    assert outside.tasks == 1
