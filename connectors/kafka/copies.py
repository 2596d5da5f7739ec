"""Fetches earlier responses, for repeats that want a copy and turns that are owed. Off the hot path."""

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
PAUSE_S = 0.5
"""Before a turn's response is asked for again."""

Fetched = Callable[[Response | None], None]
"""Gets the response, or `None` where it can't be had."""


class Copies:
    """Reads single responses by offset, on a thread that starts with the first one."""

    def __init__(self, cluster: Cluster, fatal: Callable[[str], None]) -> None:
        self._cluster, self._fatal = cluster, fatal
        self._topic = cluster.topic(RESPONSES.name)
        self._queue: queue.SimpleQueue[tuple[Outcome, Fetched]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def fetch(self, outcome: Outcome, fetched: Fetched) -> None:
        """Fetch the response that `outcome` is a repeat of, or owes a turn for; returns at once.

        Those that owe a turn hold a credit each, which is their bound; they are never turned away.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="weir-copies", daemon=True)
            self._thread.start()
        if not outcome.owed and self._queue.qsize() >= WAITING:
            _log.warning("too many repeats want copies: %s gets none", outcome.record.place)
            fetched(None)
            return
        self._queue.put((outcome, fetched))

    def _run(self) -> None:
        settings = client_settings(self._cluster)
        consumer = KafkaConsumer(
            **settings, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        while True:
            outcome, fetched = self._queue.get()
            response = self._fetched(consumer, outcome)
            try:
                fetched(response)
            except BaseException as error:  # noqa: BLE001  a bug: without this thread repeats would never settle
                _log.exception("a copy failed")
                self._fatal(f"a copy failed: {error!r}")

    def _fetched(self, consumer: KafkaConsumer, outcome: Outcome) -> Response | None:
        """The response; a turn that is owed waits for a broker that is away."""
        while True:
            try:
                return self._read(consumer, outcome)
            except ValidationError as error:
                _log.warning("the response for %s can't be read: %r", outcome.record.place, error)
                return None
            except foreign.KafkaError as error:
                _log.warning("the response for %s can't be had: %r", outcome.record.place, error)
                if not outcome.owed:
                    return None
                time.sleep(PAUSE_S)

    def _read(self, consumer: KafkaConsumer, outcome: Outcome) -> Response | None:
        """The response, or `None` where the log doesn't hold it any more.

        Raises:
            KafkaError: When the broker doesn't say.
        """
        offset = outcome.response_offset if outcome.owed else outcome.repeat_of
        place = TopicPartition(self._topic, outcome.record.partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        end = time.monotonic() + FETCH_S
        while time.monotonic() < end:
            for record in consumer.poll(timeout_ms=200, max_records=1).get(place, []):
                if record.offset == offset and record.value is not None:
                    return Response.model_validate_json(record.value)
                return None
        raise foreign.KafkaTimeoutError(f"no answer within {FETCH_S:g} s")
