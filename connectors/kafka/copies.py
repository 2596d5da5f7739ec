"""Fetches earlier responses, for repeats that want a copy at a new reply address. Off the hot path."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from kafka import KafkaConsumer
from kafka import errors as foreign
from kafka.structs import TopicPartition
from pydantic import ValidationError

from connectors.kafka.clients import client_settings
from schemas.arrivals import Outcome
from schemas.cluster import Cluster
from schemas.responses import Response
from schemas.topics import RESPONSES

_log = logging.getLogger(__name__)

WAITING = 1000
"""Most copies that wait to be fetched; more are not made, and a warning says so."""
FETCH_S = 5.0
"""Longest wait for one response."""

Fetched = Callable[[Response | None], None]
"""Gets the response, or `None` where it can't be had."""


class Copies:
    """Reads single responses by offset, on a thread that starts with the first one."""

    def __init__(self, cluster: Cluster, fatal: Callable[[str], None]) -> None:
        self._cluster, self._fatal = cluster, fatal
        self._topic = cluster.topic(RESPONSES.name)
        self._queue: queue.Queue[tuple[Outcome, Fetched]] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def fetch(self, outcome: Outcome, fetched: Fetched) -> None:
        """Fetch the response that `outcome` is a repeat of; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="weir-copies", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((outcome, fetched))
        except queue.Full:
            _log.warning("too many repeats want copies: %s gets none", outcome.record.place)
            fetched(None)

    def _run(self) -> None:
        consumer = KafkaConsumer(**client_settings(self._cluster), group_id=None, enable_auto_commit=False)
        while True:
            outcome, fetched = self._queue.get()
            try:
                response = self._read(consumer, outcome)
            except (foreign.KafkaError, ValidationError) as error:
                _log.warning("the response to copy for %s can't be had: %r", outcome.record.place, error)
                response = None
            try:
                fetched(response)
            except BaseException as error:  # noqa: BLE001  a bug: without this thread repeats would never settle
                _log.exception("a copy failed")
                self._fatal(f"a copy failed: {error!r}")

    def _read(self, consumer: KafkaConsumer, outcome: Outcome) -> Response | None:
        place = TopicPartition(self._topic, outcome.record.partition)
        consumer.assign([place])
        consumer.seek(place, outcome.repeat_of)
        end = time.monotonic() + FETCH_S
        while time.monotonic() < end:
            for record in consumer.poll(timeout_ms=200, max_records=1).get(place, []):
                if record.offset == outcome.repeat_of and record.value is not None:
                    return Response.model_validate_json(record.value)
                return None
        return None
