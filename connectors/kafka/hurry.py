"""Records that somebody waits for leave kafka-python's producer before their linger is over.

Its only means, `flush`, waits for the acknowledgement. What is gathered for other partitions goes along, so
one request carries what would have been two.

Its sender looks at the batches of all partitions after each turn of its loop. Where none waits it needn't.
"""

import time
from typing import Any, cast

from kafka import KafkaProducer
from kafka.net.compat import KafkaNetClient
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.sender import Sender

PARTS: tuple[tuple[type, str], ...] = (
    (KafkaProducer, "_accumulator"),
    (KafkaProducer, "_sender"),
    (Sender, "_client"),
    (Sender, "_send_producer_data"),
    (RecordAccumulator, "_batches"),
    (KafkaNetClient, "_net"),
    (RecordAccumulator, "ready"),
    (RecordAccumulator, "flush_in_progress"),
)
"""What a later version must have, too."""
LOOK_S = 1.0
"""Between two looks without a reason: for what is under way for too long."""


class Hurry:
    """Makes a producer send at once what it holds; on any thread, and it waits for nothing."""

    def __init__(self, producer: KafkaProducer) -> None:
        """Hook into the producer; before its first record."""
        accumulator, sender = cast(Any, producer)._accumulator, cast(Any, producer)._sender
        self._net = sender._client._net
        self._asked = self._granted = False
        self._batches, self._send, self._look_s = accumulator._batches, sender._send_producer_data, 0.0
        sender._send_producer_data = self._send_producer_data
        sender._client.in_a_hurry = lambda: self._asked
        ready, flushes = accumulator.ready, accumulator.flush_in_progress

        def look(*args: Any, **kwargs: Any) -> Any:
            self._granted, self._asked = self._asked, False
            return ready(*args, **kwargs)

        accumulator.ready = look
        accumulator.flush_in_progress = lambda: self._granted or flushes()

    def _send_producer_data(self, now: float | None = None) -> float:
        """Send what is due, if anything waits; how long the sender may wait for more, in milliseconds."""
        asked, self._asked = (
            self._asked,
            False,
        )  # who asks after the look is not forgotten
        if time.monotonic() < self._look_s and not any(self._batches.values()):
            return LOOK_S * 1000
        self._asked = self._asked or asked
        self._look_s = time.monotonic() + LOOK_S
        return self._send(now)

    def hurry(self) -> None:
        """Send what was handed over by now. Where a broker is away, it goes when it is back."""
        if not self._asked:
            self._asked = True
            self._net.wakeup()
