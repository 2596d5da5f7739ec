"""Each count of the bench: 0 on a clean run, and not 0 when its fault is planted."""

from dataclasses import replace

import pytest

from connectors.bench import calculate
from connectors.bench.facts import Answered, Asked, Begun, Buried, Done, Facts, Place, ProviderCall, Stop

A, B = Place(0, 0, 0), Place(0, 1, 0)
ASKED = (Asked(A, "a", 1000), Asked(B, "b", 1000))
BEGUN = (Begun(A, 1, 1010), Begun(B, 1, 1010))
CALLS = (ProviderCall("a", 1012.5, 1212.5, "finished"), ProviderCall("b", 1013.0, 1213.0, "finished"))
ANSWERED = (
    Answered(A, 0, 1220, None, False, 1, 100),
    Answered(B, 1, 1225, None, False, 1, 100),
)
DONE = (Done(A, False), Done(B, False))


def again(request_id: str, start_ms: float, end_ms: float | None = None) -> ProviderCall:
    return ProviderCall(request_id, start_ms, end_ms or start_ms + 200, "finished")


def test_clean_run_counts_nothing():
    assert calculate.lost(ASKED, ANSWERED, DONE) == []
    assert calculate.duplicate_responses(ANSWERED) == 0
    assert calculate.stray_responses(ASKED, ANSWERED) == 0
    assert calculate.unstarted_calls(ASKED, BEGUN, CALLS) == 0
    assert calculate.repaid_calls(CALLS, ()) == 0
    assert calculate.finished_again(CALLS) == 0
    assert calculate.unknown_outcomes(ANSWERED) == 0
    assert calculate.unflagged_unknowns(ASKED, ANSWERED, CALLS) == 0
    assert not calculate.error_codes(ANSWERED)


def test_request_without_response_is_lost():
    assert calculate.lost(ASKED, ANSWERED[:1], DONE) == [B]


def test_recognised_repeat_is_not_lost():
    assert calculate.lost(ASKED, ANSWERED[:1], (Done(B, True),)) == []


def test_second_response_to_one_record_is_a_duplicate():
    second = replace(ANSWERED[0], append_ms=1400)

    assert calculate.duplicate_responses((*ANSWERED, second)) == 1


def test_response_without_a_known_source_is_stray():
    nowhere = replace(ANSWERED[0], place=None)
    elsewhere = replace(ANSWERED[0], place=Place(0, 0, 9))

    assert calculate.stray_responses(ASKED, (*ANSWERED, nowhere, elsewhere)) == 2
    assert calculate.duplicate_responses((*ANSWERED, nowhere, nowhere)) == 0


def test_call_without_a_started_entry_is_unstarted():
    assert calculate.unstarted_calls(ASKED, BEGUN[:1], CALLS) == 1


def test_started_entry_that_comes_after_the_call_does_not_count():
    late = (BEGUN[0], replace(BEGUN[1], append_ms=1014))

    assert calculate.unstarted_calls(ASKED, late, CALLS) == 1


def test_started_entry_of_the_same_millisecond_counts():
    same = (BEGUN[0], replace(BEGUN[1], append_ms=1013))

    assert calculate.unstarted_calls(ASKED, same, CALLS) == 0


def test_second_call_needs_an_entry_of_its_own():
    calls = (*CALLS, again("a", 1300))
    written_twice = (*BEGUN, replace(BEGUN[0], append_ms=1290))
    own = (*BEGUN, Begun(A, 2, 1290))

    assert calculate.unstarted_calls(ASKED, BEGUN, calls) == 1
    assert calculate.unstarted_calls(ASKED, written_twice, calls) == 1
    assert calculate.unstarted_calls(ASKED, own, calls) == 0


def test_call_of_an_unknown_request_is_unstarted():
    assert calculate.unstarted_calls(ASKED, BEGUN, (*CALLS, again("c", 1300))) == 1


def test_answer_that_is_asked_for_again_without_a_stop_is_repaid():
    assert calculate.repaid_calls((*CALLS, again("a", 1300)), ()) == 1


