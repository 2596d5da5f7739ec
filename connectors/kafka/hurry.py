"""Records that somebody waits for leave kafka-python's producer before their linger is over.

Its only means, `flush`, waits for the acknowledgement. What is gathered for other partitions goes along, so
one request carries what would have been two.

Its sender looks at the batches of all partitions after each turn of its loop. Where none waits it needn't;
where one does, it needn't look at those of the others. Nor need it ask about transactions: there are none.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, cast

from kafka import KafkaProducer
from kafka.net.compat import KafkaNetClient
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.sender import Sender
from kafka.producer.transaction_manager import TransactionManager, TransactionState

PARTS: tuple[tuple[type, str], ...] = (
    (KafkaProducer, "_accumulator"),
    (KafkaProducer, "_sender"),
    (Sender, "_client"),
    (Sender, "_topics_to_add"),
    (Sender, "run_once"),
    (Sender, "wakeup"),
    (Sender, "_transaction_manager"),
    (TransactionManager, "_lock"),
    (TransactionManager, "_pending_requests"),
    (TransactionManager, "_current_state"),
    (TransactionManager, "has_in_flight_transactional_request"),
    (Sender, "_send_producer_data"),
    (RecordAccumulator, "_batches"),
    (KafkaNetClient, "_net"),
    (RecordAccumulator, "ready"),
    (RecordAccumulator, "drain_batches_for_one_node"),
    (RecordAccumulator, "flush_in_progress"),
)
"""What a later version must have, too."""
_AT_REST = (TransactionState.UNINITIALIZED, TransactionState.READY)
LOOK_S = 1.0
"""Between two looks without a reason: for what is under way for too long."""


class _Waiting(defaultdict[Any, Any]):
    """Batches by partition, which names only partitions where one waits."""

    def keys(self) -> Any:
        return [place for place, batches in list(self.items()) if batches]


class _Seen:
    """What a drain asks of the cluster: partitions of a node where a batch waits."""

    def __init__(self, cluster: Any, batches: _Waiting) -> None:
        self._cluster, self._batches = cluster, batches

    def partitions_for_broker(self, node: int) -> list[Any]:
        there = self._cluster.partitions_for_broker(node) or ()
        return [place for place in self._batches.keys() if place in there]  # noqa: SIM118  keys() is what differs


def _ask_once(sender: Any, identity: Any) -> None:
    """Spare turns of an idempotent producer that knows its id ten questions about transactions."""
    identity._lock = identity._lock._lock  # a condition's own lock: nobody waits for its condition
    run_once = sender.run_once

    def run_known() -> None:
        if (
            identity.transactional_id is not None
            or sender._topics_to_add
            or identity._pending_requests
            or identity._current_state not in _AT_REST
            or identity.has_in_flight_transactional_request()
            or not identity.producer_id_and_epoch.is_valid
        ):
            run_once()
        else:
            sender._client.poll(timeout_ms=sender._send_producer_data())

    sender.run_once = run_known


class Hurry:
    """Makes a producer send at once what it holds; on any thread, and it waits for nothing."""

    def __init__(self, producer: KafkaProducer) -> None:
        """Hook into the producer; before its first record."""
        accumulator, sender = cast(Any, producer)._accumulator, cast(Any, producer)._sender
        self._net = sender._client._net
        self._asked = self._granted = self._held = self._woken = False
        self._wakeup, sender.wakeup = sender.wakeup, self._wake
        self._send, self._look_s = sender._send_producer_data, 0.0
        self._answered: deque[Callable[[], object]] = deque()
        sender._send_producer_data = self._send_producer_data
        sender._client.in_a_hurry = lambda: self._asked
        ready, flushes = accumulator.ready, accumulator.flush_in_progress

        def look(*args: Any, **kwargs: Any) -> Any:
            self._granted, self._asked = self._asked, False
            return ready(*args, **kwargs)

        accumulator.ready = look
        if (identity := sender._transaction_manager) is not None:
            _ask_once(sender, identity)
        accumulator._batches = self._batches = _Waiting(deque, accumulator._batches)
        drain = accumulator.drain_batches_for_one_node

        def drain_waiting(cluster: Any, *args: Any, **kwargs: Any) -> Any:
            return drain(_Seen(cluster, self._batches), *args, **kwargs)

        accumulator.drain_batches_for_one_node = drain_waiting
        accumulator.flush_in_progress = lambda: self._granted or flushes()

    def _send_producer_data(self, now: float | None = None) -> float:
        """Send what is due, if anything waits; how long the sender may wait for more, in milliseconds."""
        while self._answered:
            self._answered.popleft()()
        asked, self._asked = self._asked, False  # who asks after the look is not forgotten
        if time.monotonic() < self._look_s and not any(self._batches.values()):
            return LOOK_S * 1000
        self._asked = self._asked or asked
        self._look_s = time.monotonic() + LOOK_S
        return self._send(now)

    def after_answer(self, call: Callable[[], object]) -> None:
        """Call once the answer at hand is read; on the sender's thread, from an acknowledgement's callback.

        Who is woken in the middle of it finds the interpreter taken, and half of what is there.
        """
        self._answered.append(call)

    def hold(self) -> None:
        """A thread is about to hand over more than one record: new batches don't wake the sender for now."""
        self._held = True

    def release(self, in_a_hurry: bool) -> None:
        """Wake the sender, once, if there was reason to since `hold`, or somebody waits."""
        self._held, woken, self._woken = False, self._woken, False
        if in_a_hurry:
            self.hurry()
        elif woken:
            self._wakeup()

    def _wake(self) -> None:
        if self._held:
            self._woken = True
        else:
            self._wakeup()

    def hurry(self) -> None:
        """Send what was handed over by now. Where a broker is away, it goes when it is back."""
        if not self._asked:
            self._asked = True
            self._net.wakeup()
