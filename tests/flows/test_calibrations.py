"""What workers learn of how models count, and tell each other."""

from dataclasses import replace

import pytest

from flows.calibrations import LESSONS_PER_S, MAX_MODELS, MAX_WORKERS, Calibrations, learn
from flows.stages.content import Content, Measured
from flows.stages.estimates import assumed
from flows.stages.jobs import CallPlan, Ended, Fitted, PlannedRoute
from schemas.calls import Answer
from schemas.responses import Usage
from tests.flows.stages.making import job, route

CLAUDE = route("anthropic:c")
PROSE = Measured({Content.PROSE: 9000}, {Content.PROSE: 40_000}, 7)


def calibrations(worker: str = "one") -> Calibrations:
    return Calibrations(worker, lambda provider: assumed(provider, "o200k"))


def taught(worker: str = "one", calls: int = 10, factor: float = 1.1) -> Calibrations:
    made = calibrations(worker)
    for at in range(calls):
        made.observe(CLAUDE, PROSE, round(9000 * factor) + 7, float(at))
    return made


def test_calls_teach_a_factor_and_the_number_is_called_calibrated():
    found = taught().of(CLAUDE, PROSE)

    assert abs(found.tokens - 9907) < 15
    assert found.kind == "calibrated"
    assert 9907 <= found.upper_tokens < 1.1 * 9907
    assert calibrations().of(CLAUDE, PROSE).kind == "estimate"


def test_the_likeliest_number_is_that_of_the_estimate_for_one_class_and_for_many():
    made = taught()
    both = replace(PROSE, tokens={Content.PROSE: 900, Content.CODE: 100})

    assert abs(made.likely(CLAUDE, PROSE)[0] - made.of(CLAUDE, PROSE).tokens) <= 1
    assert made.likely(CLAUDE, PROSE)[1] == "calibrated"
    assert made.likely(CLAUDE, both) == (made.of(CLAUDE, both).tokens, "estimate")
    assert made.likely(CLAUDE, Measured(flat_tokens=9)) == (9, "estimate")


def test_what_is_learnt_shows_in_the_likeliest_number_at_once():
    made = taught()
    before = made.likely(CLAUDE, PROSE)[0]
    for at in range(50):
        made.observe(CLAUDE, PROSE, 18_000, 100.0 + at)

    assert made.likely(CLAUDE, PROSE)[0] > before + 3000


def test_short_calls_teach_nothing_and_of_a_flood_only_a_sample():
    made = calibrations()
    made.observe(CLAUDE, Measured({Content.PROSE: 199}, {Content.PROSE: 900}), 900, 0.0)
    made.caught_up()
    assert made.changes() == []
    for _ in range(LESSONS_PER_S + 30):
        made.observe(CLAUDE, PROSE, 9907, 5.5)

    learnt = made._known(CLAUDE).errors[Content.PROSE].calls
    assert learnt == pytest.approx(LESSONS_PER_S)


def test_nothing_is_written_before_all_that_lay_there_is_read():
    made = taught()
    assert made.changes() == []
    made.caught_up()

    ((key, _),) = made.changes()
    assert key == b"anthropic:c/one"
    assert made.changes() == []


def test_other_workers_learn_from_what_one_writes():
    first, second = taught(), calibrations("two")
    first.caught_up()
    for key, value in first.changes():
        second.take(key, value)

    assert second.of(CLAUDE, PROSE) == first.of(CLAUDE, PROSE)


def test_a_newer_record_of_a_worker_takes_the_place_of_its_older_one():
    first, second = taught(), calibrations("two")
    first.caught_up()
    records = first.changes()
    first.observe(CLAUDE, PROSE, 9907, 99.0)
    for key, value in records + first.changes():
        second.take(key, value)

    assert second._known(CLAUDE).errors[Content.PROSE].calls == pytest.approx(11, abs=0.01)


def test_a_worker_that_comes_back_goes_on_where_it_was_and_keeps_what_it_learnt_meanwhile():
    first, again = taught(calls=10), taught(calls=3)
    first.caught_up()
    for key, value in first.changes():
        again.take(key, value)
    again.caught_up()
    ((_, own),) = again.changes()
    third = calibrations("three")
    third.take(b"anthropic:c/one", own)

    assert third._known(CLAUDE).errors[Content.PROSE].calls == pytest.approx(13, abs=0.01)


