"""The commands with real workers and the embedded model: what a person at a terminal sees."""

import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from schemas.topics import REQUESTS, RESPONSES
from tests.support.command import Weir
from tests.support.kafka import Topics
from tests.support.worker import running_worker

pytestmark = pytest.mark.broker

LINES = 400
SHORT = timedelta(seconds=2)


@pytest.fixture
def weir(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Weir]:
    command = Weir(topics.cluster, monkeypatch, capsys)
    yield command
    command.close()


def test_question_is_answered_traced_and_settled(weir: Weir, topics: Topics, tmp_path: Path):
    (tmp_path / "context.md").write_text("The weir stands at Marlow. It was built in 1773.\n")
    with running_worker(topics.cluster, tmp_path / "worker.log"):
        asked = weir("ask", "When was the weir built?", "--context", str(tmp_path / "context.md"))
        event = orjson.loads(weir("ask", "Where does it stand?", "--json", "--context", __file__).out)
        kinds = wait_for_kinds(weir, event["request_id"], {"request", "response", "finished", "settled"})

    assert asked.code == 0
    assert "1773" in asked.out
    assert asked.err.startswith("extractive:extractive, ")
    assert event["latency"]["total_ms"] > 0
    assert kinds[0] == "request"


def wait_for_kinds(weir: Weir, request_id: str, wanted: set[str]) -> list[str]:
    """What `weir trace` tells of a request once it has all of these."""
    end_s = time.monotonic() + 10
    while True:
        lines = weir("trace", request_id, "--json").out.splitlines()
        kinds = [orjson.loads(line)["what"] for line in lines]
        if wanted <= set(kinds):
            return kinds
        assert time.monotonic() < end_s, kinds
        time.sleep(0.1)


def test_broken_record_becomes_a_dead_letter_that_can_be_shown(weir: Weir, topics: Topics, tmp_path: Path):
    with running_worker(topics.cluster, tmp_path / "worker.log"):
        (place,) = topics.produce(REQUESTS, [b"{ not json"], key=b"k", partition=1)
        topics.consume(RESPONSES, 1)
        end_s = time.monotonic() + 10
        while not (letters := orjson.loads(weir("dlq", "list", "--json").out)):
            assert time.monotonic() < end_s
            time.sleep(0.1)

    assert letters[0]["code"] == "invalid_request"
    assert letters[0]["source"].endswith(f"/1/{place.offset}")
    assert orjson.loads(weir("dlq", "show", letters[0]["source"], "--json").out)["value"] == "{ not json"


def test_submit_outlives_a_killed_worker_and_gets_every_answer_once(
    weir: Weir, topics: Topics, tmp_path: Path
):
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [orjson.dumps({"prompt": f"{at}?", "context": f"It is {at}."}) for at in range(LINES)]
    given.write_bytes(b"\n".join(lines))
    with running_worker(topics.cluster, tmp_path / "first.log") as worker:
        process = weir.start("submit", str(given), "-o", str(out), "--rate", "200", "--timeout", "40s")
        end_s = time.monotonic() + 30
        while not (out.exists() and out.read_bytes().count(b"\n") > 50):
            assert time.monotonic() < end_s
            time.sleep(0.02)
        worker.kill()
        worker.wait()
        with running_worker(topics.cluster, tmp_path / "second.log"):
            _, err = process.communicate(timeout=90)

    answers = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert process.returncode == 0, err
    assert sorted(one["line"] for one in answers) == list(range(1, LINES + 1))
    sources = [
        dict(one.headers)["source"] for one in topics.consume(RESPONSES, LINES * 2, SHORT) if one.value
    ]
    assert len(sources) == len(set(sources)) == LINES


def test_tail_of_a_real_worker_goes_through_a_pipe(weir: Weir, topics: Topics, tmp_path: Path):
    with running_worker(topics.cluster, tmp_path / "worker.log"):
        weir("ask", "hi")
        process = weir.start("tail", "usage", "--from", "beginning", "--until-end", shell="| head -2")
        out, err = process.communicate(timeout=30)

    assert out.count("\n") == 2
    assert "fence" in out
    assert err == ""
