"""Large contexts and memory with a real worker: read, recalled by the next request, forgotten, kept apart."""

import time
from collections.abc import Generator
from pathlib import Path

import orjson
import pytest

from connectors.kafka.broker import EmbeddedBroker
from connectors.memory.records import remembered
from schemas.base import JsonObject
from tests.support.command import Weir
from tests.support.installation import Installation, installed
from tests.support.kafka import fresh_topics

pytestmark = pytest.mark.broker

FACT = "The gate code of the north weir is 4711."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("memory")


@pytest.fixture(scope="module")
def weir(broker: EmbeddedBroker, folder: Path) -> Generator[Installation]:
    ours: JsonObject = {
        "references": {"roots": [f"file://{folder}/contexts"]},
        "memory": {"folder": f"{folder}/index"},
    }
    (folder / "contexts").mkdir()
    with installed(fresh_topics(broker), folder, [], ours) as installation:
        yield installation


@pytest.fixture
def command(
    weir: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Weir]:
    made = Weir(weir.topics.cluster, monkeypatch, capsys)
    yield made
    made.close()


def answer(weir: Installation, request_id: str, **fields: object) -> JsonObject:
    weir.ask({"request_id": request_id, "model": "extractive", **fields})
    (got,) = weir.answers(request_id)
    return got.value


def test_a_context_by_reference_is_answered_from(weir: Installation, folder: Path):
    filler = "Nothing of note happened on that day at the old mill.\n" * 2000
    (folder / "contexts" / "x.txt").write_text(f"{filler}\n{FACT}\n{filler}", encoding="utf-8")
    reference = {"url": f"file://{folder}/contexts/x.txt"}
    good = answer(weir, "ref-good", prompt="What is the gate code of the north weir?", context_ref=reference)
    bad = answer(weir, "ref-bad", prompt="hi", context_ref={"url": "file:///etc/passwd"})

    assert "4711" in good["response"]
    assert (bad["error"]["code"], bad["error"]["field"]) == ("invalid_request", "context_ref.url")


def recalled(weir: Installation, name: str, **fields: object) -> JsonObject:
    prompt = "What was the gate code of the north weir?"
    return answer(weir, name, prompt=prompt, memory="read", **fields)


def test_what_is_written_is_recalled_by_its_user_alone_until_it_is_forgotten(
    weir: Installation, command: Weir
):
    mine: JsonObject = {"user": "ada", "tenant": "acme"}
    first = recalled(weir, "before", **mine)
    written = answer(weir, "write", prompt=f"Remember: {FACT}", context=FACT, memory="write", **mine)
    found = until(lambda at: recalled(weir, f"found-{at}", **mine), "1 recalled")
    others = [
        recalled(weir, "other-user", user="bob", tenant="acme"),
        recalled(weir, "other-tenant", user="ada", tenant="other"),
    ]
    listed = orjson.loads(command("memory", "list", "--tenant", "acme", "--json").out)
    searched = orjson.loads(
        command("memory", "search", "gate codes", "--user", "ada", "--tenant", "acme", "--json").out
    )
    forgotten = command("memory", "forget", listed[0]["id"], "--tenant", "acme")
    again = until(lambda at: recalled(weir, f"again-{at}", **mine), "0 recalled")

    assert first["notes"] == {"memory": "0 recalled"}
    assert (written["memory"]["user"], written["memory"]["request_id"]) == ("ada", "write")
    assert "4711" in found["response"]
    assert [one["notes"] for one in others] == [{"memory": "0 recalled"}] * 2
    assert listed == searched == [written["memory"]]
    assert forgotten.out == "1 forgotten\n"
    assert "4711" not in again["response"]
    assert remembered(weir.topics.cluster) == {}


def until(ask: object, note: str) -> JsonObject:
    """Ask again until the remark is this one."""
    assert callable(ask)
    for at in range(40):
        got: JsonObject = ask(at)
        if got["notes"]["memory"] == note:
            return got
        time.sleep(0.1)
    raise AssertionError(got)