def test_our_own_record_that_comes_back_is_not_counted_twice():
    made = taught()
    made.caught_up()
    before = made.of(CLAUDE, PROSE)
    for key, value in made.changes():
        made.take(key, value)

    assert made.of(CLAUDE, PROSE) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [(None, b"{}"), (b"model", b"{}"), (b"m/w", b"{"), (b"m/w", b'{"version": 9}'), (b"\xff/w", b"{}"),
     (b"m/w", b'{"version": 1, "weight": -1}'), (b"/w", b"{}")],
)  # fmt: skip
def test_records_that_cannot_be_read_are_skipped_and_counted(key: bytes | None, value: bytes):
    made = taught()
    before = made.of(CLAUDE, PROSE)
    made.take(key, value)

    assert made.unreadable == 1
    assert made.of(CLAUDE, PROSE) == before


def test_models_with_slashes_in_their_names_and_workers_are_told_apart():
    slashed = route("groq:meta/llama")
    first, second = calibrations("pod/1"), calibrations("two")
    first.observe(slashed, PROSE, 12_000, 0.0)
    first.caught_up()
    ((key, value),) = first.changes()
    second.take(key, value)

    assert key == b"groq:meta/llama/pod_1"
    assert second._known(slashed).errors != {}


def test_workers_and_models_are_bounded_and_a_deleted_record_is_forgotten():
    source, made = taught(), calibrations("me")
    source.caught_up()
    ((_, value),) = source.changes()
    for at in range(MAX_WORKERS + 5):
        made.take(b"anthropic:c/w%d" % at, value)
    assert len(made._models["anthropic:c"].others) == MAX_WORKERS
    made.take(b"anthropic:c/w%d" % (MAX_WORKERS + 4), None)
    assert len(made._models["anthropic:c"].others) == MAX_WORKERS - 1
    for at in range(MAX_MODELS + 5):
        made.take(b"p:%d/w" % at, value)

    assert len(made._models) == MAX_MODELS
    assert made.unreadable == 6


def ended(usage: Usage | None, **fields: object) -> Ended:
    asked = job(**fields)
    asked.measured, asked.input_tokens = PROSE, 9007
    asked.plan = CallPlan((PlannedRoute(CLAUDE, None),), "named")
    return Ended(asked.record, asked, answer=Answer("yes", "stop", usage), route=CLAUDE)


def test_an_answers_usage_teaches_and_the_job_tells_what_was_expected():
    made = taught()
    known = made._known(CLAUDE)
    end = ended(Usage(input_tokens=9907))
    learn(end, made, 50.0)

    assert end.job is not None
    assert abs(end.job.estimated_tokens - 9910) < 15
    assert end.job.estimate_kind == "calibrated"
    assert made._known(CLAUDE) != known


def test_our_own_estimate_teaches_nothing():
    made = taught()
    known = made._known(CLAUDE)
    learn(ended(Usage(input_tokens=9907, counted_by="estimate")), made, 50.0)
    learn(ended(None), made, 50.0)

    assert made._known(CLAUDE) is known


def test_what_was_sent_compressed_teaches_by_what_was_sent_and_a_count_that_was_asked_for_is_exact():
    made = calibrations()
    end = ended(Usage(input_tokens=500))
    assert end.job is not None
    end.job.fitted["anthropic:c"] = Fitted((), Measured({Content.PROSE: 400}, {Content.PROSE: 1600}), 497)
    learn(end, made, 1.0)

    assert (end.job.estimated_tokens, end.job.estimate_kind) == (497, "exact")
    assert made.of(CLAUDE, Measured({Content.PROSE: 4000}, {Content.PROSE: 16_000})).tokens < 5100


def test_what_ended_before_it_had_a_route_keeps_our_own_count():
    asked = job()
    asked.input_tokens = 9
    learn(Ended(asked.record, asked), calibrations(), 1.0)
    learn(Ended(asked.record), calibrations(), 1.0)

    assert asked.estimated_tokens == 0
