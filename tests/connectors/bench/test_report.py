"""Reports, limits, options and hostile records: the pure parts around the counts."""

from collections import Counter
from dataclasses import replace

import orjson
import pytest
from typer.testing import CliRunner

from connectors.bench import cli
from connectors.bench.facts import Answered, Asked, Buried, Facts, Place, ProviderCall
from connectors.bench.hostile_records import EXPECTED, GOOD, OVERSIZE, POISONS, hostile_items
from connectors.bench.load import PlainItems
from connectors.bench.options import Defaults, Options, broken, least, most
from connectors.bench.poison import MARK
from connectors.bench.report import Observed, figures, growth
from connectors.bench.run import Say
from connectors.bench.sampling import Sample
from connectors.bench.scenario import Scenario
from connectors.bench.scenarios import SCENARIOS
from connectors.bench.scenarios.flood import wanted
from connectors.bench.scenarios.hostile import innocent_dead_letters, wrong_codes
from connectors.bench.topics_reader import KIND_HEADER
from schemas.base import JsonObject

REQUIRED = (
    "requests", "requests_per_s", "cpu_ms_per_request", "provider_max_open", "routing_ms_p50",
    "routing_ms_p99", "added_ms_p50", "added_ms_p99", "echo_ms_p50", "echo_ms_p99", "echo_cpu_ms", "rss_mb",
    "lost", "duplicate_responses", "repaid_calls", "unstarted_calls", "unknown_outcomes", "errors",
)  # fmt: skip


def place(number: int) -> Place:
    return Place(0, number % 2, number)


def facts(count: int) -> Facts:
    return Facts(
        asked=tuple(Asked(place(n), f"load-{n}", 1000 + n) for n in range(count)),
        answered=tuple(Answered(place(n), n % 2, 1100 + n, None, False, 1, 10) for n in range(count)),
        calls=tuple(ProviderCall(f"load-{n}", 1010.0 + n, 1090.0 + n, "finished") for n in range(count)),
    )


SAMPLES = [Sample(1000 + 100 * n, n * 0.1, 100 + n, 10, 20) for n in range(30)]


def test_report_has_the_fields_of_the_issue():
    seen = Observed(facts(100), facts(100), (), SAMPLES, 7)

    report = figures(seen)

    assert set(REQUIRED) <= set(report)
    assert report["requests"] == 100
    assert report["provider_max_open"] == 7
    assert (report["routing_ms_p50"], report["added_ms_p99"]) == (10.0, 20.0)
    assert report["cpu_ms_per_request"] == pytest.approx(0.99)
    assert report["unstarted_calls"] == 100
    assert report["rss_mb"] == 129
    orjson.dumps(report)


def test_report_of_a_provider_without_log_leaves_its_figures_open():
    bare = Facts(facts(3).asked, facts(3).answered)

    report = figures(Observed(bare, bare, (), [], None))

    assert report["repaid_calls"] is None
    assert report["routing_ms_p50"] is None
    assert report["lost"] == 0
    assert figures(Observed(Facts(), Facts(), (), [], None))["cpu_ms_per_request"] == 0


def test_growth_is_measured_after_the_settled_share():
    answered = [Answered(place(n), 0, 1000 + n, None, False, 1, 1) for n in range(2900)]

    grown = growth(answered, SAMPLES, 1450)

    assert 0.1 < grown["rss_growth_ratio"] < 0.2
    assert (grown["threads_growth_ratio"], grown["fds_growth_ratio"]) == (0, 0)
    assert growth([], SAMPLES, 1)["rss_growth_ratio"] == 0


def test_broken_limits_are_named():
    limits = (most("lost", 0), least("exits", 1), most("gap_s", 1.5))

    assert broken(limits, {"lost": 1, "exits": 0, "gap_s": None}) == ["lost <= 0", "exits >= 1"]
    assert broken(limits, {"lost": 0, "exits": None, "gap_s": 1.5}) == []


def test_options_that_are_not_given_are_the_defaults():
    defaults = Defaults(requests=10, rate=5, static=True)

    assert defaults.filled({"rate": 7.0, "requests": None, "seed": 3}) == {
        "requests": 10, "rate": 7.0, "latency_ms": 200.0, "static": True, "seed": 3,
    }  # fmt: skip


def test_paced_limits_compare_with_the_echo():
    report = dict.fromkeys([*REQUIRED, "stray_responses", "unflagged_unknowns", "finished_again"], 0)
    report |= {"echo_missing": 0, "echo_ms_p50": 5, "echo_ms_p99": 60, "echo_cpu_ms": 2}
    limits = SCENARIOS["paced"].limits

    held = {"routing_ms_p50": 15, "routing_ms_p99": 100, "cpu_ms_per_request": 3.5}
    assert broken(limits, report | held) == []
    over = {"routing_ms_p50": 15.1, "routing_ms_p99": 100.1, "cpu_ms_per_request": 3.6}
    assert len(broken(limits, report | over)) == 3


