"""Careful feeding: never past a commit, suspects one at a time over the worker; then workers that crash."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kafka.careful import Careful
from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition
from connectors.kafka.rules.marks import NOBODY, Mark
from schemas.arrivals import Closing
from schemas.records import Record
from tests.connectors.kafka.crashing import NOTE, Commits, Crashing
from tests.connectors.kafka.owning import live, owned, record


def crashed(
    ownership: Ownership, crashes: int, fed: int, number: int = 3, suspect: int = NOBODY, count: int = 5
) -> Partition:
    """A partition from offset 10 with a backlog, after that many crashes."""
    partition = live(ownership, number, Mark(10, NOTE, crashes - 1, fed, suspect))
    partition.backlog.extend(record(partition, offset) for offset in range(10, 10 + count))
    return partition


def offsets(records: list[Record]) -> list[int]:
    return [each.offset for each in records]


def test_a_partition_without_backlog_asks_for_nothing():
    ownership, commits = owned(), Commits()
    careful = Careful(ownership, commits)
    careful.feed([live(ownership)])

    assert not careful.busy
    assert commits.count == 0


def test_after_the_first_crash_a_commit_allows_all_that_was_read():
    ownership, commits = owned(), Commits()
    partition = crashed(ownership, 1, fed=10)
    careful = Careful(ownership, commits)
    careful.feed([partition])

    assert offsets(ownership.take(9)) == [10, 11, 12, 13, 14]
    assert (commits.count, commits.marks[3].fed) == (1, 15)
    partition.backlog.append(record(partition, 15))
    careful.feed([partition])
    assert offsets(ownership.take(9)) == [15]
    assert commits.count == 2


def test_what_was_read_needs_no_commit_once_the_crash_is_forgotten():
    ownership, commits = owned(), Commits()
    partition = crashed(ownership, 1, fed=10)
    partition.poison.moved(11)
    Careful(ownership, commits).feed([partition])

    assert len(ownership.take(9)) == 5
    assert commits.count == 0


def test_after_the_second_crash_each_is_named_before_it_is_fed_and_the_next_waits():
    ownership, commits = owned(), Commits()
    partition = crashed(ownership, 2, fed=12)
    careful = Careful(ownership, commits)
    careful.feed([partition])

    assert commits.named() == 10
    careful.feed([partition])
    taken = ownership.take(9)
    assert offsets(taken) == [10]
    careful.feed([partition])
    assert ownership.take(9) == []
    assert careful.busy
    ownership.passed(taken[0])
    careful.feed([partition])
    assert offsets(ownership.take(9)) == [11]
    assert commits.named() == 11


def test_the_last_suspect_that_has_passed_is_named_no_more_before_others_are_fed():
    ownership, commits = owned(), Commits()
    partition = crashed(ownership, 2, fed=11, count=3)
    careful = Careful(ownership, commits)
    careful.feed([partition])
    ownership.passed(ownership.take(9)[0])
    commits.refuse = True
    careful.feed([partition])
    assert (commits.named(), ownership.take(9)) == (10, [])
    commits.refuse = False
    careful.feed([partition])
    assert (commits.named(), ownership.take(9)) == (NOBODY, [])
    careful.feed([partition])

    assert offsets(ownership.take(9)) == [11, 12]
    assert not careful.busy


@pytest.mark.parametrize(("crashes", "fed", "fed_first"), [(1, 10, [10, 11]), (2, 12, [10])])
def test_a_commit_that_fails_feeds_nothing_and_is_asked_for_again(
    crashes: int, fed: int, fed_first: list[int]
):
    ownership, commits = owned(), Commits()
    partition = crashed(ownership, crashes, fed, count=2)
    careful = Careful(ownership, commits)
    commits.refuse = True
    for _ in range(3):
        careful.feed([partition])
        assert ownership.take(9) == []
    commits.refuse = False
    careful.feed([partition])

    assert offsets(ownership.take(9)) == fed_first
    assert commits.marks[3].suspect == 10 or commits.marks[3].fed == 12


def test_one_suspect_at_a_time_over_all_partitions_of_the_worker():
    ownership, commits = owned(), Commits()
    partitions = [crashed(ownership, 2, 12, number, count=1) for number in (1, 2)]
    partitions.append(crashed(ownership, 1, 10, 3, count=1))
    careful = Careful(ownership, commits)
    seen: list[tuple[int, int]] = []
    for _ in range(8):
        careful.feed(partitions)
        taken = ownership.take(9)
        seen += [(each.partition, each.offset) for each in taken]
        assert sum(mark.suspect != NOBODY for mark in commits.marks.values()) <= 1
        for each in taken:
            ownership.passed(each)

    assert seen == [(1, 10), (2, 10), (3, 10)]


def test_nothing_else_passes_the_steps_while_one_is_suspected():
    ownership, commits = owned(), Commits()
    calm = live(ownership, 7)
    ownership.put(calm, [record(calm, 10), record(calm, 11)], 11)
    first = ownership.take(1)
    partition = crashed(ownership, 2, fed=12, count=1)
    careful = Careful(ownership, commits)
    careful.feed([calm, partition])
    assert (ownership.take(9), commits.count) == ([], 0)
    ownership.passed(first[0])
    careful.feed([calm, partition])
    assert [each.partition for each in ownership.take(9)] == [3]


def test_what_an_earlier_owner_answered_is_skipped_without_a_commit():
    ownership, commits = owned(), Commits()
    partition = live(ownership, mark=Mark(10, NOTE, 1, 14), answered={10, 11, 13})
    partition.backlog.extend(record(partition, offset) for offset in range(10, 15))
    careful = Careful(ownership, commits)
    careful.feed([partition])

    assert offsets(ownership.take(9)) == [12]
    assert (commits.count, ownership.counters["skipped"]) == (1, 2)


def test_nothing_is_fed_until_the_response_of_a_dead_one_is_durable():
    ownership, commits = owned(), Commits()
    partition = crashed(ownership, 3, fed=13, suspect=10)
    other = crashed(ownership, 2, 12, number=4)
    careful = Careful(ownership, commits)
    careful.feed([partition, other])
    taken = ownership.take(9)

    assert [(each.offset, each.crash_loop) for each in taken] == [(10, True)]
    ownership.passed(taken[0])
    careful.feed([partition, other])
    assert (ownership.take(9), commits.named()) == ([], 10)
    ownership.close([Closing(taken[0], None, 5, False)])
    careful.feed([partition, other])
    assert offsets(ownership.take(9)) == [11]


def test_a_suspect_whose_partition_leaves_does_not_hold_the_others_up():
    ownership, commits = owned(), Commits()
    calm = live(ownership, 7)
    partition = crashed(ownership, 2, fed=12)
    careful = Careful(ownership, commits)
    careful.feed([calm, partition])
    ownership.drain(partition)
    commits.refuse = True
    for _ in range(3):
        assert ownership.take(9) == []
        careful.feed([calm])
    ownership.put(calm, [record(calm, 10)], 10)

    assert [each.partition for each in ownership.take(9)] == [7]


def test_a_partition_that_leaves_before_it_was_named_ends_the_quiet():
    ownership, commits = owned(), Commits()
    calm = live(ownership, 7)
    ownership.put(calm, [record(calm, 10), record(calm, 11)], 11)
    inside = ownership.take(1)
    partition = crashed(ownership, 2, fed=12)
    careful = Careful(ownership, commits)
    careful.feed([calm, partition])
    ownership.drain(partition)
    ownership.passed(inside[0])
    careful.feed([calm])

    assert offsets(ownership.take(9)) == [11]
    assert not careful.busy


POISON = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 11)), max_size=4)


@settings(max_examples=250, deadline=None)
@given(poison=POISON, choices=st.lists(st.integers(0, 3), max_size=120), early=st.booleans())
def test_poison_is_buried_and_no_innocent_whatever_partition_it_lies_in(
    poison: set[tuple[int, int]], choices: list[int], early: bool
):
    world = Crashing(poison, choices, early)
    for _ in range(100):
        if world.live():
            break

    assert world.dead == poison
    assert all(len(world.answered[number]) == end for number, end in world.ends.items())
    assert early or all(stops <= 3 for stops in world.stops.values())
