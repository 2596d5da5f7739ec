"""Polls of kafka-python 3.0.12 without its I/O thread: the thread that polls does the network's work.

Its `poll` asks the I/O thread whether the coordinator is known, has it send the fetches, and has it wait for
the first one, each with a task, a wake-up and a wait of its own. At a hundred polls a second that was a sixth
of a worker's CPU. It walks all partitions five times to see that their positions are known. And what was
fetched of a partition and parked while it was paused comes back (a bug of 3.0.12: it waits for a slot that is
never empty again, and the partition stands still for good).

Heartbeats go out while somebody polls, or rests with `rest`. So who owns such a consumer polls all the time.
"""

import time
from typing import Any, cast

from kafka import KafkaConsumer
from kafka.cluster import ClusterMetadata
from kafka.consumer.fetcher import Fetcher
from kafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

from connectors.kafka.fetches import Fetches

Records = dict[Any, list[Any]]
PARTS: tuple[tuple[type, str], ...] = (
    (KafkaConsumer, "_fetcher"),
    (KafkaConsumer, "_coordinator"),
    (KafkaConsumer, "_net"),
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
    (NetworkSelector, "_io_thread"),
    (NetworkSelector, "_poll_once"),
    (NetworkSelector, "stop"),
    (Fetcher, "fetch_records"),
    (Fetcher, "fetched_records"),
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
    """Let one thread at a time use the consumer and do its network's work: same records, waits and errors.

    Before its first poll. Only a poll with at least `ahead` records fetches the next ones ahead: where few
    arrive, one that rests between two polls finds them all at the next, and asks once where it would have
    asked twice.
    """
    private = cast(Any, consumer)
    private._net.stop()
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
                _send_fetches(fetcher)
            fetcher._net._poll_once(0)
            return records, False
        _send_fetches(fetcher)
        idle = not _wait_for_fetch(fetcher, timeout_ms)
        records, _ = fetcher.fetched_records(max_records, update_offsets=update_offsets)
        return records, idle

    fetcher.fetch_records = fetch_records


def rest(consumer: KafkaConsumer, seconds: float) -> None:
    """Wait, and do the network's work meanwhile, as a poll would; no records are fetched."""
    net, end_s = cast(Any, consumer)._net, time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        net._poll_once(left_s)


def _send_fetches(fetcher: Any) -> None:
    """Send what is due. It is a coroutine only so that it runs where the network's work is done."""
    try:
        fetcher._send_fetches_async().send(None)
    except StopIteration:
        return
    raise RuntimeError("kafka-python waits for something while it sends fetches; `polls` is for 3.0.12")


def _wait_for_fetch(fetcher: Any, timeout_ms: float | None) -> bool:
    """Until any fetch has come back, or the time is over; whether there was one to wait for."""
    awaited = list(fetcher._fetch_futures)
    if fetcher._reset_task is not None and not fetcher._reset_task.is_done:
        awaited.append(fetcher._reset_task)
    net, left_s = fetcher._net, None if timeout_ms is None else timeout_ms / 1000
    end_s = time.monotonic() + (left_s or 0)
    net._poll_once(left_s if awaited else 0)  # even where there is no time: a heartbeat may be due
    while awaited and not any(each.is_done for each in awaited):
        if left_s is not None and (left_s := end_s - time.monotonic()) <= 0:
            break
        net._poll_once(left_s)
    return bool(awaited)


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
            rest(consumer, min(wait_ms, config["retry_backoff_ms"]) / 1000)
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
    """Don't ask for a coordinator that is known and connected."""
    ensure = coordinator.ensure_coordinator_ready

    def ensure_coordinator_ready(timeout_ms: float | None = None) -> bool:
        known = coordinator.coordinator_id
        if known is not None and not coordinator._client.is_disconnected(known):
            return True
        return ensure(timeout_ms=timeout_ms)

    coordinator.ensure_coordinator_ready = ensure_coordinator_ready
