"""Keeps a memory up with its topic, on a thread of its own. With Kafka away what is known stays as it is."""

import logging
import threading
from collections.abc import Callable

from pydantic import ValidationError

from connectors.kafka.errors import KafkaProblem
from connectors.kafka.reading import Place, Reader, Seen, reading
from connectors.memory.ports import Memory
from schemas.cluster import Cluster
from schemas.memories import MemoryProblem, Remembered
from schemas.topics import MEMORIES

_log = logging.getLogger(__name__)

POLL_S = 0.2
AGAIN_S = 5.0
"""Between two tries after something failed."""


class Follower:
    """One thread that reads `llm.memories` from where the memory stands, for as long as it may."""

    def __init__(
        self, cluster: Cluster, open_memory: Callable[[], Memory], ready: Callable[[Memory | None], None]
    ) -> None:
        """Nothing is opened before `start`.

        Args:
            cluster: Where the topic is.
            open_memory: Opens the memory, on the thread; again after a failure.
            ready: Gets the memory when all of the topic is in it, and `None` when it fails.
        """
        self._place = Place(cluster.topic(MEMORIES.name), 0)
        self._cluster, self._open, self._ready = cluster, open_memory, ready
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin, on a thread that the process doesn't wait for at its end."""
        threading.Thread(target=self._run, name="weir-memory", daemon=True).start()

    def stop(self) -> None:
        """End soon."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                memory = self._open()
                with reading(self._cluster) as reader:
                    self._follow(reader, memory)
            except (KafkaProblem, MemoryProblem) as problem:
                _log.warning("the memory does not follow its topic: %s; trying again", problem)
                self._ready(None)
                self._ended.wait(AGAIN_S)

    def _follow(self, reader: Reader, memory: Memory) -> None:
        reader.places(self._place.topic)
        begin, end = reader.beginnings([self._place])[self._place], reader.ends([self._place])[self._place]
        if memory.offset > end:
            memory.reset()
        reader.assign({self._place: max(memory.offset, begin)})
        told = False
        while not self._ended.is_set():
            seen = reader.poll(POLL_S)
            for record in seen:
                apply(record, memory)
            if seen:
                memory.done(seen[-1].offset + 1)
            if not told and reader.positions()[self._place] >= end:
                self._ready(memory)
                told = True


def apply(record: Seen, memory: Memory) -> None:
    """One record of the topic: something to keep, or to forget. What can't be read is left out."""
    if record.key is None:
        return
    if record.value is None:
        memory.forget(record.key.decode("utf-8", "replace"))
        return
    try:
        remembered = Remembered.model_validate_json(record.value)
    except ValidationError as error:
        _log.warning("offset %d of the memories can't be read: %s", record.offset, error.errors()[0]["msg"])
        return
    memory.add(remembered.text, remembered)
