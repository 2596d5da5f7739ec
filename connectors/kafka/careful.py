"""Feeds partitions whose last owners crashed: never past what a commit has said, suspects one at a time."""

from collections.abc import Callable

from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition, State


class Careful:
    """Moves records from the backlogs of such partitions to the flow, as `rules.poison` allows."""

    def __init__(self, ownership: Ownership, commit: Callable[[list[Partition]], bool]) -> None:
        """Take what it works with.

        Args:
            ownership: Where records are put.
            commit: Commits the marks of partitions and waits; whether it was taken.
        """
        self._ownership = ownership
        self._commit = commit
        self._named: Partition | None = None

    @property
    def busy(self) -> bool:
        """Whether a suspect is on its way and the next should follow soon."""
        return self._ownership.quiet

    def feed(self, partitions: list[Partition]) -> None:
        """Feed what may be fed now. Called over and over, with all partitions that are live."""
        for partition in partitions:
            if partition.backlog:
                self._pass_answered(partition)
        for partition in partitions:
            if partition.poison.dead in partition.marks.open:
                return  # until the dead letter's response is settled: a crash would make it a suspect again
        if self._named is not None and self._named.state is not State.LIVE:
            self._named = None  # what is committed of it is its release
        waiting = [partition for partition in partitions if partition.backlog]
        slow = [p for p in waiting if p.poison.slow(p.backlog[0].offset)]
        if slow or self._named is not None:
            self._ownership.quiet = True
            if self._ownership.inside or self._ownership.suspected:
                return  # until what is inside has passed
            self._next_suspect(slow[0] if slow else None)
            return
        self._ownership.quiet = False
        if waiting:
            self._feed_on(waiting)

    def _pass_answered(self, partition: Partition) -> None:
        """What earlier owners answered is not fed at all, so it needs no commit."""
        while partition.backlog and partition.backlog[0].offset in partition.marks.answered:
            record = partition.backlog.popleft()
            self._ownership.put(partition, [record], record.offset)

    def _next_suspect(self, partition: Partition | None) -> None:
        """The last suspect has passed: name the next one and clear the last in one commit, then feed it."""
        cleared = self._named
        asking = [p for p in (cleared, partition) if p is not None]
        if cleared is not None:
            cleared.poison.passed(cleared.poison.suspect)
        if partition is not None:
            offset = partition.backlog[0].offset
            partition.poison.propose(offset, offset)
        if not self._commit(list(dict.fromkeys(asking))):
            return
        self._named = partition
        if partition is not None:
            self._ownership.put_alone(partition, partition.backlog.popleft())

    def _feed_on(self, waiting: list[Partition]) -> None:
        """Past the suspects: say how far the feeding goes, then feed it."""
        asking = [p for p in waiting if not p.poison.allowed(p.backlog[-1].offset)]
        for partition in asking:
            partition.poison.propose(partition.backlog[0].offset, partition.backlog[-1].offset)
        if asking and not self._commit(asking):
            for partition in asking:
                partition.poison.withdraw(partition.backlog[0].offset)
            return
        for partition in waiting:
            records = list(partition.backlog)
            partition.backlog.clear()
            self._ownership.put(partition, records, records[-1].offset)
