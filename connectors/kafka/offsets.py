"""How far the workers are: each partition's committed watermark against its end, and the group's state."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import kafka.errors as foreign
from kafka.admin import OffsetSpec  # pyright: ignore[reportAttributeAccessIssue] - the stubs are of version 2
from kafka.structs import TopicPartition

from connectors.kafka.clients import admin, group_name
from schemas.cluster import Cluster
from schemas.topics import REQUESTS, Topic

T = TypeVar("T")

COORDINATOR_TIMEOUT_S = 10.0
"""How long a group's coordinator may take to be found."""
_COMING_UP = (
    foreign.CoordinatorNotAvailableError,
    foreign.CoordinatorLoadInProgressError,
    foreign.NotCoordinatorError,
)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far one partition is."""

    topic: str
    """Its topic, as it is named on the cluster."""
    partition: int
    """Its number."""
    committed: int | None
    """The watermark: the lowest offset that is not settled; `None` where nothing was committed yet."""
    end: int
    """Offset that the next record will get."""
    lag: int
    """Records from the watermark (else from the first one kept) to the end."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """The consumer group of the workers."""

    group: str
    """Its name on the cluster."""
    state: str
    """As Kafka has it: `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty` or `Dead`."""
    members: tuple[str, ...]
    """Workers in it: the stable name where there is one, else the member id."""


def lag(cluster: Cluster, topics: Iterable[Topic] = (REQUESTS,)) -> list[PartitionLag]:
    """The lag of each partition of the topics, in order; topics that don't exist are left out.

    Raises:
        KafkaProblem: When the broker is down, or refuses.
    """
    group = group_name(cluster)
    with admin(cluster) as client:
        partitions = _partitions(client, [cluster.topic(topic.name) for topic in topics])
        if not partitions:
            return []
        committed = _patiently(lambda: client.list_group_offsets({group: partitions})[group])
        ends = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        starts = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    result: list[PartitionLag] = []
    for place in partitions:
        entry = committed.get(place)
        watermark = entry.offset if entry is not None and entry.offset >= 0 else None
        end = ends[place].offset
        first = starts[place].offset if watermark is None else max(watermark, starts[place].offset)
        result.append(PartitionLag(place.topic, place.partition, watermark, end, max(0, end - first)))
    return result


def group_state(cluster: Cluster) -> GroupState:
    """State and members of the workers' group; `Dead` where it doesn't exist.

    Raises:
        KafkaProblem: When the broker is down, or refuses.
    """
    group = group_name(cluster)
    with admin(cluster) as client:
        found = _patiently(lambda: client.describe_groups([group])[group])
    members = (member.get("group_instance_id") or member["member_id"] for member in found.get("members", []))
    return GroupState(group, found.get("group_state") or "Dead", tuple(sorted(members)))


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again while Kafka is still making its table of groups, as it does for the first one."""
    end_s = time.monotonic() + COORDINATOR_TIMEOUT_S
    while True:
        try:
            return ask()
        except _COMING_UP:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)


def _partitions(client: Any, names: list[str]) -> list[TopicPartition]:
    return sorted(
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in client.describe_topics(names)
        if topic["error_code"] == 0
        for partition in topic["partitions"]
    )
