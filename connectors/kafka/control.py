"""Reads `llm.control` (cancels, conversations to forget) and keeps the list of reply topics that exist.

Every worker reads all of it, from ten minutes ago, before it feeds.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kafka import KafkaConsumer
from kafka import errors as foreign
from kafka.structs import TopicPartition
from pydantic import TypeAdapter, ValidationError

from connectors.kafka.clients import client_settings
from connectors.kafka.membership import QuickClient
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from schemas.cluster import Cluster, Delivery
from schemas.control import Cancel, Forget
from schemas.topics import CONTROL

_log = logging.getLogger(__name__)

REFRESH_S = 2.0
"""Between two looks at which reply topics there are."""
MAX_REPLY_TOPICS = 10_000
"""Most reply topics that are known; more are refused."""


_WISH: TypeAdapter[Cancel | Forget] = TypeAdapter(Cancel | Forget)


@dataclass(frozen=True, slots=True)
class Heard:
    """Who is told what was heard, on the thread that reads."""

    cancel: Callable[[str, str], None]
    """Gets tenant and request id of a cancel."""
    forget: Callable[[UUID, int], None]
    """Gets a conversation, and the moment up to which it is forgotten, Unix time in milliseconds."""


class Control:
    """What tenants and operators tell this worker; `reply_topics` is replaced, never changed."""

    def __init__(self, cluster: Cluster, delivery: Delivery, ownership: Ownership, outbox: Outbox) -> None:
        self._cluster, self._delivery = cluster, delivery
        self._ownership, self._outbox = ownership, outbox
        self._topic = cluster.topic(CONTROL.name)
        self.reply_topics: dict[str, int] = {}
        """Topics that a request may name as its reply topic, and their number of partitions."""
        self._ended = threading.Event()

    def start(self, heard: Heard, fatal: Callable[[str], None]) -> None:
        """Read what is there, then go on in a thread, where `heard` is told of what comes."""
        consumer = KafkaConsumer(
            **client_settings(self._cluster),
            kafka_client=QuickClient,
            retry_backoff_ms=20,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=500,
        )
        place = TopicPartition(self._topic, 0)
        consumer.assign([place])
        since_ms = round((time.time() - self._delivery.window.total_seconds()) * 1000)
        found = consumer.offsets_for_times({place: since_ms})[place]
        end = consumer.end_offsets([place])[place]
        consumer.seek(place, end if found is None else found.offset)
        self._refresh(consumer)
        while (consumer.position(place) or 0) < end:
            self._take(consumer.poll(timeout_ms=200), heard)

        def run() -> None:
            try:
                self._follow(consumer, heard)
            except BaseException as error:  # noqa: BLE001  deaf to cancels is not a worker: log once, let it restart
                _log.exception("reading llm.control failed")
                fatal(f"reading llm.control failed: {error!r}")

        threading.Thread(target=run, name="weir-control", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()

    def _follow(self, consumer: KafkaConsumer, heard: Heard) -> None:
        refresh_at = time.monotonic() + REFRESH_S
        while not self._ended.is_set():
            self._take(consumer.poll(timeout_ms=500), heard)
            if time.monotonic() >= refresh_at:
                self._refresh(consumer)
                self._ownership.cancels.expire(round(time.time() * 1000))
                refresh_at = time.monotonic() + REFRESH_S
        consumer.close()

    def _take(self, polled: dict[TopicPartition, list[Any]], heard: Heard) -> None:
        for record in (record for records in polled.values() for record in records):
            if record.value is None:
                continue
            try:
                wish = _WISH.validate_json(record.value)
            except ValidationError as error:
                _log.warning("llm.control %d is skipped: %s", record.offset, str(error)[:200])
                continue
            if isinstance(wish, Forget):
                heard.forget(wish.context_id, record.timestamp)
                continue
            with self._ownership.lock:
                self._ownership.cancels.add(wish.tenant, wish.request_id, record.timestamp)
            heard.cancel(wish.tenant, wish.request_id)

    def _refresh(self, consumer: KafkaConsumer) -> None:
        if not self._delivery.reply_prefixes:
            return
        try:
            names = [name for name in consumer.topics() if name.startswith(self._delivery.reply_prefixes)]
        except foreign.KafkaError:
            return  # the broker is away; what is known stays
        known: dict[str, int] = {}
        for name in sorted(names)[:MAX_REPLY_TOPICS]:
            known[name] = self.reply_topics.get(name) or self._outbox.partitions(name)
        self.reply_topics = {name: partitions for name, partitions in known.items() if partitions}
