"""`weir submit`, on the real broker with a stand-in for the flow: above all, nothing is asked twice."""

import signal
import time
from collections.abc import Generator
from pathlib import Path

import orjson
import pytest

from flows import cli_submit
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


def written(path: Path, prompts: list[str]) -> str:
    path.write_bytes(b"".join(orjson.dumps({"prompt": prompt}) + b"\n" for prompt in prompts))
    return str(path)


def read(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def line_of(event: dict[str, object]) -> int:
    number = event["line"]
    assert isinstance(number, int)
    return number


def test_every_line_gets_its_answer(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", [f"q{at}" for at in range(1, 31)])
    with Answering(topics.cluster) as answering:
        outcome = weir("submit", given, "-o", str(tmp_path / "out.jsonl"), "--json")

    answers = read(tmp_path / "out.jsonl")
    assert outcome.code == 0
    assert {(one["line"], one["response"]) for one in answers} == {(at, f"echo q{at}") for at in range(1, 31)}
    assert sum(answering.calls.values()) == 30
    summary = orjson.loads(outcome.out)
    assert (summary["answered"], summary["asked"], summary["tokens"]) == (30, 30, 150)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_repeated_run_asks_nothing_and_says_the_same(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["a", "b"])
    with Answering(topics.cluster) as answering:
        weir("submit", given, "-o", str(tmp_path / "out.jsonl"))
        before = (tmp_path / "out.jsonl").read_bytes()
        outcome = weir("submit", given, "-o", str(tmp_path / "out.jsonl"))

    assert outcome.code == 0
    assert "2 lines: 2 answered, 0 failed; 0 asked now" in outcome.err
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert sum(answering.calls.values()) == 2


def test_run_with_another_output_takes_the_answers_from_the_topic(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["a", "b"])
    with Answering(topics.cluster) as answering:
        weir("submit", given, "-o", str(tmp_path / "one.jsonl"))
        outcome = weir("submit", given, "-o", "-")

    assert [orjson.loads(line)["line"] for line in sorted(outcome.out.splitlines())] == [1, 2]
    assert sum(answering.calls.values()) == 2


def test_killed_submit_goes_on_and_makes_no_second_call(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", [f"q{at}" for at in range(60)])
    out = tmp_path / "out.jsonl"
    with Answering(topics.cluster, delay_s=0.05) as answering:
        process = weir.start("submit", given, "-o", str(out), "--in-flight", "10")
        end_s = time.monotonic() + 30
        while not (out.exists() and out.read_bytes().count(b"\n") >= 5):
            assert time.monotonic() < end_s
            time.sleep(0.01)
        process.kill()
        process.communicate()
        out.write_bytes(out.read_bytes() + b'{"line": 59, "half')
        outcome = weir("submit", given, "-o", str(out))

    assert outcome.code == 0
    assert sorted(line_of(one) for one in read(out)) == list(range(1, 61))
    assert set(answering.calls.values()) == {1}
    assert len(answering.calls) == 60


def test_interrupt_says_how_to_go_on(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["a", "wait"])
    with Answering(topics.cluster) as answering:
        process = weir.start("submit", given, "-o", str(tmp_path / "out.jsonl"))
        while len(answering.calls) < 2:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "the same command goes on from here" in err


def test_bad_lines_are_named_and_do_not_stop_the_rest(weir: Weir, topics: Topics, tmp_path: Path):
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\nnot json\n\n{"promt": "b"}\n{"prompt": "c"}')
    with Answering(topics.cluster):
        outcome = weir("submit", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out"), "--ordered")

    assert outcome.code == 1
    assert "line 2: not JSON" in outcome.err
    assert "line 4: " in outcome.err
    assert [one["line"] for one in read(tmp_path / "out")] == [1, 2, 4, 5]
    assert "error" in read(tmp_path / "out")[1]


def test_failed_line_is_asked_again_only_on_demand(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["a", "flaky"])
    args = ("submit", given, "-o", str(tmp_path / "out.jsonl"))
    with Answering(topics.cluster) as answering:
        assert "line 2: model_unavailable" in weir(*args).err
        assert "0 asked now" in weir(*args).err
        assert sum(answering.calls.values()) == 2
        outcome = weir(*args, "--retry-failed")

    assert outcome.code == 0
    assert "1 asked now" in outcome.err
    assert [one.get("response") for one in read(tmp_path / "out.jsonl")] == ["echo a", "echo flaky"]


def test_silence_ends_the_run_and_says_how_to_go_on(weir: Weir, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["a"])

    outcome = weir("submit", given, "-o", str(tmp_path / "out.jsonl"), "--timeout", "300ms")

    assert outcome.code == 1
    assert "no answer for 0.3 s; stopped with 0 lines done and 1 waiting: the same command" in outcome.err


def test_answers_come_in_the_order_of_the_input_when_ordered(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", [f"q{at}" for at in range(40)])
    with Answering(topics.cluster):
        outcome = weir("submit", given, "--ordered")

    assert [orjson.loads(line)["line"] for line in outcome.out.splitlines()] == list(range(1, 41))


def test_rate_spreads_the_requests(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", [f"q{at}" for at in range(20)])
    with Answering(topics.cluster):
        outcome = weir("submit", given, "-o", str(tmp_path / "out"), "--rate", "20", "--json")

    assert orjson.loads(outcome.out)["took_s"] >= 0.8


@pytest.mark.parametrize(("terminal", "said"), [(True, "2/2"), (False, " of 2 lines done")])
def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(
    weir: Weir,
    topics: Topics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    said: str,
):
    monkeypatch.setattr(cli_submit, "PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Answering(topics.cluster):
        outcome = weir("submit", written(tmp_path / "in.jsonl", ["a", "b"]), "-o", str(tmp_path / "out"))

    assert outcome.code == 0
    assert said in outcome.err


def test_damaged_state_file_starts_afresh_and_still_asks_nothing_twice(
    weir: Weir, topics: Topics, tmp_path: Path
):
    given = written(tmp_path / "in.jsonl", ["a", "wait"])
    args = ("submit", given, "-o", str(tmp_path / "out"), "--timeout", "500ms")
    with Answering(topics.cluster) as answering:
        assert weir(*args).code == 1
        (tmp_path / "out.weir-submit.json").write_text("{")
        (tmp_path / "out").unlink()
        assert weir(*args).code == 1

    assert [one["line"] for one in read(tmp_path / "out")] == [1]
    assert set(answering.calls.values()) == {1}


def test_many_failed_lines_are_not_all_named(weir: Weir, topics: Topics, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["fail"] * 25)
    with Answering(topics.cluster):
        outcome = weir("submit", given, "-o", str(tmp_path / "out"), "--tenant", "acme")

    assert outcome.code == 1
    assert "and 5 more" in outcome.err
    assert {one["tenant"] for one in read(tmp_path / "out")} == {"acme"}


def test_output_of_something_else_is_left_alone(weir: Weir, tmp_path: Path):
    given = written(tmp_path / "in.jsonl", ["a"])
    (tmp_path / "out.jsonl").write_text("my diary\n")

    outcome = weir("submit", given, "-o", str(tmp_path / "out.jsonl"))

    assert outcome.code == 1
    assert "not ours to append to" in outcome.err
    assert (tmp_path / "out.jsonl").read_text() == "my diary\n"


def test_lines_come_from_stdin_and_the_output_feeds_another_program(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        process = weir.start("submit", "-", shell='<<< \'{"prompt": "a"}\' | head -1')
        out, err = process.communicate(timeout=30)

    assert orjson.loads(out)["response"] == "echo a", err


def test_broker_that_is_down_is_one_line_and_exit_1(
    weir: Weir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", DEAD)

    outcome = weir("submit", written(tmp_path / "in.jsonl", ["a"]))

    assert outcome.code == 1
    assert DEAD in outcome.err


@pytest.mark.parametrize(
    ("args", "said"), [(("missing-file",), "can't read"), (("-", "--job", "a b"), "--job takes")]
)
def test_wrong_use_is_exit_2(weir: Weir, args: tuple[str, ...], said: str):
    outcome = weir("submit", *args)

    assert outcome.code == 2
    assert said in outcome.err
