"""`weir ask` and `weir cancel`, on the real broker with a stand-in for the flow."""

import signal
import time
from collections.abc import Callable, Generator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from flows.cli_ask import build_request
from schemas.topics import REQUESTS
from tests.support.answering import Answering
from tests.support.command import DEAD, Weir
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


@pytest.fixture
def weir(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Weir]:
    command = Weir(topics.cluster, monkeypatch, capsys)
    yield command
    command.close()


def test_answer_streams_to_stdout_and_its_receipt_to_stderr(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        outcome = weir("ask", "hello there")

    assert (outcome.code, outcome.out) == (0, "echo hello there\n")
    assert outcome.err == "fake:echo, 3+2 tokens, $0.001000, 7 ms\n"


def test_second_attempt_starts_the_answer_anew_with_a_note(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        outcome = weir("ask", "twice")

    assert outcome.out == "echo twice\necho twice\n"
    assert "[attempt 2: starting again]" in outcome.err


def test_failure_is_one_line_on_stderr_and_exit_1(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        outcome = weir("ask", "fail")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "weir: model_unavailable: it is away\n"


def test_json_prints_the_response_event_alone(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        outcome = weir("ask", "hi", "--json")

    assert orjson.loads(outcome.out)["response"] == "echo hi"


def test_turn_of_a_conversation_is_answered_where_its_context_id_lies(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        outcomes = [weir("ask", "hi", "--no-stream", "--context-id", str(uuid4())) for _ in range(4)]

    assert [outcome.out for outcome in outcomes] == ["echo hi\n"] * 4


def test_context_comes_from_a_file(weir: Weir, topics: Topics, tmp_path: Path):
    (tmp_path / "context.md").write_text("what is known")
    with Answering(topics.cluster):
        weir("ask", "hi", "--context", str(tmp_path / "context.md"))

    assert orjson.loads(topics.consume(REQUESTS, 1)[0].value)["context"] == "what is known"


def test_nobody_answers_ends_after_the_timeout_with_what_to_do(weir: Weir):
    outcome = weir("ask", "hi", "--timeout", "200ms")

    assert outcome.code == 1
    assert "is a worker up" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("ask", ""), "not a request"),
        (("ask", "hi", "--timeout", "soon"), "not a duration"),
        (("ask", "hi", "--context", "missing-file"), "can't read missing-file"),
        (("ask", "-", "--context", "-"), "only one"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(weir: Weir, args: tuple[str, ...], said: str):
    outcome = weir(*args)

    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_binary_context_is_refused(weir: Weir, tmp_path: Path):
    (tmp_path / "context").write_bytes(b"\xff\xfe")

    assert "not UTF-8" in weir("ask", "hi", "--context", str(tmp_path / "context")).err


def test_question_and_context_over_8_mib_are_refused():
    with pytest.raises(ValueError, match="8 MiB"):
        build_request("hi", context="x" * (8 * 1024 * 1024), context_id=None, options={})


@pytest.mark.parametrize("args", [("ask", "hi"), ("cancel", "r")])
def test_broker_that_is_down_is_one_line_and_exit_1(
    weir: Weir, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", DEAD)

    outcome = weir(*args)

    assert outcome.code == 1
    assert DEAD in outcome.err
    assert outcome.err.count("\n") == 1


def test_topics_that_are_missing_are_named(weir: Weir, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WEIR_TOPIC_PREFIX", "nowhere.")

    outcome = weir("ask", "hi")

    assert outcome.code == 1
    assert "there is no topic nowhere.llm.responses; `weir up` creates the topics" in outcome.err


def test_cancel_reaches_the_control_topic(weir: Weir, topics: Topics):
    with Answering(topics.cluster) as answering:
        assert weir("cancel", "r-1").code == 0
        wait_until(lambda: answering.cancelled == {"r-1"})


def test_interrupt_cancels_the_request(weir: Weir, topics: Topics):
    with Answering(topics.cluster) as answering:
        process = weir.start("ask", "wait")
        wait_until(lambda: bool(answering.calls))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

        assert process.returncode == 130
        assert "is cancelled" in err
        wait_until(lambda: answering.cancelled == set(answering.calls))


def wait_until(condition: Callable[[], bool], bound_s: float = 15.0) -> None:
    end_s = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)
