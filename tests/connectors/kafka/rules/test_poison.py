"""Poison: the crash bookkeeping bare, then a partition whose records stop their worker."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kafka.rules.marks import NOBODY, RELEASED, Mark, Note, read_mark
from connectors.kafka.rules.poison import Poison

NOTE = Note(3, 4)
FRESH = Mark(0, NOTE, RELEASED)


def taken(crashes: int = 0, fed: int = 0, suspect: int = NOBODY, offset: int = 10) -> Poison:
    return Poison.takeover(Mark(offset, NOTE, crashes, fed, suspect))


def test_after_an_orderly_release_nothing_is_counted_and_all_may_be_fed():
    poison = taken(RELEASED, suspect=12)

    assert poison == Poison(start=10)
    assert poison.allowed(10**9)
    assert poison.mark(11, NOTE) == Mark(11, NOTE)


def test_the_first_crash_is_counted_and_feeding_waits_for_a_commit():
    poison = taken(0)

    assert poison.mark(10, NOTE) == Mark(10, NOTE, crashes=1, fed=10)
    assert not poison.allowed(10)
    poison.propose(10, 14)
    assert poison.mark(10, NOTE) == Mark(10, NOTE, crashes=1, fed=15)
    assert poison.allowed(14)
    assert not poison.allowed(15)
    assert not poison.slow(10)


def test_from_the_second_crash_on_what_was_fed_passes_alone_and_named():
    poison = taken(1, fed=13)

    assert [poison.slow(offset) for offset in (10, 12, 13)] == [True, True, False]
    assert not poison.allowed(10)
    poison.propose(10, 12)
    assert poison.allowed(10)
    assert not poison.allowed(11)
    assert poison.mark(10, NOTE) == Mark(10, NOTE, crashes=2, fed=13, suspect=10)


def test_one_that_has_passed_is_named_no_more_and_needs_another_commit():
    poison = taken(1, fed=13)
    poison.propose(10, 12)
    poison.passed(11)

    assert poison.suspect == 10
    poison.passed(10)
    assert poison.suspect == NOBODY
    assert not poison.allowed(10)


def test_after_the_slow_ones_many_may_be_fed_and_nobody_is_named():
    poison = taken(1, fed=13)
    poison.propose(12, 12)
    poison.propose(13, 15)

    assert (poison.suspect, poison.fed) == (NOBODY, 16)
    assert poison.allowed(15)
    poison.propose(13, 13)
    assert poison.fed == 16


def test_where_nothing_was_fed_nothing_is_slow():
    poison = taken(1, fed=7)

    assert not poison.slow(10)
    assert (poison.fed, poison.slow_until) == (10, 10)


@pytest.mark.parametrize(
    ("crashes", "suspect", "dead"), [(1, 12, NOBODY), (2, 12, 12), (5, 12, 12), (2, NOBODY, NOBODY)]
)
def test_only_a_named_suspect_becomes_a_dead_letter_at_the_third_crash(crashes: int, suspect: int, dead: int):
    assert taken(crashes, fed=13, suspect=suspect).dead == dead


def test_a_moved_watermark_forgets_the_first_crash():
    poison = taken(0)
    poison.moved(10)
    assert poison.crashes == 1
    poison.moved(11)
    assert poison.crashes == 0
    assert poison.allowed(10**9)


def test_later_crashes_are_forgotten_when_the_watermark_has_passed_the_slow_ones():
    poison = taken(1, fed=13)
    poison.propose(12, 12)
    poison.moved(12)
    assert (poison.crashes, poison.suspect) == (2, 12)
    poison.moved(13)
    assert (poison.crashes, poison.suspect) == (0, NOBODY)


def test_what_the_predecessor_answered_is_no_progress():
    poison = taken(0)
    poison.scanned({10, 11, 13})
    poison.moved(12)
    assert poison.crashes == 1
    poison.moved(13)
    assert poison.crashes == 0


def test_a_proposal_that_was_not_committed_is_withdrawn():
    poison = taken(0)
    poison.propose(10, 14)
    poison.withdraw(10)

    assert not poison.allowed(10)
    poison.withdraw(12)
    assert poison.fed == 10


@dataclass
class Partition:
    """A log with poison in it, and workers that go by the rules until it stops them."""

    end: int
    poison: set[int]
    slow: set[int]
    """Calls that end only when all others have."""
    choices: Iterator[int]
    early: bool
    """Whether calls may end, and commits be made, before the second crash."""
    mark: Mark = FRESH
    answered: set[int] = field(default_factory=set[int])
    dead: set[int] = field(default_factory=set[int])
    stops: Counter[int] = field(default_factory=Counter[int])
    kills: int = 0

    def watermark(self) -> int:
        return next((offset for offset in range(self.end) if offset not in self.answered), self.end)

    def commit(self, poison: Poison) -> None:
        poison.moved(self.watermark())
        mark = poison.mark(self.watermark(), NOTE)
        read = read_mark(mark.offset, mark.metadata())
        assert read == mark
        self.mark = mark

    def commit_first(self, poison: Poison) -> None:
        """The crash is counted before the scan has told what was answered."""
        self.mark = poison.mark(self.mark.offset, NOTE)

    def live(self) -> bool:
        """One worker's life; whether it came to the end."""
        poison = Poison.takeover(self.mark)
        self.commit_first(poison)
        poison.scanned(self.answered)
        in_flight: list[int] = []
        for offset in range(self.mark.offset, self.end):
            if offset in self.answered:
                continue
            if offset == poison.dead:
                self.dead.add(offset)
                self.answered.add(offset)
                continue
            if not poison.allowed(offset):
                poison.propose(offset, offset + 4)
                self.commit(poison)
            assert poison.allowed(offset)
            if offset in self.poison:
                self.stops[offset] += 1
                return False
            poison.passed(offset)
            in_flight.append(offset)
            if self.happens(poison, in_flight):
                self.kills += 1
                return False
        self.answered.update(in_flight)
        self.commit(poison)
        return True

    def happens(self, poison: Poison, in_flight: list[int]) -> bool:
        """Something else goes on; whether the worker is killed from outside."""
        choice = next(self.choices, 0)
        if poison.crashes == 1 and not self.early:
            return False
        quick = [offset for offset in in_flight if offset not in self.slow]
        if choice in (1, 2) and quick:
            self.answered.update(quick[:choice])
        if choice in (2, 3):
            self.commit(poison)
        return choice == 4 and self.mark.suspect == NOBODY and self.kills < 3


OFFSETS = st.sets(st.integers(0, 24), max_size=4)


def run(poison: set[int], slow: set[int], choices: list[int], early: bool) -> Partition:
    partition = Partition(25, poison, slow, iter(choices), early)
    for _ in range(200):
        if partition.live():
            return partition
    raise AssertionError("no end in sight")


@settings(max_examples=500, deadline=None)
@given(poison=OFFSETS, slow=OFFSETS, choices=st.lists(st.integers(0, 3), max_size=80))
def test_poison_stops_its_partition_three_times_and_no_innocent_is_buried(
    poison: set[int], slow: set[int], choices: list[int]
):
    partition = run(poison, slow, choices, early=False)

    assert partition.dead == poison
    assert all(partition.stops[offset] <= 3 for offset in poison)
    assert partition.watermark() == partition.end


@settings(max_examples=500, deadline=None)
@given(poison=OFFSETS, slow=OFFSETS, choices=st.lists(st.integers(0, 4), max_size=120))
def test_whatever_else_goes_on_poison_ends_as_dead_letters_and_nothing_else_does(
    poison: set[int], slow: set[int], choices: list[int]
):
    partition = run(poison, slow, choices, early=True)

    assert partition.dead == poison
    assert partition.watermark() == partition.end
