"""Whole runs with a stand-in for the worker: clean where it is, and not where a rule is broken."""

import sys
import tempfile
from pathlib import Path

import pytest

from connectors.bench import cli
from connectors.bench.errors import BenchError, SetupError, WorkerError
from connectors.bench.options import Options
from connectors.bench.scenario import execute
from connectors.bench.scenarios import SCENARIOS
from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.clients import admin
from schemas.base import JsonObject
from schemas.cluster import Cluster

pytestmark = pytest.mark.broker

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in.py")))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs that a run leaves behind go with the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def small(broker: EmbeddedBroker, name: str, **given: object) -> Options:
    scenario = SCENARIOS[name]
    few: JsonObject = {"requests": 200, "latency_ms": 20.0, "session_ms": 2000, "partitions": 4}
    return Options(**scenario.defaults.filled(few | given), bootstrap=broker.bootstrap, worker=STAND_IN)


def silent(line: str) -> None:
    assert line


def run(broker: EmbeddedBroker, name: str, **given: object) -> JsonObject:
    return execute(SCENARIOS[name], small(broker, name, **given), silent)


def test_flood_that_keeps_the_rules_is_ok(broker: EmbeddedBroker):
    report = run(broker, "flood")

    assert report["requests"] == report["provider_calls"] == 200
    assert report["requests_per_s"] > 20
    assert report["provider_max_open"] > 1
    assert 0 < report["routing_ms_p50"] <= report["routing_ms_p99"]
    assert [name for name in report["failed"] if not name.startswith("cpu")] == []
    with admin(Cluster((broker.bootstrap,))) as client:
        assert not [name for name in client.list_topics() if name.startswith("bench-")]


@pytest.mark.parametrize(
    ("fault", "field", "count"),
    [("unstarted", "unstarted_calls", 104), ("silent", "lost", 10), ("twice", "duplicate_responses", 10)],
)
def test_broken_rule_is_counted(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, fault: str, field: str, count: int
):
    monkeypatch.setenv("STAND_IN", fault)
    monkeypatch.setattr("connectors.bench.scenarios.flood.PATIENCE_S", 3)

    report = run(broker, "flood", requests=100)

    assert report[field] == count
    assert f"{field} <= 0" in report["failed"]
    assert report["ok"] is False


def test_kill_of_a_worker_without_memory_is_counted(broker: EmbeddedBroker):
    report = run(broker, "kill", requests=300, rate=60.0)

    assert report["exit_codes"] == [-9]
    assert report["lost"] == 0
    assert min(report[name] for name in ("duplicate_responses", "repaid_calls", "unflagged_unknowns")) > 0
    assert report["gap_s"] > 0.2
    assert report["finished_again"] >= report["repaid_calls"]
    assert report["gaps_s"] == [report["gap_s"]]
    assert report["provider_latency_s"] == 0.02
    assert report["gap_less_latency_s"] == pytest.approx(report["gap_s"] - 0.02)


def test_sigterm_without_memory_repeats_calls(broker: EmbeddedBroker):
    report = run(broker, "sigterm", rate=100.0, static=True)

    assert report["exit_codes"] == [0]
    assert report["repeated_calls"] > 0
    assert "repeated_calls <= 0" in report["failed"]


def test_paced_alternates_with_the_echo(broker: EmbeddedBroker):
    report = run(broker, "paced", rate=100.0, slices=2)

    assert report["requests"] == 200
    assert report["echo_missing"] == 0
    assert 0 < report["echo_ms_p50"] <= report["echo_ms_p99"]
    assert report["echo_cpu_ms"] > 0
    assert report["echo_answer_bytes"] > 50


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("kill-twice", {"rate": 100.0, "hold_ms": 2000, "static": True}, ("gap_s", "duplicate_responses")),
        ("rebalance", {"rate": 60.0, "requests": 900}, ("gap_s", "duplicate_responses")),
        ("zombie", {"rate": 60.0, "requests": 900}, ("duplicate_responses", "repaid_calls")),
        ("faults", {}, ("faults", "errors")),
        ("takeover", {"requests": 400}, ("takeover_s", "duplicate_responses", "repaid_calls")),
    ],
)
def test_story_is_played_and_its_figures_show(
    broker: EmbeddedBroker, name: str, given: JsonObject, shown: tuple[str, ...]
):
    report = run(broker, name, **given)

    assert report["lost"] == 0
    assert all(report[field] > 0 for field in shown)


@pytest.mark.full
def test_soak_measures_growth(broker: EmbeddedBroker):
    report = run(broker, "soak", requests=600, rate=100.0)

    assert abs(report["rss_growth_ratio"]) < 0.5
    assert report["threads_growth_ratio"] >= 0


@pytest.mark.full
def test_broker_loss_is_measured_from_its_return():
    scenario = SCENARIOS["broker"]
    few: JsonObject = {"requests": 1500, "rate": 100.0, "latency_ms": 20.0, "session_ms": 2000}

    report = execute(scenario, Options(**scenario.defaults.filled(few), worker=STAND_IN), silent)

    assert (report["lost"], report["worker_exits"]) == (0, 0)
    assert report["broker_return_s"] > 0


def test_worker_that_does_not_start_ends_the_run(broker: EmbeddedBroker, tmp_path: Path):
    options = small(broker, "flood")
    broken = Options(**{**_fields(options), "worker": (sys.executable, "-c", "raise SystemExit(3)")})

    with pytest.raises(WorkerError, match=r"exit codes \[3, 3, 3, 3, 3"):
        execute(SCENARIOS["flood"], broken, silent)


def test_broker_scenario_needs_a_broker_of_its_own(broker: EmbeddedBroker):
    with pytest.raises(SetupError, match="leave out --bootstrap"):
        run(broker, "broker")


def test_command_line_prints_one_json_line_last(
    broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    options = small(broker, "flood", requests=20)
    shown = {"scenario": "flood", "ok": True, "failed": []}
    monkeypatch.setattr(cli, "execute", lambda scenario, given, say: shown)

    assert cli.play(SCENARIOS["flood"], options, as_json=True) == 0
    out = capsys.readouterr().out
    assert out == '{"scenario":"flood","ok":true,"failed":[]}\n'


def test_command_line_says_why_there_are_no_figures(
    broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> JsonObject:
        raise BenchError("no luck")

    monkeypatch.setattr(cli, "execute", fail)

    assert cli.play(SCENARIOS["flood"], small(broker, "flood"), as_json=True) == cli.NO_FIGURES
    assert capsys.readouterr().err == "error: no luck\n"


def _fields(options: Options) -> JsonObject:
    return {name: getattr(options, name) for name in Options.__dataclass_fields__}
