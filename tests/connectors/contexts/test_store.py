"""The file of turns: what it keeps, what it gives, what it forgets, and that it survives itself."""

import contextlib
import sqlite3
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contexts.store import EVICTED, Place, Store
from schemas.contexts import Turn
from tests.connectors.contexts.making import A, B, row, turn


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path)


def opened(folder: Path, topic: str = "topic", most_bytes: int = 10**9) -> Store:
    return Store(folder / "turns.sqlite", topic, most_bytes)


def before(store: Store, seq: int, context: UUID = A, turns: int = 100, size: int = 10**6) -> list[int]:
    found = store.before(context, "t", seq, turns, size)
    return [Turn.model_validate_json(value).seq for value in found.turns]


def test_a_turn_is_given_to_later_ones_of_its_conversation_and_tenant_only(store: Store):
    for made in (turn(9), turn(4), turn(5, B), turn(6, tenant="other")):
        store.put(row(made))

    assert before(store, 10) == [4, 9]
    assert before(store, 9) == [4]
    assert before(store, 4) == []
    assert before(store, 10, B) == [5]


def test_the_newest_turns_that_fit_are_given_without_gaps(store: Store):
    for seq in range(10, 20):
        store.put(row(turn(seq)))
    size = len(turn(10).to_bytes())

    assert before(store, 99, turns=3) == [17, 18, 19]
    assert before(store, 99, size=4 * size) == [16, 17, 18, 19]
    assert before(store, 99, size=size - 1) == []


def test_a_large_turn_ends_what_is_given_and_is_not_passed_over(store: Store):
    large = turn(11).model_copy(update={"request_id": "r" * 5000})
    for made in (turn(10), large, turn(12)):
        store.put(row(made))

    assert before(store, 99, size=2000) == [12]


def test_system_turns_are_found_where_they_no_longer_fit(store: Store):
    store.put(row(turn(1, system="old")))
    store.put(row(turn(2, system="new")))
    store.put(row(turn(3)))
    store.put(row(turn(4)))
    cut, whole = store.before(A, "t", 99, 1, 10**6), store.before(A, "t", 99, 4, 10**6)

    assert cut.system == turn(2, system="new").to_bytes()
    assert (whole.system, store.before(A, "t", 2, 0, 0).system) == (None, turn(1, system="old").to_bytes())


STEPS = st.tuples(st.sampled_from(["put", "drop", "forget", "clear"]), st.integers(0, 9))


@given(st.lists(STEPS, max_size=30))
def test_the_size_is_that_of_the_turns_whatever_comes(steps: list[tuple[str, int]]):
    store = Store(Path(":memory:"), "topic", 10**9)
    model: dict[int, int] = {}
    for what, seq in steps:
        made = turn(seq, asked_ms=seq + 1)
        if what == "put":
            store.put(row(made, partition=seq % 2))
            model[seq] = len(made.to_bytes())
        elif what == "drop":
            store.drop(A, seq)
            model.pop(seq, None)
        elif what == "forget":
            gone = store.forget(A, seq + 1)
            assert sorted(place.seq for place in gone) == sorted(each for each in model if each <= seq)
            model = {each: size for each, size in model.items() if each > seq}
        else:
            store.clear(seq % 2)
            model = {each: size for each, size in model.items() if each % 2 != seq % 2}
        assert store.bytes == sum(model.values())
        assert before(store, 99) == sorted(model)
    store.close()


def test_what_is_too_old_is_named_and_what_is_too_much_is_not(tmp_path: Path):
    store = opened(tmp_path, most_bytes=EVICTED * len(turn(1000, asked_ms=1000).to_bytes()))
    for seq in range(1000, 1000 + EVICTED + 3):
        store.put(row(turn(seq, asked_ms=seq)))
    assert store.over

    assert store.evict(1002) == [Place(3, A, 1000), Place(3, A, 1001)]
    assert not store.over
    assert store.crowded_out == EVICTED
    assert before(store, 9999) == [1000 + EVICTED + 2]


def test_the_offset_never_goes_back_and_is_kept_with_the_turns(tmp_path: Path):
    store = opened(tmp_path)
    with store.writing():
        store.put(row(turn(1)))
        store.reached(3, 7, 100)
        store.reached(3, 5, 200)
    with contextlib.suppress(ZeroDivisionError), store.writing():
        store.put(row(turn(2)))
        store.reached(3, 8 // 0, 300)
    store.close()
    again = opened(tmp_path)

    assert again.ends() == {3: (7, 200)}
    assert before(again, 99) == [1]
    assert again.bytes == len(turn(1).to_bytes())


def test_a_cleared_partition_starts_anew(store: Store):
    store.put(row(turn(1), 3))
    store.put(row(turn(2), 4))
    store.reached(3, 7, 100)
    store.clear(3)
    store.reached(3, 2, 100)

    assert store.ends() == {3: (2, 100)}
    assert before(store, 99) == [2]


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes):
    (tmp_path / "turns.sqlite").write_bytes(damage)
    store = opened(tmp_path)
    store.put(row(turn(1)))

    assert before(store, 9) == [1]
    assert store.ends() == {}


def test_a_file_of_another_topic_or_version_is_emptied(tmp_path: Path):
    for topic, version in (("other", "1"), ("topic", "0")):
        store = opened(tmp_path, topic)
        store.put(row(turn(1)))
        store.reached(3, 7, 100)
        store.close()
        with sqlite3.connect(tmp_path / "turns.sqlite") as raw:
            raw.execute("UPDATE about SET value = ? WHERE name = 'version'", (version,))
        raw.close()
        again = opened(tmp_path)

        assert (before(again, 99), again.ends(), again.bytes) == ([], {}, 0)
        again.close()
