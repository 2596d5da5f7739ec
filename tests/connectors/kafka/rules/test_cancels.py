"""Cancels: of their own tenant, for a time, and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.rules.cancels import Cancels

SPAN_MS = 600_000


def test_a_cancel_hits_requests_before_it_and_up_to_its_span_after_it():
    cancels = Cancels(SPAN_MS)
    cancels.add("t", "r", 1_000_000)

    assert cancels.hits("t", "r", 1)
    assert cancels.hits("t", "r", 1_000_000 + SPAN_MS)
    assert not cancels.hits("t", "r", 1_000_001 + SPAN_MS)


def test_a_cancel_of_another_tenant_or_request_has_no_effect():
    cancels = Cancels(SPAN_MS)
    cancels.add("t", "r", 1000)

    assert not cancels.hits("u", "r", 1000)
    assert not cancels.hits("t", "s", 1000)


def test_a_cancel_is_kept_for_twice_its_span_for_those_that_wait_in_the_log():
    cancels = Cancels(SPAN_MS)
    cancels.add("t", "r", 1000)

    cancels.expire(1000 + 2 * SPAN_MS)
    assert len(cancels) == 1
    cancels.expire(1001 + 2 * SPAN_MS)
    assert len(cancels) == 0
    assert not cancels.hits("t", "r", 1000)


def test_a_cancel_that_is_said_again_counts_from_the_last_time():
    cancels = Cancels(SPAN_MS, entries=2)
    for request_id, at_ms in (("a", 0), ("b", 1), ("a", 2), ("c", 3)):
        cancels.add("t", request_id, at_ms)

    assert not cancels.hits("t", "b", 0)
    assert cancels.hits("t", "a", 2 + SPAN_MS)


ADDS = st.lists(st.tuples(st.sampled_from("tu"), st.sampled_from("abcd"), st.integers(0, 30)), max_size=25)


@given(adds=ADDS, entries=st.integers(1, 4), span_ms=st.integers(1, 40), expire_at=st.integers(0, 12))
def test_the_table_agrees_with_a_list_of_the_newest_cancels(
    adds: list[tuple[str, str, int]], entries: int, span_ms: int, expire_at: int
):
    cancels = Cancels(span_ms, entries)
    kept: list[tuple[tuple[str, str], int]] = []
    dropped = now_ms = 0
    for number, (tenant, request_id, passed_ms) in enumerate(adds):
        now_ms += passed_ms
        cancels.add(tenant, request_id, now_ms)
        kept = [entry for entry in kept if entry[0] != (tenant, request_id)]
        kept.append(((tenant, request_id), now_ms))
        dropped += max(0, len(kept) - entries)
        kept = kept[-entries:]
        if number == expire_at:
            cancels.expire(now_ms)
            kept = [entry for entry in kept if now_ms - entry[1] <= 2 * span_ms]

    assert cancels.dropped == dropped
    assert len(cancels) == len(kept)
    for tenant in "tu":
        for request_id in "abcd":
            at_ms = dict(kept).get((tenant, request_id))
            for appended_ms in (
                0,
                now_ms,
                *(() if at_ms is None else (at_ms + span_ms, at_ms + span_ms + 1)),
            ):
                wanted = at_ms is not None and appended_ms <= at_ms + span_ms
                assert cancels.hits(tenant, request_id, appended_ms) == wanted
