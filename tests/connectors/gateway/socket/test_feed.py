"""A topic's last rows: bounds, what matches, and what another tenant never sees."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.socket.feed import Feed, Row

MANY = (100, 1_000_000)


def row(tenant: str | None = None, size: int = 10, **value: object) -> Row:
    return Row(1000, "k", dict(value), tenant, size)


def filled(*rows: Row, max_rows: int = 10, max_bytes: int = 10_000) -> Feed:
    feed = Feed("e", max_rows, max_bytes)
    for one in rows:
        feed.append(one)
    return feed


def seqs(rows: list[bytes]) -> list[int]:
    return [orjson.loads(one)["seq"] for one in rows]


def test_rows_are_numbered_from_one_and_the_oldest_go_first():
    feed = filled(*[row(n=n) for n in range(5)], max_rows=3)

    assert (feed.seq, feed.gone) == (5, 2)
    assert feed.last({}, None, *MANY) == (2, [row(n=n).to_bytes(n + 1, None) for n in (2, 3, 4)])


def test_bytes_bound_the_rows_too_but_the_newest_stays():
    feed = filled(row(size=60), row(size=60), row(size=500), max_bytes=100)

    assert (len(feed.rows), feed.held_bytes) == (1, 500)


def test_only_a_place_whose_later_rows_are_held_is_held():
    feed = filled(*[row() for _ in range(5)], max_rows=3)

    assert [cursor for cursor in range(8) if feed.holds(cursor)] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [1, 2, 3]),
        ({"level": "error"}, [1]),
        ({"level": ["error", "info"]}, [1, 2]),
        ({"error.code": "internal"}, [1]),
        ({"service.name": "worker"}, [2]),
        ({"n": 1}, [1]),
        ({"n": True}, [3]),
        ({"gone": None}, []),
        ({"level": None}, [3]),
        ({"level.deeper": "x"}, []),
        ({"level": "error", "n": 2}, []),
    ],
)
def test_a_filter_compares_fields_dotted_where_nested(wanted: dict[str, str], found: list[int]):
    feed = filled(
        row(level="error", error={"code": "internal"}, n=1),
        row(level="info", n=2)
        if False
        else Row(1, "k", {"level": "info", "service.name": "worker", "n": 2}, None, 9),
        row(level=None, n=True),
    )

    assert seqs(feed.after(0, wanted, None, *MANY)[1]) == found


def test_rows_of_another_tenant_are_left_out_and_those_of_nobody_shown():
    feed = filled(row("acme"), row("other"), row(None))

    assert seqs(feed.after(0, {}, "acme", *MANY)[1]) == [1, 3]
    assert seqs(feed.last({}, "other", *MANY)[1]) == [2, 3]
    assert seqs(feed.last({}, None, *MANY)[1]) == [1, 2, 3]


def test_series_of_another_tenant_are_cut_out_of_a_row():
    feed = filled(row(series=[{"tenant": "acme", "n": 1}, {"tenant": "other", "n": 2}, "odd"]))

    assert orjson.loads(feed.last({}, "acme", *MANY)[1][0])["value"] == {
        "series": [{"tenant": "acme", "n": 1}]
    }
    assert len(orjson.loads(feed.last({}, None, *MANY)[1][0])["value"]["series"]) == 3


def test_a_reading_stops_at_its_bounds_and_says_where():
    feed = filled(*[row(n="x" * 100) for _ in range(6)])

    assert feed.after(0, {}, None, 2, 10_000)[0] == 2
    assert feed.after(2, {}, None, 100, 200)[0] == 4
    assert feed.after(6, {}, None, *MANY) == (6, [])
    assert feed.last({}, None, 2, 10_000)[0] == 4
    assert [feed.last({}, None, 100, 200)[0], feed.last({}, None, 100, 1)[0]] == [5, 5]


@given(
    tenants=st.lists(st.sampled_from(["a", "b", None]), max_size=30),
    max_rows=st.integers(1, 12),
    most=st.integers(1, 5),
    start=st.integers(0, 30),
)
def test_reading_on_from_where_one_stopped_gives_every_row_once_in_order(
    tenants: list[str | None], max_rows: int, most: int, start: int
):
    feed = filled(*[row(tenant) for tenant in tenants], max_rows=max_rows)
    cursor = min(max(start, feed.gone), feed.seq)
    first, got = cursor, list[int]()
    while cursor < feed.seq:
        cursor, rows = feed.after(cursor, {}, "a", most, 10_000)
        assert len(rows) <= most
        got += seqs(rows)

    assert got == [seq for seq in range(first + 1, feed.seq + 1) if tenants[seq - 1] in ("a", None)]
