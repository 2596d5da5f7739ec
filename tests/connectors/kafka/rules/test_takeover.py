"""Takeover: the scan bare, then workers killed at any point, against a world that knows the truth."""

import pytest
from hypothesis import Phase as HypothesisPhase
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from connectors.kafka.rules.marks import Mark, Note
from connectors.kafka.rules.takeover import Found, Scan, remembers
from schemas.packed import MOVED, NO_OFFSET, REMEMBERED, REPEAT, Settled, Started
from tests.connectors.kafka.rules.partition_model import Flaw, Phase, Task, World

MARK = Mark(10, Note(3, 4))


def started(offset: int, attempt: int = 1, source: int = 0) -> Started:
    return Started(source, attempt, 1, offset, 1, 1)


def settled(offset: int, response: int = 5, flags: int = REMEMBERED, source: int = 0) -> Settled:
    return Settled(source, flags, offset, 1, 1, response)


def scan_of(*fences: int | None) -> Scan:
    scan = Scan(0, MARK)
    scan.response_end, scan.usage_end = fences
    return scan


def test_nothing_found_leaves_the_mark_as_it_was():
    assert scan_of(30, 40).result() == Found({}, {}, 10, Note(30, 40))


@pytest.mark.parametrize("fences", [(None, None), (1, None), (None, 1)])
def test_a_scan_that_has_not_met_both_fences_has_no_result(fences: tuple[int | None, int | None]):
    scan = scan_of(*fences)

    assert not scan.complete
    with pytest.raises(ValueError, match="not complete"):
        scan.result()


def test_what_was_started_and_not_answered_is_unknown_with_its_highest_attempt():
    scan = scan_of(30, 40)
    scan.take_started([started(12, 2), started(12, 1), started(11), started(13)])
    scan.take_response(11, 6)
    scan.take_settled([settled(13, 7)])

    assert scan.complete
    assert scan.result() == Found({13: 7, 11: 6}, {12: 2}, 14, Note(30, 40))


def test_moved_requests_and_repeats_count_as_answered_without_a_response():
    scan = scan_of(30, 40)
    scan.take_settled([settled(15, NO_OFFSET, MOVED), settled(10, NO_OFFSET, REPEAT)])

    assert scan.result().answered == {15: NO_OFFSET, 10: NO_OFFSET}
    assert scan.result().high == 16


def test_what_lies_below_the_watermark_or_came_from_another_topic_is_left_out():
    scan = scan_of(30, 40)
    scan.take_started([started(9), started(12, source=1)])
    scan.take_settled([settled(9), settled(12, source=1)])

    assert not scan.take_response(9, 6)
    assert scan.result() == Found({}, {}, 10, Note(30, 40))


def test_derived_records_are_owed_once_for_a_response_without_a_settled_entry():
    scan = scan_of(30, 40)
    scan.take_settled([settled(11)])

    assert not scan.take_response(11, 5)
    assert scan.take_response(12, 6)
    assert not scan.take_response(12, 7)
    assert scan.result().answered == {11: 5, 12: 6}


@pytest.mark.parametrize(
    ("flags", "response", "kept"),
    [
        (REMEMBERED, 5, True),
        (0, 5, False),
        (REMEMBERED | MOVED, 5, False),
        (REMEMBERED, NO_OFFSET, False),
        (REPEAT, NO_OFFSET, False),
    ],
)
def test_only_a_remembered_answer_belongs_into_the_window(flags: int, response: int, kept: bool):
    assert remembers(settled(10, response, flags)) is kept


class Partition(RuleBasedStateMachine):
    """Everything that may happen to a partition, in any order."""

    flaw = Flaw.NONE

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.flaw)

    def tasks(self, *phases: Phase) -> list[Task]:
        return [task for task in self.world.worker.tasks.values() if task.phase in phases]

    @rule(gap=st.sampled_from([0, 0, 0, 2]), count=st.integers(1, 3))
    def produce(self, gap: int, count: int) -> None:
        for _ in range(count):
            self.world.produce(gap)

    @rule(most=st.integers(1, 3))
    def read(self, most: int) -> None:
        self.world.read(most)

    @precondition(lambda self: self.tasks(Phase.READ, Phase.STARTED, Phase.CALLED, Phase.ANSWERED))
    @rule(which=st.integers(0, 20))
    def advance(self, which: int) -> None:
        tasks = self.tasks(Phase.READ, Phase.STARTED, Phase.CALLED, Phase.ANSWERED)
        self.world.advance(tasks[which % len(tasks)])

    @precondition(lambda self: self.tasks(Phase.CALLED))
    @rule(which=st.integers(0, 20))
    def fail(self, which: int) -> None:
        tasks = self.tasks(Phase.CALLED)
        self.world.retry(tasks[which % len(tasks)])

    @precondition(lambda self: self.tasks(Phase.READ))
    @rule(which=st.integers(0, 20))
    def reject(self, which: int) -> None:
        tasks = self.tasks(Phase.READ)
        self.world.answer(tasks[which % len(tasks)])

    @precondition(lambda self: self.world.worker.tasks)
    @rule(which=st.integers(0, 20))
    def complete(self, which: int) -> None:
        """One request goes all its way; what others have on theirs is acknowledged too."""
        tasks = list(self.world.worker.tasks.values())
        task = tasks[which % len(tasks)]
        while task.offset in self.world.worker.tasks:
            self.world.advance(task)
            self.world.flush()

    @rule(log=st.integers(0, 1))
    def append(self, log: int) -> None:
        self.world.append(log)

    @rule(log=st.integers(0, 1))
    def acknowledge(self, log: int) -> None:
        self.world.append(log)
        self.world.acknowledge(log)

    @rule()
    def flush(self) -> None:
        self.world.flush()

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule(appended=st.integers(0, 2))
    def crash(self, appended: int) -> None:
        self.world.crash(appended)

    def teardown(self) -> None:
        self.world.finish()


TestPartition = Partition.TestCase
TestPartition.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("rule_broken", list(Flaw)[1:], ids=lambda flaw: flaw.name)
def test_each_broken_rule_is_noticed_by_the_machine(rule_broken: Flaw):
    class Broken(Partition):
        """The machine with one rule broken."""

        flaw = rule_broken

    with pytest.raises((AssertionError, ValueError)):
        run_state_machine_as_test(
            Broken,
            settings=settings(
                max_examples=1500,
                stateful_step_count=60,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[HypothesisPhase.generate],
            ),
        )


def killed_three_times(flaw: Flaw) -> World:
    """One slow call holds the watermark while three owners in a row answer others and are killed."""
    world = World(flaw)
    for _ in range(8):
        world.produce()
    world.read(3)
    first, *rest = world.worker.tasks.values()
    world.start(first)
    world.flush()
    world.call(first)
    for life in range(3):
        for task in rest:
            for _ in range(3):
                world.advance(task)
                world.flush()
        world.commit()
        world.crash()
        if life < 2:
            world.read(3)
            world.read(2)
            first, *rest = world.worker.tasks.values()
    return world


def test_three_crashes_in_a_row_forget_nothing():
    world = killed_three_times(Flaw.NONE)
    world.finish()

    assert world.flagged == {0}
    assert len(world.answers()) == 8


@pytest.mark.parametrize("flaw", [Flaw.FORGETS_INHERITED_NOTE, Flaw.NO_HIGH])
def test_without_the_inherited_note_or_its_bound_the_second_crash_pays_twice(flaw: Flaw):
    with pytest.raises(AssertionError, match="does not know what was"):
        killed_three_times(flaw)
