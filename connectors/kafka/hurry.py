"""Records that somebody waits for leave kafka-python's producer before their linger is over.

Its only means, `flush`, waits for the acknowledgement. What is gathered for other partitions goes along, so
one request carries what would have been two.
"""

from typing import Any, cast

from kafka import KafkaProducer
from kafka.net.compat import KafkaNetClient
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.sender import Sender

PARTS: tuple[tuple[type, str], ...] = (
    (KafkaProducer, "_accumulator"),
    (KafkaProducer, "_sender"),
    (Sender, "_client"),
    (KafkaNetClient, "_net"),
    (RecordAccumulator, "ready"),
    (RecordAccumulator, "flush_in_progress"),
)
"""What a later version must have, too."""


class Hurry:
    """Makes a producer send at once what it holds; on any thread, and it waits for nothing."""

    def __init__(self, producer: KafkaProducer) -> None:
        """Hook into the producer; before its first record."""
        accumulator = cast(Any, producer)._accumulator
        self._net = cast(Any, producer)._sender._client._net
        self._asked = self._granted = False
        ready, flushes = accumulator.ready, accumulator.flush_in_progress

        def look(*args: Any, **kwargs: Any) -> Any:
            self._granted, self._asked = self._asked, False
            return ready(*args, **kwargs)

        accumulator.ready = look
        accumulator.flush_in_progress = lambda: self._granted or flushes()

    def hurry(self) -> None:
        """Send what was handed over by now. Where a broker is away, it goes when it is back."""
        if not self._asked:
            self._asked = True
            self._net.wakeup()
