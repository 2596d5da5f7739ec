"""Which request an `Idempotency-Key` stands for: the same at every gateway, and bounded."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.exchange.rules.claims import TTL_MS, Claims, hash_of, scope
from schemas.claims import Claim
from schemas.requests import Request

BODY = "0" * 64


def claim(request_id: str, asked_ms: int = 1000, replaces: str | None = None) -> Claim:
    return Claim(
        request_id=request_id, tenant="acme", body_hash=BODY, streamed=False, home=0, partition=0, offset=0,
        asked_ms=asked_ms, deadline_ms=asked_ms + 1, replaces=replaces,
    )  # fmt: skip


def test_the_first_claim_of_a_key_holds():
    claims = Claims()
    claims.apply("k", claim("a"))
    claims.apply("k", claim("b"))

    assert claims.holder("k", 1000) == claim("a")
    assert (claims.of_request("a", 1000), claims.of_request("b", 1000)) == (claim("a"), None)


def test_a_claim_that_names_the_one_that_holds_takes_its_place():
    claims = Claims()
    claims.apply("k", claim("a"))
    claims.apply("k", claim("b", replaces="a"))
    claims.apply("k", claim("c", replaces="a"))

    assert claims.holder("k", 1000) == claim("b", replaces="a")
    assert claims.of_request("a", 1000) is None


def test_a_claim_holds_for_a_day():
    claims = Claims()
    claims.apply("k", claim("a"))

    assert claims.holder("k", 1000 + TTL_MS - 1) == claims.of_request("a", 1000 + TTL_MS - 1) == claim("a")
    assert claims.holder("k", 1000 + TTL_MS) is claims.of_request("a", 1000 + TTL_MS) is None
    claims.apply("k", claim("b", 1000 + TTL_MS))
    assert claims.holder("k", 1000 + TTL_MS) == claim("b", 1000 + TTL_MS)


def test_old_claims_are_forgotten():
    claims = Claims()
    claims.apply("k", claim("a", 0))
    claims.apply("m", claim("b", 5))

    claims.expire(TTL_MS)

    assert len(claims) == 1
    assert claims.of_request("a", 1) is None


def test_over_the_bound_the_oldest_go_and_are_counted():
    claims = Claims(most=2)
    for name in "abc":
        claims.apply(name, claim(name))

    assert (len(claims), claims.dropped, claims.holder("a", 1000)) == (2, 1, None)


@pytest.mark.parametrize("cleaned", [0, 1, 2])
def test_compaction_changes_no_winner_where_the_loser_wrote_the_winner_again(cleaned: int):
    log = [claim("a"), claim("b"), claim("a", replaces="b")]
    claims = Claims()
    for each in log[cleaned:]:  # a cleaner takes older records of a key away, from the oldest on
        claims.apply("k", each)

    holder = claims.holder("k", 1000)
    assert holder is not None
    assert holder.request_id == "a"


@given(st.lists(st.tuples(st.sampled_from("kl"), st.sampled_from("abcd"), st.sampled_from([None, "a", "b"]))))
def test_gateways_that_read_the_same_log_agree_and_requests_point_at_what_holds(
    log: list[tuple[str, str, str | None]],
):
    one, other = Claims(), Claims()
    for each in (one, other):
        for key, request_id, replaces in log:
            each.apply(key, claim(f"{key}{request_id}", replaces=f"{key}{replaces}" if replaces else None))

    for key in "kl":
        held = one.holder(key, 1000)
        assert held == other.holder(key, 1000)
        assert held is None or one.of_request(held.request_id, 1000) == held


@given(st.tuples(st.text(), st.text(), st.text()), st.tuples(st.text(), st.text(), st.text()))
def test_keys_of_other_tenants_and_callers_never_meet(one: tuple[str, str, str], other: tuple[str, str, str]):
    assert (scope(*one) == scope(*other)) == (one == other)


def test_a_request_is_the_same_whatever_its_address_and_its_id():
    asked = Request(prompt="hi", model="small")
    moved = Request(
        prompt="hi", model="small", request_id="x", deadline_ms=5, reply_topic="t", traceparent="u"
    )

    assert hash_of(asked) == hash_of(moved)
    assert hash_of(asked) != hash_of(Request(prompt="ho", model="small"))
    assert hash_of(asked) != hash_of(Request(prompt="hi", model="small", context_id=UUID(int=1)))
    assert hash_of(asked) != hash_of(Request.model_validate({"prompt": "hi", "model": "small", "top_k": 3}))
