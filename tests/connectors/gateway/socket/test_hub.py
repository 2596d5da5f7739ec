"""The hub on a real broker: what is watched is read, with its past; what nobody watches is not."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from connectors.gateway.socket.hub import Hub
from connectors.kafka.broker import EmbeddedBroker
from schemas.cluster import Cluster
from schemas.topics import LOGS, REQUESTS
from tests.connectors.gateway.socket.test_ws import opened
from tests.support.kafka import Topics, fresh_topics
from tests.support.sockets import Fakes, serving


@pytest.fixture(scope="module")
def topics(broker: EmbeddedBroker) -> Topics:
    return fresh_topics(broker, (LOGS, REQUESTS))


@asynccontextmanager
async def running(cluster: Cluster, *, max_rows: int = 500, idle_s: float = 60.0) -> AsyncGenerator[Hub]:
    hub = Hub(cluster, max_rows=max_rows, idle_s=idle_s)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not true() and time.monotonic() < end_s:
        await asyncio.sleep(0.02)
    assert true()


def lines(*texts: str) -> list[bytes]:
    return [orjson.dumps({"message": text, "level": "info"}) for text in texts]


def test_a_watched_topic_has_its_past_and_what_comes(topics: Topics):
    topics.produce(LOGS, [*lines("old-1", "old-2"), b"not json"])

    async def watch() -> list[str]:
        async with running(topics.cluster) as hub:
            feed = hub.open({"logs"})["logs"]
            await until(lambda: feed.ready)
            past = [row.value["message"] for row in feed.rows]
            await asyncio.to_thread(topics.produce, LOGS, lines("new"))
            await until(lambda: feed.seq == len(past) + 1)
            assert hub.gauges()["hub_connected"] == 1
            assert hub.counters()["hub_records"] >= 4
            assert hub.ready
            return [*past, feed.rows[-1].value["message"]]

    assert asyncio.run(watch())[-3:] == ["old-1", "old-2", "new"]


def test_a_second_topic_joins_while_the_first_goes_on(topics: Topics):
    topics.produce(REQUESTS, [orjson.dumps({"prompt": "hi", "tenant": f"t{n}"}) for n in range(8)])

    async def watch() -> None:
        async with running(topics.cluster, max_rows=4) as hub:
            logs = hub.open({"logs"})["logs"]
            await until(lambda: logs.ready)
            before = logs.seq
            requests = hub.open({"logs", "requests"})["requests"]
            await until(lambda: requests.ready)
            await asyncio.to_thread(topics.produce, LOGS, lines("later"))
            await until(lambda: logs.seq == before + 1)
            assert 1 <= len(requests.rows) <= 4

    asyncio.run(watch())


def test_a_topic_that_nobody_watches_any_more_is_forgotten_and_comes_back_with_another_epoch(topics: Topics):
    async def watch() -> None:
        async with running(topics.cluster, idle_s=0.3) as hub:
            first = hub.open({"logs"})["logs"]
            await until(lambda: first.ready)
            await until(lambda: hub.gauges()["hub_topics"] == 0)
            await asyncio.to_thread(topics.produce, LOGS, lines("unseen"))
            await asyncio.sleep(0.3)
            seen = first.seq
            again = hub.open({"logs"})["logs"]
            while not again.ready:
                hub.open({"logs"})
                await asyncio.sleep(0.02)
            assert again.epoch != first.epoch
            assert first.seq == seen
            assert again.rows[-1].value["message"] == "unseen"

    asyncio.run(watch())


def test_kafka_away_is_said_once_and_nothing_hangs(caplog: pytest.LogCaptureFixture):
    async def watch() -> None:
        async with running(Cluster(("127.0.0.1:1",))) as hub:
            feed = hub.open({"logs"})["logs"]
            await until(lambda: "can't be read" in caplog.text)
            assert not feed.ready

    begin_s = time.monotonic()
    asyncio.run(watch())
    assert time.monotonic() - begin_s < 20


def test_rows_reach_a_socket_by_tenant_and_filter(topics: Topics):
    topics.produce(REQUESTS, [orjson.dumps({"prompt": "x", "tenant": "acme", "model": "before"})])
    fakes = Fakes(hub=Hub(topics.cluster))
    app = fakes.app()
    app.router.lifespan_context = lifespan(fakes)
    with serving(app) as port, opened(port, "eve") as client, opened(port, "root") as admin:
        for each in (client, admin):
            each.send(type="subscribe", id="w", topic="requests", filter={"model": ["before", "after"]})
        snapshot, whole = client.take(), admin.take()
        topics.produce(
            REQUESTS,
            [
                orjson.dumps({"prompt": "x", "tenant": tenant, "model": model})
                for tenant, model in (("acme", "other"), ("other", "after"), ("acme", "after"))
            ],
            partition=0,
        )
        delta = client.until("delta")[-1]

    assert snapshot["type"] == whole["type"] == "snapshot"
    assert {row["value"]["tenant"] for row in snapshot["rows"]} == {"acme"}
    assert [(row["value"]["tenant"], row["value"]["model"]) for row in delta["rows"]] == [("acme", "after")]
    assert delta["after"] == snapshot["seq"]


def lifespan(fakes: Fakes) -> Callable[..., object]:
    @asynccontextmanager
    async def context(_app: object) -> AsyncGenerator[None]:
        assert fakes.hub is not None
        await fakes.hub.start()
        yield
        await fakes.hub.stop()

    return context
