"""The provider seam's values: secrets stay out of texts, each failure has a name of its own."""

import pytest

from schemas.calls import (
    Malformed,
    Missing,
    ProviderError,
    Refused,
    Route,
    Throttled,
    Timeouts,
    Unavailable,
)
from schemas.cluster import Cluster, Delivery

LEAVES = (Throttled, Unavailable, Missing, Refused, Malformed)


def test_secrets_do_not_show_in_texts():
    route = Route("openai:m", "m", "openai", "m", api_key="sk-1234")
    cluster = Cluster(password="hunter2")

    assert "sk-1234" not in repr(route)
    assert "hunter2" not in repr(cluster)


def test_every_failure_has_a_name_of_its_own():
    assert len({each.outcome for each in (ProviderError, *LEAVES)}) == len(LEAVES) + 1


@pytest.mark.parametrize(
    ("error", "retriable", "elsewhere"),
    [
        (Throttled, True, True),
        (Unavailable, True, True),
        (Missing, False, True),
        (Refused, False, False),
        (Malformed, False, True),
    ],
)
def test_a_failure_says_whether_here_or_elsewhere_may_be_tried(
    error: type[ProviderError], retriable: bool, elsewhere: bool
):
    assert (error.retriable, error.elsewhere) == (retriable, elsewhere)


def test_a_failure_carries_what_the_server_said():
    error = Throttled("slow down", status=429, retry_after_s=1.5)

    assert (str(error), error.reason, error.status, error.retry_after_s) == (
        "slow down",
        "slow down",
        429,
        1.5,
    )


def test_an_answer_that_cannot_be_read_keeps_its_first_bytes_only():
    error = Malformed("not JSON", status=200, body=b"x" * 5000)

    assert error.body == b"x" * 4096


def test_topic_names_carry_the_installations_prefix():
    assert Cluster(prefix="blue.").topic("llm.requests") == "blue.llm.requests"


def test_default_bounds_are_those_of_the_design():
    delivery = Delivery()

    assert delivery.session.total_seconds() == 10
    assert delivery.heartbeat.total_seconds() == 0.5
    assert delivery.drain.total_seconds() == 30
    assert delivery.credits > 2000
    assert delivery.window_entries == 1_000_000
    assert Timeouts().total_s >= Timeouts().first_byte_s > Timeouts().connect_s
