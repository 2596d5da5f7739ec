"""Partitions with poison in them, and workers that feed them carefully until a record stops them."""

from collections import Counter

from connectors.kafka.careful import Careful
from connectors.kafka.partitions import Partition
from connectors.kafka.rules.marks import NOBODY, RELEASED, Mark, Note, read_mark
from connectors.kafka.rules.poison import ONE_AT_A_TIME, Poison
from schemas.arrivals import Closing
from schemas.packed import NO_OFFSET
from schemas.records import Record
from tests.connectors.kafka.owning import owned, record

NOTE = Note(0, 0)


class Commits:
    """Takes commits, or refuses them, and keeps the marks."""

    def __init__(self) -> None:
        self.marks: dict[int, Mark] = {}
        self.count = 0
        self.refuse = False

    def __call__(self, partitions: list[Partition]) -> bool:
        if self.refuse:
            return False
        self.count += 1
        for partition in partitions:
            watermark, note = partition.marks.watermark()
            partition.poison.moved(watermark)
            mark = partition.poison.mark(watermark, note)
            self.marks[partition.number] = read_mark(mark.offset, mark.metadata()) or mark
        return True

    def named(self, number: int = 3) -> int:
        return self.marks[number].suspect


class Crashing:
    """Partitions with poison in them, and workers that own them all until one record stops them."""

    def __init__(self, poison: set[tuple[int, int]], choices: list[int], early: bool) -> None:
        self.poison, self.early = poison, early
        self.choices = iter(choices)
        self.ends = dict.fromkeys(range(3), 12)
        self.marks = {number: Mark(0, NOTE, RELEASED) for number in self.ends}
        self.answered: dict[int, set[int]] = {number: set() for number in self.ends}
        self.dead: set[tuple[int, int]] = set()
        self.stops: Counter[tuple[int, int]] = Counter()

    def choose(self) -> int:
        return next(self.choices, 2)

    def live(self) -> bool:
        """One worker; whether it came to the end."""
        self.ownership, commits = owned(), Commits()
        commits.marks = self.marks
        partitions = [self._adopt(number) for number in self.ends]
        commits(partitions)
        for partition in partitions:
            known = self.answered[partition.number]
            high = max(known, default=partition.marks.next - 1) + 1
            self.ownership.revive(partition, set(known), {}, high, NOTE)
            self._read(partition)
        careful = Careful(self.ownership, commits)
        flying: list[Record] = []
        for _ in range(2000):
            commits.refuse = self.choose() == 3
            careful.feed(partitions)
            if self._pass(flying):
                return False
            assert sum(mark.suspect != NOBODY for mark in self.marks.values()) <= 1
            self._answer(partitions, flying)
            if self.choose() == 1:
                commits(partitions)
            if not flying and not any(p.backlog or p.buffered for p in partitions):
                commits.refuse = False
                commits(partitions)
                return True
        raise AssertionError("it stands still")

    def _adopt(self, number: int) -> Partition:
        mark = self.marks[number]
        return self.ownership.adopt(0, number, mark, Poison.takeover(mark))

    def _read(self, partition: Partition) -> None:
        end = self.ends[partition.number]
        records = [record(partition, offset) for offset in range(partition.marks.next, end)]
        if partition.poison.crashes:
            partition.backlog.extend(records)
        elif records:
            self.ownership.put(partition, records, end - 1)

    def _pass(self, flying: list[Record]) -> bool:
        """Records go through the synchronous steps; whether one of them stopped the worker."""
        for each in self.ownership.take(1 + self.choose()):
            place = (each.partition, each.offset)
            if place in self.poison and not each.crash_loop:
                self.stops[place] += 1
                return True
            if each.crash_loop:
                self.dead.add(place)
            self.ownership.passed(each)
            flying.append(each)
        return False

    def _answer(self, partitions: list[Partition], flying: list[Record]) -> None:
        fed = not any(p.backlog or p.buffered for p in partitions)
        for each in list(flying):
            crashes = partitions[each.partition].poison.crashes
            if (self.early or fed or crashes >= ONE_AT_A_TIME) and self.choose() > 0:
                self.answered[each.partition].add(each.offset)
                self.ownership.close([Closing(each, None, NO_OFFSET, False)])
                flying.remove(each)