@pytest.mark.parametrize(
    ("kill_ms", "repaid"),
    [
        pytest.param(2212.0, 0, id="sent just within a second of the kill"),
        pytest.param(2213.0, 1, id="sent more than a second before the kill"),
        pytest.param(1212.6, 0, id="sent just before the kill"),
        pytest.param(1100.0, 0, id="sent to the connection of one just killed"),
        pytest.param(900.0, 1, id="sent when the killed one was long gone: its successor pays twice"),
        pytest.param(9000.0, 1, id="killed after the second call"),
    ],
)
def test_repaid_goes_by_the_time_between_answer_and_kill(kill_ms: float, repaid: int):
    calls = (CALLS[0], again("a", 3000))

    assert calculate.repaid_calls(calls, (Stop(kill_ms, kill_ms),)) == repaid
    assert calculate.finished_again(calls) == 1


def test_answer_to_a_stopped_worker_is_excused_until_it_wakes():
    calls = (ProviderCall("a", 1000, 5000, "finished"), again("a", 8000))

    assert calculate.repaid_calls(calls, (Stop(1500, 9000),)) == 0
    assert calculate.repaid_calls(calls, (Stop(1500, 4000),)) == 1


def test_call_that_was_cut_or_failed_is_not_repaid():
    cut = (ProviderCall("a", 1000, 1100, "closed"), ProviderCall("a", 1200, 1300, "fault"), again("a", 1400))
    still_open = (ProviderCall("a", 1000, None, "open"), again("a", 1400))

    assert calculate.repaid_calls(cut, ()) == 0
    assert calculate.repaid_calls(still_open, ()) == 0


def test_response_that_hides_a_call_is_counted():
    calls = (ProviderCall("a", 1005, 1008, "closed"), *CALLS)
    flagged = (replace(ANSWERED[0], unknown_outcome=True), ANSWERED[1])

    assert calculate.unflagged_unknowns(ASKED, ANSWERED, calls) == 1
    assert calculate.unflagged_unknowns(ASKED, flagged, calls) == 0
    assert calculate.unknown_outcomes(flagged) == 1


def test_hidden_calls_leave_out_what_can_not_be_told():
    stray = replace(ANSWERED[0], place=None)
    foreign = replace(ANSWERED[0], place=Place(0, 7, 7))
    shared = (ASKED[0], replace(ASKED[1], request_id="a"))
    later = (*CALLS, again("a", 2000))

    assert calculate.unflagged_unknowns(ASKED, (stray, foreign), later) == 0
    assert calculate.unflagged_unknowns(shared, ANSWERED, later) == 0
    assert calculate.unflagged_unknowns(ASKED, ANSWERED, later) == 0


def test_failures_are_counted_by_code():
    failed = replace(ANSWERED[0], code="internal")

    assert calculate.error_codes((failed, failed, ANSWERED[1])) == {"internal": 2}


def test_failure_without_its_dead_letter_is_missing():
    failed = replace(ANSWERED[0], code="invalid_request")
    codes = frozenset({"invalid_request"})

    assert calculate.missing_dead_letters((failed, ANSWERED[1]), (), codes) == [A]
    assert calculate.missing_dead_letters((failed,), (Buried(A, "invalid_request"),), codes) == []
    assert calculate.missing_dead_letters((failed,), (), frozenset({"internal"})) == []


def test_routing_ends_when_the_provider_has_the_first_call():
    calls = (*CALLS, again("a", 1500))

    assert calculate.routing_ms(ASKED, calls) == [12.5, 13.0]
    assert calculate.routing_ms(ASKED, CALLS[:1]) == [12.5]


def test_added_leaves_out_the_time_at_the_provider():
    assert calculate.added_ms(ASKED, ANSWERED, CALLS) == [20.0, 25.0]
    assert calculate.added_ms(ASKED, ANSWERED[:1], CALLS) == [20.0]
    assert calculate.added_ms(ASKED, ANSWERED, CALLS[1:]) == [25.0]


def test_added_counts_provider_time_up_to_the_response_only():
    beyond = (CALLS[0], ProviderCall("a", 1215, None, "open"), again("a", 1300), CALLS[1])

    assert calculate.added_ms(ASKED, ANSWERED, beyond) == [15.0, 25.0]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentile_is_the_nearest_rank(share: float, value: float):
    assert calculate.percentile(range(100, 0, -1), share) == value


