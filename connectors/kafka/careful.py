"""Feeds partitions whose last owners crashed: never past what a commit has said, suspects one at a time."""

from collections.abc import Callable

from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition
from connectors.kafka.rules.marks import NOBODY


class Careful:
    """Moves records from the backlogs of such partitions to the flow's buffer, as `rules.poison` allows."""

    def __init__(self, ownership: Ownership, commit: Callable[[list[Partition]], bool]) -> None:
        """Args:
        ownership: Where records are put.
        commit: Commits the marks of partitions and waits; whether it was taken.
        """
        self._ownership = ownership
        self._commit = commit
        self.busy = False
        """Whether a suspect is on its way and the next should follow soon."""

    def feed(self, partitions: list[Partition]) -> None:
        """Feed what may be fed now; at most one commit for all partitions together."""
        careful = [p for p in partitions if p.backlog or p.alone != NOBODY]
        self.busy = bool(careful)
        if not careful:
            return
        asking: list[Partition] = []
        with self._ownership.lock:
            for partition in careful:
                self._ask(partition, asking)
        if asking and not self._commit(asking):
            return
        for partition in careful:
            self._put(partition)

    def _ask(self, partition: Partition, asking: list[Partition]) -> None:
        poison = partition.poison
        if poison.suspect != NOBODY and poison.suspect == partition.alone:
            return  # it has not passed the synchronous steps yet
        if partition.alone != NOBODY and not partition.backlog:
            partition.alone = NOBODY
            asking.append(partition)  # a commit that names nobody
            return
        offset = partition.backlog[0].offset
        if offset == poison.dead:
            return
        if not poison.allowed(offset):
            poison.propose(offset)
            asking.append(partition)

    def _put(self, partition: Partition) -> None:
        poison = partition.poison
        while partition.backlog and (
            poison.allowed(partition.backlog[0].offset) or partition.backlog[0].offset == poison.dead
        ):
            offset = partition.backlog[0].offset
            if offset == partition.alone:
                return
            if poison.slow(offset) and offset != poison.dead:
                partition.alone = offset
                self._ownership.put(partition, [partition.backlog.popleft()], offset)
                return
            self._ownership.put(partition, [partition.backlog.popleft()], offset)
