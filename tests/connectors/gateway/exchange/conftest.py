"""An exchange on the real broker, with a stand-in for the workers."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace

import pytest

from connectors.gateway.exchange.exchange import KafkaExchange
from connectors.gateway.parts import GatewaySettings
from connectors.gateway.ports import Answers, Caller, Lost
from connectors.kafka.broker import EmbeddedBroker
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.requests import Request
from schemas.responses import Response
from tests.support.kafka import Topics, fresh_topics
from tests.support.replying import Replying

ADA = Caller("key-ada", "acme", frozenset({"llm:invoke"}))
BOB = Caller("key-bob", "other", frozenset({"llm:invoke"}))
SECRET = bytes(range(32))


def asking(stream: bool = True, prompt: str = "hi", **wish: object) -> Request:
    """A request, with what the stand-in is to do."""
    return Request(prompt=prompt, stream=stream, metadata=dict(wish) or None)


async def all_of(answers: Answers) -> list[Chunk | Response | Lost]:
    """Every item."""
    return [item async for item in answers]


def text(items: list[Chunk | Response | Lost]) -> str:
    """The pieces, together."""
    return "".join(item.delta for item in items if isinstance(item, Chunk))


@pytest.fixture(scope="module")
def shared(broker: EmbeddedBroker) -> Topics:
    """Topics of a whole test file."""
    return fresh_topics(broker)


@pytest.fixture(scope="module")
def workers(shared: Topics) -> Generator[Replying]:
    """The stand-in."""
    with Replying(shared.cluster) as replying:
        yield replying


class Lab:
    """Runs coroutines of tests on one loop, with two gateways' exchanges that they share."""

    def __init__(self, cluster: Cluster, workers: Replying) -> None:
        self.cluster, self.workers = cluster, workers
        self._runner = asyncio.Runner()
        self._shared: list[KafkaExchange] = []
        self._own: list[KafkaExchange] = []

    def begin(self) -> None:
        """Start what is shared."""
        for _ in range(2):
            self._runner.run(self._start(self._shared, GatewaySettings()))

    def end(self) -> None:
        """End it."""
        self._runner.run(self._stop(self._shared))
        self._runner.close()

    @property
    def one(self) -> KafkaExchange:
        """A gateway's exchange."""
        return self._shared[0]

    @property
    def other(self) -> KafkaExchange:
        """Another gateway's."""
        return self._shared[1]

    async def fresh(self, **settings: object) -> KafkaExchange:
        """One for this test alone."""
        return await self._start(self._own, replace(GatewaySettings(), **settings))  # type: ignore[arg-type]

    async def _start(self, where: list[KafkaExchange], bounds: GatewaySettings) -> KafkaExchange:
        made = KafkaExchange(self.cluster, bounds, lambda: SECRET, lambda: [{"id": "auto"}])
        where.append(made)
        await made.start()
        return made

    async def _stop(self, which: list[KafkaExchange]) -> None:
        await asyncio.gather(*(exchange.stop() for exchange in which))
        which.clear()

    def run(self, test: Callable[[], Awaitable[None]], timeout_s: float = 30) -> None:
        """Run a test."""

        async def whole() -> None:
            try:
                async with asyncio.timeout(timeout_s):
                    await test()
            finally:
                await self._stop(self._own)

        self._runner.run(whole())


@pytest.fixture(scope="module")
def lab(shared: Topics, workers: Replying) -> Generator[Lab]:
    """For the tests of a file."""
    made = Lab(shared.cluster, workers)
    made.begin()
    yield made
    made.end()
