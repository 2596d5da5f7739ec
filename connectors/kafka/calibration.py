"""Keeps `llm.calibration` and what this worker knows of it in step.

A thread looks every few seconds: it reads what others wrote and writes what changed here, one record for
each model. Records are written only once all that lay there at the start are read, so that nothing learnt in
an earlier life is overwritten. With the broker away it waits; what was learnt meanwhile is written later.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from connectors.kafka.errors import KafkaProblem
from connectors.kafka.reading import Place, Reader
from schemas.cluster import Cluster
from schemas.records import Outgoing
from schemas.topics import CALIBRATION

_log = logging.getLogger(__name__)

EVERY_S = 5.0
"""Between two looks."""
READ_S = 0.3
"""Longest wait for records of one look."""


class Book(Protocol):
    """What is known; see `flows.calibrations.Calibrations`."""

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take in a record."""
        ...

    def caught_up(self) -> None:
        """All that there was at the start is taken in."""
        ...

    def changes(self) -> list[tuple[bytes, bytes]]:
        """Records of ours that changed."""
        ...


class CalibrationTopic:
    """The thread and its reader."""

    def __init__(
        self, cluster: Cluster, book: Book, send: Callable[[Outgoing], None], every_s: float = EVERY_S
    ) -> None:
        self._cluster, self._book, self._send, self._every_s = cluster, book, send, every_s
        self._topic = cluster.topic(CALIBRATION.name)
        self._reader: Reader | None = None
        self._end: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weir-calibration", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what changed since the last look is handed over to be written."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._write()

    def look(self) -> None:
        """Read what came, write what changed.

        Raises:
            KafkaProblem: When the broker can't be reached, or there is no such topic.
        """
        reader = self._reader
        if reader is None:
            reader = self._open()
        while found := reader.poll(READ_S):
            for record in found:
                self._book.take(record.key, record.value)
        place = Place(self._topic, 0)
        if self._end is not None and reader.positions()[place] >= self._end:
            self._end = None
            self._book.caught_up()
        self._write()

    def _open(self) -> Reader:
        reader = Reader(self._cluster)
        try:
            places = reader.places(self._topic)
            starts, ends = reader.beginnings(places), reader.ends(places)
            reader.assign(starts)
        except BaseException:
            reader.close()
            raise
        self._reader, self._end = reader, ends[Place(self._topic, 0)]
        return reader

    def _write(self) -> None:
        for key, value in self._book.changes():
            self._send(Outgoing(self._topic, value, 0, key))

    def _run(self) -> None:
        wait_s = 0.0
        said = ""
        while not self._ended.wait(wait_s):
            wait_s = self._every_s
            try:
                self.look()
                said = ""
            except KafkaProblem as error:
                if str(error) != said:
                    _log.warning("%s can't be read for now: %s", self._topic, error)
                said = str(error)
        if self._reader is not None:
            self._reader.close()
