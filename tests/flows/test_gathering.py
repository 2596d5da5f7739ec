"""What recall gathers from."""

import asyncio

import pytest

from flows.app_recall import recalling
from flows.gathering import ReferencedContext
from flows.settings_keys import SettingsError
from flows.settings_recall import Outside
from flows.stages.jobs import Failed, Gathered, Job
from flows.stages.limits import RecallPolicy
from schemas.codes import Code
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
        made = recalling(Outside(RecallPolicy(), policy), asyncio.get_running_loop())
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
    recalling(Outside(references=ReferencePolicy(roots)), asyncio.get_running_loop())
