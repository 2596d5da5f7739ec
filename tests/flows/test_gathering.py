"""What recall gathers from."""

import asyncio

import pytest

from flows.app_recall import Off, memory_of, recalling
from flows.gathering import ReferencedContext, UsersMemory
from flows.settings_keys import SettingsError
from flows.settings_recall import Outside
from flows.stages.jobs import Failed, Gathered, Job
from flows.stages.limits import RecallPolicy
from schemas.cluster import Cluster
from schemas.codes import Code
from schemas.memories import MemoryPolicy, MemoryProblem
from schemas.references import Away, ContextRef, Forbidden, ReferencePolicy, Unfit
from tests.flows.stages.making import job

REF = {"url": "file:///data/x.txt"}


class FakeReferences:
    """Gives a text, or raises."""

    def __init__(self, result: str | Exception) -> None:
        self.result = result
        self.asked: list[tuple[str, str]] = []

    async def read(self, ref: ContextRef, tenant: str) -> tuple[str, object]:
        self.asked.append((ref.url, tenant))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result, "held"


def test_a_context_is_read_for_requests_that_name_one():
    references = FakeReferences("text")
    gatherer = ReferencedContext(references)
    asked = job(context_ref=REF, tenant="acme")

    assert (gatherer.wants(asked), gatherer.wants(job())) == (True, False)
    assert asyncio.run(gatherer.gather(asked)) == Gathered(context="text", hold="held")
    assert asyncio.run(gatherer.gather(job())) == Gathered()
    assert references.asked == [("file:///data/x.txt", "acme")]


@pytest.mark.parametrize(
    ("problem", "code", "field", "dead_letter"),
    [
        (Forbidden("no"), Code.INVALID_REQUEST, "context_ref.url", True),
        (Unfit("no", "sha256"), Code.INVALID_REQUEST, "context_ref.sha256", True),
        (Away("no"), Code.MODEL_UNAVAILABLE, "context_ref.url", False),
    ],
)
def test_a_problem_with_the_reference_names_its_field(
    problem: Exception, code: Code, field: str, dead_letter: bool
):
    failed = asyncio.run(ReferencedContext(FakeReferences(problem)).gather(job(context_ref=REF)))

    assert failed == Failed(code, f"`{field}`: no", "recall", field=field, dead_letter=dead_letter)


def test_recall_as_it_is_composed_reads_what_the_settings_allow(tmp_path: object):
    path = f"{tmp_path}/x.txt"
    with open(path, "w", encoding="utf-8") as file:
        file.write("the text")

    async def run(policy: ReferencePolicy) -> object:
        made = recalling(Outside(RecallPolicy(), policy), Off(), asyncio.get_running_loop())
        asked = job(context_ref={"url": f"file://{path}"})
        assert made.waits(asked)
        return await made.gather(asked)

    found = asyncio.run(run(ReferencePolicy((f"file://{tmp_path}",))))
    refused = asyncio.run(run(ReferencePolicy()))

    assert isinstance(found, Job)
    assert "the text" in str(found.messages[0].content)
    assert "weir.references.roots" in str(refused)


def test_a_root_that_cannot_be_one_is_an_error_of_the_settings():
    with pytest.raises(SettingsError, match=r"weir\.references\.roots: http://x: "):
        asyncio.run(compose(("http://x",)))


async def compose(roots: tuple[str, ...]) -> None:
    recalling(Outside(references=ReferencePolicy(roots)), Off(), asyncio.get_running_loop())


class FakeMemory:
    """Finds a list, or raises."""

    def __init__(self, result: list[str] | Exception) -> None:
        self.result = result
        self.asked: list[tuple[str, str, str]] = []

    async def search(self, query: str, tenant: str, user: str) -> list[str]:
        self.asked.append((query, tenant, user))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("mode", "wanted"), [("read", True), ("read_write", True), ("write", False), (None, False)]
)
def test_memory_is_searched_for_requests_that_read_it(mode: str | None, wanted: bool):
    assert UsersMemory(FakeMemory([])).wants(job(memory=mode, user="ada")) is wanted


def test_memories_of_the_user_that_fit_the_last_question_are_gathered():
    memory = FakeMemory(["tea", "cake"])
    turns = [{"role": "user", "content": "first"}, {"role": "user", "content": "x" * 3000}]
    asked = job(memory="read", user="ada", tenant="acme", messages=turns)

    assert asyncio.run(UsersMemory(memory).gather(asked)) == Gathered(
        memories=("tea", "cake"), notes={"memory": "2 recalled"}
    )
    assert memory.asked == [("x" * 2000, "acme", "ada")]


def test_a_broken_memory_fails_no_request():
    memory = FakeMemory(MemoryProblem("it is broken"))

    assert asyncio.run(UsersMemory(memory).gather(job(memory="read", user="ada"))) == Gathered(
        notes={"memory": "went on without: it is broken"}
    )


def test_a_memory_that_is_switched_off_is_said_to_be():
    off = memory_of(Cluster(), Outside(memory=MemoryPolicy(store="off")))
    found = asyncio.run(UsersMemory(off).gather(job(memory="read", user="ada")))
    off.close()

    assert isinstance(found, Gathered)
    assert found.notes == {"memory": "went on without: it is switched off (weir.memory.store)"}
