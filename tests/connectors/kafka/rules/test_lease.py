"""The lease: opened by the first join, kept by accepted heartbeats, counted from when they were sent."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.rules.lease import Lease

SESSION_S = 10.0


def test_nothing_is_allowed_before_the_first_join():
    lease = Lease(SESSION_S)

    assert not lease.opened
    assert not lease.valid(0.0)
    assert lease.overdue_s(1e9) == 0.0


def test_first_join_opens_the_lease_for_its_share_of_the_session():
    lease = Lease(SESSION_S)
    lease.joined(100.0)

    assert lease.opened
    assert lease.valid(107.999)
    assert not lease.valid(108.0)


def test_a_later_join_renews_nothing():
    lease = Lease(SESSION_S)
    lease.joined(100.0)
    lease.joined(105.0)

    assert not lease.valid(108.0)


def test_an_accepted_heartbeat_counts_from_when_it_was_sent():
    lease = Lease(SESSION_S)
    lease.joined(100.0)
    lease.sent(105.0)
    lease.accepted()

    assert lease.valid(112.999)
    assert not lease.valid(113.0)


def test_a_heartbeat_that_was_not_accepted_renews_nothing():
    lease = Lease(SESSION_S)
    lease.joined(100.0)
    lease.sent(105.0)

    assert not lease.valid(108.0)


def test_an_answer_to_no_heartbeat_renews_nothing():
    lease = Lease(SESSION_S)
    lease.accepted()

    assert not lease.opened


def test_a_lease_that_ran_out_goes_on_when_a_heartbeat_is_accepted_again():
    lease = Lease(SESSION_S)
    lease.joined(100.0)

    assert lease.overdue_s(107.0) == 0.0
    assert lease.overdue_s(130.5) == 22.5
    lease.sent(131.0)
    lease.accepted()
    assert lease.overdue_s(132.0) == 0.0
    assert lease.valid(132.0)


EVENTS = st.lists(st.tuples(st.sampled_from(["join", "send", "accept"]), st.integers(1, 8)), max_size=12)


@given(fives=st.integers(1, 6), events=EVENTS, wait_s=st.integers(0, 40))
def test_the_lease_is_the_latest_of_what_renewed_it(fives: int, events: list[tuple[str, int]], wait_s: int):
    lease = Lease(5.0 * fives)
    now_s = 0
    sent: int | None = None
    renewals: list[int] = []
    for kind, passed_s in events:
        now_s += passed_s
        if kind == "join":
            lease.joined(now_s)
            renewals += [] if renewals else [now_s]
        elif kind == "send":
            lease.sent(now_s)
            sent = now_s
        else:
            lease.accepted()
            renewals += [] if sent is None else [sent]
    now_s += wait_s

    until_s = max(renewals) + 4 * fives if renewals else 0
    assert lease.opened == bool(renewals)
    assert lease.valid(now_s) == (now_s < until_s)
    assert lease.overdue_s(now_s) == (max(0, now_s - until_s) if renewals else 0)
