"""Fetch requests of kafka-python 3.0.12 that are made of what has changed.

Its fetcher asks a dozen questions about each partition, makes a new part of the request for each, and
compares it field by field with the last one, whose unset fields it looks up in the protocol's description:
400 calls a poll of 12 partitions. Whatever isn't plain goes the old way.
"""

from typing import Any, cast

from kafka import KafkaConsumer
from kafka.cluster import ClusterMetadata
from kafka.consumer import fetcher as foreign
from kafka.consumer.fetcher import Fetcher, FetchRequestData, FetchSessionHandler
from kafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.protocol.consumer import FetchRequest
from kafka.structs import TopicPartition

MAX_VERSION = 12
"""Of the protocol's fetch request, as the fetcher itself has it."""
PARTS: tuple[tuple[type, str], ...] = (
    (KafkaConsumer, "_subscription"),
    (Fetcher, "_create_fetch_requests"),
    (Fetcher, "_nodes_with_pending_fetch_requests"),
    (Fetcher, "_completed_fetches"),
    (Fetcher, "_next_partition_records"),
    (Fetcher, "_paused_completed_fetches"),
    (Fetcher, "_paused_partition_records"),
    (Fetcher, "_session_handlers"),
    (Fetcher, "_enable_incremental_fetch_sessions"),
    (Fetcher, "_isolation_level"),
    (Fetcher, "_manager"),
    (Fetcher, "_client"),
    (FetchSessionHandler, "build_next"),
    (FetchSessionHandler, "session_partitions"),
    (FetchSessionHandler, "next_metadata"),
    (SubscriptionState, "assignment"),
    (TopicPartitionState, "paused"),
    (TopicPartitionState, "_pending_revocation"),
    (TopicPartitionState, "_position"),
    (TopicPartitionState, "_awaiting_validation"),
    (TopicPartitionState, "_preferred_read_replica"),
    (ClusterMetadata, "_partitions"),
    (KafkaConnectionManager, "connection_delay"),
    (KafkaNetClient, "throttle_delay"),
)
"""What a later version must have, too."""


_Foreign: Any = cast(Any, foreign)._FetchPartition


class _Part(_Foreign):
    """A partition's part of a request. One that says the same is the same."""

    __slots__ = ()

    def __init__(self, place: TopicPartition, wish: "_Wish", max_bytes: int) -> None:
        """All that version 12 has; the foreign way looks at each field's description."""
        self._version = MAX_VERSION
        self.tags = self.unknown_tags = None
        self.partition = place.partition
        self.current_leader_epoch, self.fetch_offset, self.last_fetched_epoch = wish
        self.log_start_offset = -1
        self.partition_max_bytes = max_bytes

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


_Wish = tuple[int, int, int]
"""Epoch of the leader, offset, and the offset's epoch."""
_Parts = dict[TopicPartition, _Part]


class Fetches:
    """Makes a consumer's fetch requests, where it is polled. It remembers one part for each partition."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        """Nothing of the consumer is changed; `polls` puts `create` in place."""
        own = cast(Any, consumer)
        self._fetcher, self._subscription = own._fetcher, own._subscription
        self._create = self._fetcher._create_fetch_requests
        self._parts: dict[TopicPartition, tuple[_Wish, _Part]] = {}
        config, isolation = self._fetcher.config, self._fetcher._isolation_level
        self._part_bytes = config["max_partition_fetch_bytes"]
        self._settings: dict[str, Any] = {
            "max_wait_ms": config["fetch_max_wait_ms"],
            "min_bytes": config["fetch_min_bytes"],
            "max_bytes": config["fetch_max_bytes"],
            "isolation_level": isolation,
            "rack_id": config["client_rack"],
            "min_version": FetchRequest.min_version_for_isolation_level(isolation),
            "max_version": MAX_VERSION,
        }

    def create(self) -> dict[int, Any]:
        """A request for each node that may be asked now, with the offsets that it asks for, by node."""
        by_node = self._wanted()
        fetcher = self._fetcher
        if by_node is None or not fetcher._enable_incremental_fetch_sessions:
            return self._create()
        requests: dict[int, Any] = {}
        for node, parts in by_node.items():
            if node not in fetcher._session_handlers:
                fetcher._session_handlers[node] = FetchSessionHandler(node)
            session = _next(fetcher._session_handlers[node], parts)
            request = FetchRequest(
                session_id=session.id,
                session_epoch=session.epoch,
                topics=session.to_send,
                forgotten_topics_data=session.to_forget,
                **self._settings,
            )
            requests[node] = (request, {place: part.fetch_offset for place, part in parts.items()})
        return requests

    def _wanted(self) -> dict[int, _Parts] | None:
        """What to ask for, by node; `None` when something is special."""
        fetcher = self._fetcher
        busy: set[Any] = {each.topic_partition for each in fetcher._completed_fetches.copy()}
        if current := fetcher._next_partition_records:
            busy.add(current.topic_partition)
        busy.update(fetcher._paused_completed_fetches, fetcher._paused_partition_records)
        topics, pending = fetcher._manager.cluster._partitions, fetcher._nodes_with_pending_fetch_requests
        by_node: dict[int, _Parts] = {}
        remembered = self._parts
        for place, state in list(self._subscription.assignment.items()):
            position = state._position
            if state.paused or position is None or state._pending_revocation or state._awaiting_validation:
                continue
            if busy and place in busy:
                continue
            known = topics.get(place.topic, {}).get(place.partition)
            if known is None or known.leader_id == -1 or state._preferred_read_replica is not None:
                return None
            if (node := known.leader_id) in pending:
                continue
            wish = known.leader_epoch, position.offset, position.leader_epoch
            last = remembered.get(place)
            if last is None or last[0] != wish:
                last = remembered[place] = wish, _Part(place, wish, self._part_bytes)
            if node not in by_node:
                by_node[node] = {}
            by_node[node][place] = last[1]
        manager, client = fetcher._manager, fetcher._client
        if any(manager.connection_delay(node) > 0 or client.throttle_delay(node) > 0 for node in by_node):
            return None
        return by_node


def _next(handler: Any, parts: _Parts) -> Any:
    """What a session's next request says: all in the first one, and then what has changed."""
    if handler.next_metadata.is_full:
        return handler.build_next(parts)
    known: _Parts = handler.session_partitions
    changed = {place: part for place, part in parts.items() if known.get(place) is not part}
    known.update(changed)
    gone = known.keys() - parts.keys() if len(known) > len(parts) else set[TopicPartition]()
    for place in gone:
        del known[place]
    return FetchRequestData(changed, gone, handler.next_metadata)
