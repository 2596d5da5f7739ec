"""Which lane a record takes, and what its loss means there."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import errors as foreign
from kafka.future import Future

from connectors.kafka.outbox import Outbox
from schemas.cluster import Cluster, Delivery
from schemas.records import Outgoing

OURS, ELSEWHERE = "reply.gateway", "reply.shop"


class FakeProducer:
    """Keeps futures until the test ends them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self._metadata = SimpleNamespace(_partitions={})

    def send(self, topic: str, **_: object) -> Any:
        future: Any = Future()
        self.sent.append((topic, future))
        return future


class Bench:
    """An outbox without a broker."""

    def __init__(self) -> None:
        self.fatal: list[str] = []
        self.outbox: Any = Outbox(Cluster(), Delivery(), lambda: True, self.fatal.append)
        self.main, self.side = FakeProducer(), FakeProducer()
        self.outbox._main.producer, self.outbox._side.producer = self.main, self.side
        self.outbox._along = OURS
        self.lost: list[Exception] = []

    def send(self, topic: str) -> None:
        self.outbox.send(Outgoing(topic, b"x"), lost=self.lost.append)


def test_what_may_be_lost_takes_the_side_lane_but_for_the_gateways_replies():
    bench = Bench()
    bench.send(ELSEWHERE)
    bench.send(OURS)
    bench.outbox.send(Outgoing("llm.responses", b"x"))

    assert [topic for topic, _ in bench.side.sent] == [ELSEWHERE]
    assert [topic for topic, _ in bench.main.sent] == [OURS, "llm.responses"]


@pytest.mark.parametrize("topic", [OURS, ELSEWHERE])
def test_its_loss_is_told_and_ends_nothing_on_either_lane(topic: str):
    bench = Bench()
    bench.send(topic)
    ((_, future),) = bench.main.sent + bench.side.sent
    future.failure(foreign.MessageSizeTooLargeError("too large"))

    assert [type(error) for error in bench.lost] == [foreign.MessageSizeTooLargeError]
    assert (bench.fatal, bench.outbox.bytes) == ([], 0)


def test_the_loss_of_a_response_ends_the_process():
    bench = Bench()
    bench.outbox.send(Outgoing("llm.responses", b"x"))
    bench.main.sent[0][1].failure(foreign.MessageSizeTooLargeError("too large"))

    assert "llm.responses could not be written" in bench.fatal[0]