def test_flood_of_long_calls_must_be_wide():
    limit = next(limit for limit in SCENARIOS["flood"].limits if limit.name.startswith("provider_max_open"))

    assert limit.holds({"provider_max_open": 1999, "wanted_open": 0})
    assert not limit.holds({"provider_max_open": 1999, "wanted_open": 2000})
    assert limit.holds({"provider_max_open": None, "wanted_open": 2000})


@pytest.mark.parametrize(
    ("given", "open_calls", "cpu_ms"),
    [
        ({"requests": 20_000, "latency_ms": 200.0}, 0, 0.5),
        ({"requests": 20_000, "latency_ms": 2000.0}, 2000, None),
        ({"requests": 3000, "latency_ms": 2000.0}, 0, None),
        ({"requests": 20_000, "latency_ms": 200.0, "rate": 100.0}, 0, None),
    ],
)
def test_flood_is_held_to_what_its_load_allows(given: JsonObject, open_calls: int, cpu_ms: float | None):
    scenario = SCENARIOS["flood"]
    held = wanted(Options(**scenario.defaults.filled(given)))

    assert held == {"wanted_open": open_calls, "wanted_cpu_ms": cpu_ms}
    limit = next(limit for limit in scenario.limits if limit.name.startswith("cpu"))
    assert limit.holds(held | {"cpu_ms_per_request": 0.5})
    assert limit.holds(held | {"cpu_ms_per_request": 0.51}) == (cpu_ms is None)


def test_plain_items_have_one_size_and_all_partitions():
    items = PlainItems("load", 1000, 12, size_bytes=500)

    assert [items[n].partition for n in (0, 11, 12)] == [0, 11, 0]
    assert {len(item.value) for item in items} <= set(range(496, 501))
    assert orjson.loads(items[7].value)["request_id"] == "load-7"
    assert items[7].key == b"load-7"
    assert [item.key for item in items[:2]] == [b"load-0", b"load-1"]
    with pytest.raises(IndexError):
        items[1000]


def kind_of(headers: tuple[tuple[str, bytes], ...]) -> str:
    return dict(headers)[KIND_HEADER].decode()


def test_hostile_records_are_a_seeded_mix_of_every_kind():
    items = hostile_items("h", 3000, 12, seed=5)
    kinds = Counter(kind_of(item.headers) for item in items)

    assert items == hostile_items("h", 3000, 12, seed=5)
    assert items != hostile_items("h", 3000, 12, seed=6)
    assert set(kinds) == set(EXPECTED)
    assert (kinds["poison"], kinds["oversize-answer"]) == (POISONS, OVERSIZE)
    assert kinds[GOOD] > 1000
    assert sum(MARK.encode() in item.value for item in items) == POISONS


def hostile_facts(kind: str, code: str | None, letter: str | None) -> Facts:
    asked = Asked(place(0), "load-0", 1000, kind)
    answered = Answered(place(0), 0, 1100, code, False, 1, 1)
    return Facts((asked,), (answered,), buried=() if letter is None else (Buried(place(0), letter),))


@pytest.mark.parametrize(
    ("kind", "code", "letter", "wrong", "innocent"),
    [
        ("good", None, None, 0, 0),
        ("good", "internal", None, 1, 0),
        ("good", None, "invalid_request", 0, 1),
        ("good", "crash_loop", "crash_loop", 1, 1),
        ("malformed", "invalid_request", "invalid_request", 0, 0),
        ("malformed", None, None, 1, 0),
        ("malformed", "crash_loop", "crash_loop", 1, 1),
        ("poison", "crash_loop", "crash_loop", 0, 0),
        ("strange", "invalid_request", "invalid_request", 0, 0),
    ],
)
def test_hostile_counts_compare_codes_with_kinds(
    kind: str, code: str | None, letter: str | None, wrong: int, innocent: int
):
    seen = hostile_facts(kind, code, letter)

    assert len(wrong_codes(seen)) == wrong
    assert innocent_dead_letters(seen) == innocent


def test_records_without_a_kind_have_no_expectations_but_no_dead_letters():
    seen = hostile_facts("", "internal", "internal")
    stray = replace(seen, buried=(Buried(None, "internal"),))

    assert wrong_codes(seen) == []
    assert innocent_dead_letters(seen) == 1
    assert innocent_dead_letters(stray) == 1


def test_command_line_hands_over_what_was_given(monkeypatch: pytest.MonkeyPatch):
    seen: list[Options] = []

    def execute(scenario: Scenario, options: Options, say: Say) -> JsonObject:
        seen.append(options)
        say("going")
        return {"scenario": scenario.name, "ok": False, "failed": ["lost <= 0"]}

    monkeypatch.setattr(cli, "execute", execute)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    done = CliRunner().invoke(cli.app, ["hostile", "--records", "50", "--seed", "4", "--dynamic"])

    assert done.exit_code == 1
    assert orjson.loads(done.stdout.splitlines()[-1])["failed"] == ["lost <= 0"]
    assert (seen[0].requests, seen[0].seed, seen[0].static, seen[0].rate) == (50, 4, False, 0)


def test_termination_ends_the_run_in_order():
    with pytest.raises(SystemExit) as ended:
        cli.end(15, None)

    assert ended.value.code == 143