def test_percentile_and_median_of_nothing_are_zero():
    assert calculate.percentile([], 0.5) == 0
    assert calculate.median([]) == 0


def test_median_is_the_middle():
    assert calculate.median([3, 1, 2]) == 2
    assert calculate.median([4, 1, 2, 3]) == 2.5


def answers(*stamps: tuple[int, int]) -> list[Answered]:
    return [Answered(A, partition, at_ms, None, False, 1, 1) for partition, at_ms in stamps]


def spans(*rows: tuple[int, int, int]) -> tuple[list[Asked], list[Answered]]:
    """Requests and their answers from partition, append and answer."""
    places = [Place(0, partition, offset) for offset, (partition, _, _) in enumerate(rows)]
    asked = [Asked(place, str(place), row[1]) for place, row in zip(places, rows, strict=True)]
    seen = [
        Answered(place, place.partition, row[2], None, False, 1, 1)
        for place, row in zip(places, rows, strict=True)
    ]
    return asked, seen


def test_silence_is_the_longest_time_that_a_partition_owed_answers_and_gave_none():
    both = spans(
        (0, 800, 900), (0, 900, 1050), (0, 1000, 4050), (0, 1100, 4100), (1, 950, 1200), (1, 960, 1700)
    )

    assert calculate.silence_s(*both, 1000, 9000) == 3.0


def test_silence_begins_with_the_kill_or_with_the_first_request_that_is_due():
    assert calculate.silence_s(*spans((0, 100, 1400)), 1000, 9000) == 0.4
    assert calculate.silence_s(*spans((0, 900, 1400), (0, 5000, 5200)), 1000, 9000) == 0.4


def test_request_that_is_due_is_seen_behind_later_ones_that_are_answered_first():
    assert calculate.silence_s(*spans((0, 1100, 5000), (0, 4900, 4950)), 1000, 9000) == pytest.approx(3.85)


def test_silence_that_outlasts_the_window_counts_whole():
    assert calculate.silence_s(*spans((0, 700, 900), (0, 950, 8000)), 1000, 5000) == 7.0


def test_answers_after_the_window_belong_to_the_next_kill():
    assert calculate.silence_s(*spans((0, 950, 1500), (0, 960, 8000)), 1000, 5000) == 0.5


def test_partition_that_was_done_before_the_kill_was_not_silent():
    assert calculate.silence_s(*spans((0, 700, 900)), 1000, 9000) == 0


def test_answers_to_other_requests_end_no_silence():
    asked, seen = spans((0, 900, 3000), (0, 900, 2000))

    assert calculate.silence_s(asked[:1], seen, 1000, 9000) == 2.0


def test_return_waits_for_the_slowest_partition():
    seen = answers((0, 900), (0, 1500), (1, 2500), (1, 2600), (2, 800))

    assert calculate.return_s(seen, 1000) == 1.5
    assert calculate.return_s([], 1000) == 0


def test_throughput_is_from_the_first_to_the_last_response():
    assert calculate.requests_per_s(answers((0, 1000), (0, 1500), (1, 2000))) == 3.0
    assert calculate.requests_per_s(answers((0, 1000))) == 0


def test_growth_compares_the_end_with_what_had_settled():
    samples = [(0, 10.0), (50, 100.0), (60, 100.0), (100, 110.0)]

    assert calculate.growth_ratio(samples, 50) == pytest.approx(0.1)
    assert calculate.growth_ratio(samples, 500) == 0


def test_counts_at_moments_include_the_moment():
    assert calculate.counts_at([10, 20, 30], [5, 20, 99]) == [0, 2, 3]


def test_facts_of_a_prefix_are_those_of_its_requests():
    letters = (Buried(A, "internal"), Buried(B, "internal"))
    facts = Facts(ASKED, ANSWERED, BEGUN, DONE, letters, CALLS)

    assert facts.without("b") == facts.only("a")
    assert facts.only("a") == Facts(ASKED[:1], ANSWERED[:1], BEGUN[:1], DONE[:1], letters[:1], CALLS[:1])
