"""Polls of kafka-python 3.0.12, with one hop to its I/O thread instead of three.

Its `poll` asks the I/O thread whether the coordinator is known, has it send the fetches, and has it wait for
the first one, each with a task, a wake-up and a wait of its own. At a hundred polls a second that was a tenth
of a worker's CPU. It walks all partitions five times to see that their positions are known. And what was
fetched of a partition and parked while it was paused comes back (a bug of 3.0.12: it waits for a slot that is
never empty again, and the partition stands still for good).
"""

import contextlib
import time
from typing import Any, cast

from kafka import KafkaConsumer
from kafka import errors as foreign
from kafka.cluster import ClusterMetadata
from kafka.consumer.fetcher import Fetcher
from kafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.future import Future
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager

from connectors.kafka.fetches import Fetches

Records = dict[Any, list[Any]]
PARTS: tuple[tuple[type, str], ...] = (
    (KafkaConsumer, "_fetcher"),
    (KafkaConsumer, "_coordinator"),
    (KafkaConsumer, "_poll_once"),
    (KafkaConsumer, "_subscription"),
    (ConsumerCoordinator, "time_to_next_poll"),
    (ClusterMetadata, "_partitions"),
    (SubscriptionState, "assignment"),
    (TopicPartitionState, "_position"),
    (TopicPartitionState, "_awaiting_validation"),
    (TopicPartitionState, "_current_leader_epoch"),
    (TopicPartitionState, "reset_strategy"),
    (BaseCoordinator, "coordinator_id"),
    (BaseCoordinator, "ensure_coordinator_ready"),
    (BaseCoordinator, "_client"),
    (KafkaNetClient, "is_disconnected"),
    (KafkaConnectionManager, "wait_for"),
    (Fetcher, "fetch_records"),
    (Fetcher, "fetched_records"),
    (Fetcher, "send_fetches"),
    (Fetcher, "_send_fetches_async"),
    (Fetcher, "_fetch_futures"),
    (Fetcher, "_create_fetch_requests"),
    (Fetcher, "_cached_list_offsets_exception"),
    (Fetcher, "_cached_log_truncation"),
    (Fetcher, "_reset_task"),
    (Fetcher, "_net"),
    (Fetcher, "_manager"),
    (Fetcher, "_next_partition_records"),
    (Fetcher, "_paused_partition_records"),
)
"""What a later version must have, too."""


def make_room_for_parked(consumer: KafkaConsumer) -> None:
    """Before a poll: empty the slot that parked records come back to, where what is in it is used up."""
    fetcher: Any = cast(Any, consumer)._fetcher
    current = fetcher._next_partition_records
    if current is not None and not current:
        fetcher._next_partition_records = None


def shorten_polls(consumer: KafkaConsumer, ahead: int = 0) -> None:
    """Let the consumer's polls cost one hop. Before its first poll; same records, same waits, same errors.

    Only a poll with at least `ahead` records fetches the next ones ahead: where few arrive, one that rests
    between two polls finds them all at the next, and asks once where it would have asked twice.
    """
    private = cast(Any, consumer)
    _skip_known_coordinator(private._coordinator)
    _skip_known_positions(private)
    fetcher = private._fetcher
    fetcher._create_fetch_requests = Fetches(consumer).create

    def fetch_records(
        max_records: int, update_offsets: bool = True, timeout_ms: float | None = None
    ) -> tuple[Records, bool]:
        records, partial = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        if records:
            if not partial and sum([len(found) for found in records.values()]) >= ahead:
                fetcher.send_fetches()
            return records, False
        idle = fetcher._net.run(_send_and_wait, fetcher, timeout_ms)
        records, _ = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        return records, idle

    fetcher.fetch_records = fetch_records


async def _send_and_wait(fetcher: Any, timeout_ms: float | None) -> bool:
    """On the I/O thread: send what is due, then wait for any fetch; whether there is none to wait for."""
    await fetcher._send_fetches_async()
    awaited = list(fetcher._fetch_futures)
    if fetcher._reset_task is not None and not fetcher._reset_task.is_done:
        awaited.append(fetcher._reset_task)
    if not awaited:
        return True
    arrived: Any = Future()

    def wake(_: object) -> None:
        if not arrived.is_done:
            arrived.success(None)

    for each in awaited:
        each.add_both(wake)
    with contextlib.suppress(foreign.KafkaTimeoutError):
        await fetcher._manager.wait_for(arrived, timeout_ms)
    return False


def _skip_known_positions(consumer: Any) -> None:
    """A round of polling looks at positions once. Where one isn't known or must be validated, the old way."""
    coordinator, fetcher, config = consumer._coordinator, consumer._fetcher, consumer.config
    poll_once = consumer._poll_once

    def poll_known(timer: Any, max_records: int, update_offsets: bool = True) -> Records:
        if not coordinator.poll(timeout_ms=timer.timeout_ms):
            return {}
        if not _positions_stand(fetcher, consumer._subscription):
            return poll_once(timer, max_records, update_offsets=update_offsets)
        wait_ms = timer.timeout_ms
        if config["group_id"] is not None:
            wait_ms = min(wait_ms, coordinator.time_to_next_poll() * 1000)
        records, idle = fetcher.fetch_records(max_records, update_offsets=update_offsets, timeout_ms=wait_ms)
        if not records and idle and wait_ms > 0:
            time.sleep(min(wait_ms, config["retry_backoff_ms"]) / 1000)
        return records

    consumer._poll_once = poll_known


def _positions_stand(fetcher: Any, subscription: Any) -> bool:
    if fetcher._cached_list_offsets_exception is not None or fetcher._cached_log_truncation is not None:
        return False
    topics = fetcher._manager.cluster._partitions
    for place, state in list(subscription.assignment.items()):
        position = state._position
        if position is None or state.reset_strategy is not None or state._awaiting_validation:
            return False
        known = topics.get(place.topic, {}).get(place.partition)
        if known is not None and known.leader_epoch > max(state._current_leader_epoch, position.leader_epoch):
            return False
    return True


def _skip_known_coordinator(coordinator: Any) -> None:
    """Don't ask the I/O thread for a coordinator that is known and connected."""
    ensure = coordinator.ensure_coordinator_ready

    def ensure_coordinator_ready(timeout_ms: float | None = None) -> bool:
        known = coordinator.coordinator_id
        if known is not None and not coordinator._client.is_disconnected(known):
            return True
        return ensure(timeout_ms=timeout_ms)

    coordinator.ensure_coordinator_ready = ensure_coordinator_ready
