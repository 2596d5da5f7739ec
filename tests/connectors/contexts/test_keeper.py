"""Keeping turns: kept before the next, not read while the file is behind, and forgotten for good."""

import queue
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.contexts.store import Place
from schemas.contexts import Asking, Conversations, Past
from tests.connectors.contexts.making import A, B, Bench, row, turn


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_turn_that_is_kept_is_given_to_the_next(bench: Bench):
    bench.keep(turn(1))
    bench.keep(turn(5))

    assert bench.past(9) == Past((turn(1), turn(5)))
    assert bench.seen(5) == [1]
    assert bench.seen(9, B) == []
    assert bench.opened == 1


def test_nothing_is_opened_before_there_is_a_turn(bench: Bench):
    bench.keeper.forget(A, 5)

    assert bench.past() == Past()
    assert (bench.opened, bench.keeper.size_bytes) == (0, 0)


def test_the_system_turns_that_hold_are_those_of_the_last_turn_that_brought_some(bench: Bench):
    for made in (turn(1, system="old"), turn(2, system="new"), turn(3)):
        bench.keep(made)

    assert [each.content for each in bench.past(9).system] == ["new"]
    assert [each.content for each in bench.past(2).system] == ["old"]


def test_system_turns_hold_beyond_the_bound_of_the_history(tmp_path: Path):
    bench = Bench(tmp_path, Conversations(history_turns=1))
    for made in (turn(1, system="s"), turn(2), turn(3)):
        bench.keep(made)

    assert bench.seen(9) == [3]
    assert [each.content for each in bench.past(9).system] == ["s"]


def test_of_a_partition_that_is_behind_nothing_is_read_before_it_is_caught_up(bench: Bench):
    bench.keeper.behind(3, 1)
    found: queue.SimpleQueue[Past] = queue.SimpleQueue()
    bench.keeper.read(Asking(A, "t", 3, 9), found.put)
    bench.keeper.load(3, [row(turn(1)), row(turn(2)), Place(3, A, 1)], 17)
    bench.keep(turn(7), offset=30)
    assert found.empty()
    bench.keeper.caught_up(3, 1)

    assert [each.seq for each in found.get(timeout=5).turns] == [2, 7]
    assert bench.keeper.ends()[3][0] == 17  # what was kept meanwhile doesn't say how far the log was read
    bench.keep(turn(8), offset=31)
    assert bench.keeper.ends()[3][0] == 32


def test_an_older_takeover_does_not_end_the_waiting_for_a_newer_one(bench: Bench):
    bench.keeper.behind(3, 1)
    bench.keeper.behind(3, 2)
    found: queue.SimpleQueue[Past] = queue.SimpleQueue()
    bench.keeper.read(Asking(A, "t", 3, 9), found.put)
    bench.keeper.caught_up(3, 1)
    bench.keeper.ends()
    assert found.empty()
    bench.keeper.caught_up(3, 2)

    assert found.get(timeout=5) == Past()


def test_what_is_forgotten_is_gone_here_and_from_the_log(bench: Bench):
    bench.keeper.behind(3, 1)
    bench.keeper.caught_up(3, 1)
    for made in (turn(1, asked_ms=10), turn(2, asked_ms=20), turn(3, asked_ms=30), turn(4, B, asked_ms=5)):
        bench.keep(made)
    bench.keeper.forget(A, 20)

    assert (bench.seen(), bench.seen(context=B)) == ([3], [4])
    assert [(each.topic, each.value, each.partition, each.key) for each in bench.buried] == [
        ("x.llm.contexts", None, 3, f"{A}/1".encode()),
        ("x.llm.contexts", None, 3, f"{A}/2".encode()),
    ]


def test_a_turn_under_way_when_its_conversation_is_forgotten_is_not_kept(bench: Bench):
    bench.keeper.behind(3, 1)
    bench.keeper.caught_up(3, 1)
    bench.keeper.forget(A, 20)
    bench.keeper.forget(A, 10)  # an older wish takes nothing back
    bench.keep(turn(2, asked_ms=20))
    bench.keep(turn(3, asked_ms=21))
    bench.keeper.load(3, [row(turn(1, asked_ms=11))], 5)

    assert bench.seen() == [3]
    assert [each.key for each in bench.buried] == [f"{A}/2".encode(), f"{A}/1".encode()]


def test_turns_of_foreign_partitions_are_not_written_over(bench: Bench):
    bench.keep(turn(1, asked_ms=10))
    bench.keeper.forget(A, 20)

    assert bench.seen() == []
    assert bench.buried == []


def test_what_has_become_too_old_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connectors.contexts.keeper.AGE_CHECK_S", 0.0)
    bench = Bench(tmp_path, Conversations(max_age=timedelta(days=1)))
    bench.keeper.behind(3, 1)
    bench.keeper.caught_up(3, 1)
    bench.keep(turn(1, asked_ms=1000))
    bench.keep(turn(2))

    assert bench.seen() == [2]
    assert [each.key for each in bench.buried] == [f"{A}/1".encode()]


def test_a_keeper_goes_on_with_the_file_of_the_one_before(tmp_path: Path):
    first = Bench(tmp_path)
    first.keep(turn(1), offset=11)
    first.keeper.stop()
    second = Bench(tmp_path)

    assert second.keeper.ends()[3][0] == 12
    assert second.seen() == [1]
    second.keeper.stop()
    third = Bench(tmp_path)
    third.topic_id = "another"
    assert third.keeper.ends() == {}
    assert third.seen() == []


def test_a_file_that_fails_is_removed_and_the_worker_starts_anew(bench: Bench):
    bench.keep(turn(1))
    (path,) = bench.folder.glob("*.sqlite")
    store = bench.keeper._store
    assert store is not None
    store._db.execute("DROP TABLE turns")
    bench.keeper.read(Asking(A, "t", 3, 9), lambda _: None)
    bench.keeper._thread.join(5)  # type: ignore[union-attr]

    assert "made anew at the next start" in bench.failures[0]
    assert not path.exists()


def test_a_bug_ends_the_worker(bench: Bench):
    bench.keeper.read(Asking(A, "t", 3, 9), lambda _: 1 / 0)  # type: ignore[arg-type]
    bench.keeper._thread.join(5)  # type: ignore[union-attr]

    assert "ZeroDivisionError" in bench.failures[0]


def test_loading_anew_drops_what_was_there(bench: Bench):
    bench.keep(turn(1), offset=90)
    bench.keeper.load(3, [row(turn(2))], 4, anew=True)

    assert bench.seen() == [2]
    assert bench.keeper.ends()[3][0] == 4
