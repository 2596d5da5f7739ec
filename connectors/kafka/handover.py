"""Partitions come and go: cooperative rebalances with late release, and the way out of the group.

A revoked partition is fed no more while the others go on; the follow-up join waits until its calls are done
or the drain bound is over. A join for another reason goes at once, and still claims it as owned. At the
bound: stop handing over, wait for the acknowledgement of what was handed over, commit, give up, join. If the
acknowledgements don't come, the process exits instead of releasing.
"""

import time
from collections.abc import Callable

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.structs import TopicPartition

from connectors.kafka.membership import Membership
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.partitions import Partition
from connectors.kafka.polls import rest
from connectors.kafka.rules.lease import Lease
from schemas.cluster import Delivery

ACK_S = 10.0
"""Longest wait for the producer when a partition is released with calls unfinished."""
LOOK_S = 0.005
"""Between two looks at what it still holds; heartbeats go out meanwhile."""

Commit = Callable[[list[Partition]], bool]
"""Commits the marks of partitions and waits."""


class Handover(ConsumerRebalanceListener):
    """The consumer's rebalance listener. All of it runs on the feeder's thread, which polls the consumer."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        lease: Lease,
        delivery: Delivery,
        ownership: Ownership,
        outbox: Outbox,
        fatal: Callable[[str], None],
    ) -> None:
        self._consumer, self._ownership, self._outbox = consumer, ownership, outbox
        self._drain_s = delivery.drain.total_seconds()
        self._fatal = fatal
        self._fresh: list[int] = []
        self._paused: list[TopicPartition] = []
        self._draining: list[Partition] = []
        self._until = 0.0
        self._again: set[int] = set()
        self.membership = Membership(consumer, lease)

    # --- the listener

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """New partitions: paused until they are scanned; one that still drains is taken over after that."""
        if not assigned:
            return
        self._consumer.pause(*assigned)
        numbers = {place.partition for place in assigned}
        self._again |= numbers & {partition.number for partition in self._draining}
        self._fresh += sorted(numbers - self._again)
        self._paused += assigned

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Partitions that must go: drained first, released later."""
        numbers = {place.partition for place in revoked}
        self._again -= numbers
        self._fresh = [number for number in self._fresh if number not in numbers]
        mine = [p for p in list(self._ownership.partitions.values()) if p.number in numbers]
        if not mine:
            return
        self._start_drain(mine)
        self.membership.put_off_rejoin()

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        """The group has thrown this worker out: what it holds must not be written."""
        self._fatal(f"thrown out of the group, {len(lost)} partitions lost")

    # --- the feeder's side

    def take_fresh(self) -> list[int]:
        """Partition numbers assigned since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def take_paused(self) -> list[TopicPartition]:
        """Partitions paused by the listener since the last call."""
        paused, self._paused = self._paused, []
        return paused

    def drain_all(self) -> None:
        """The worker stops: feed nothing any more."""
        for partition in list(self._ownership.partitions.values()):
            self._ownership.drain(partition)

    def finish_if_drained(self, commit: Commit) -> None:
        """Release revoked partitions whose calls are done, or whose time is over, and join."""
        if not self._draining or not self._drained():
            return
        released, self._draining = self._draining, []
        self.release(released, commit)
        again, self._again = self._again, set()
        self._fresh += sorted(again)
        if len(again) < len(released):
            self.membership.rejoin()

    def release(self, partitions: list[Partition], commit: Commit) -> None:
        """Give partitions up: seal, wait for acknowledgements, commit."""
        if self._unfinished(partitions):
            self._ownership.seal(partitions)
            if not self._outbox.settled(ACK_S, lambda: rest(self._consumer, LOOK_S)):
                self._fatal("records of partitions that must be released are not acknowledged")
        commit(partitions)
        for partition in partitions:
            self._ownership.give_up(partition)

    def _start_drain(self, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._ownership.drain(partition)
        self._until = time.monotonic() + self._drain_s
        self._draining = self._draining + partitions

    def _unfinished(self, partitions: list[Partition] | None = None) -> list[Partition]:
        return [p for p in (self._draining if partitions is None else partitions) if p.under_way > 0]

    def _drained(self) -> bool:
        return not self._unfinished() or time.monotonic() > self._until
