"""Sockets and streams over the real exchange and broker, with a stand-in for the workers."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette

from connectors.gateway.exchange.exchange import KafkaExchange
from connectors.gateway.parts import GatewaySettings
from connectors.gateway.socket.hub import Hub
from connectors.gateway.socket.routes import routes
from connectors.kafka.broker import EmbeddedBroker
from tests.connectors.gateway.socket.test_events import asking, events
from tests.connectors.gateway.socket.test_ws import Client, opened
from tests.support.kafka import Topics, fresh_topics
from tests.support.replying import Replying
from tests.support.sockets import Fakes, serving


@pytest.fixture(scope="module")
def topics(broker: EmbeddedBroker) -> Topics:
    return fresh_topics(broker)


@pytest.fixture(scope="module")
def workers(topics: Topics) -> Generator[Replying]:
    with Replying(topics.cluster) as replying:
        yield replying


@pytest.fixture(scope="module")
def ports(topics: Topics, workers: Replying) -> Generator[tuple[int, int]]:
    """Two gateways on the same topics."""
    with serving(gateway(topics)) as one, serving(gateway(topics)) as other:
        yield one, other


def gateway(topics: Topics) -> Starlette:
    exchange = KafkaExchange(topics.cluster, GatewaySettings(), lambda: bytes(32))
    hub = Hub(topics.cluster)
    parts = replace(Fakes().parts(), exchange=exchange, streams=exchange, hub=hub, cluster=topics.cluster)

    @asynccontextmanager
    async def running(_app: object) -> AsyncGenerator[None]:
        await exchange.start()
        await hub.start()
        yield
        await hub.stop()
        await exchange.stop()

    return Starlette(routes=routes(parts), lifespan=running)


def ask(client: Client, ref: str, **wish: Any) -> dict[str, Any]:
    client.send(type="submit", id=ref, request={"prompt": "hi", "stream": True, "metadata": wish})
    return client.take()


def deltas(messages: list[dict[str, Any]]) -> list[int]:
    return [message["seq"] for message in messages if message["type"] == "chunk"]


def test_an_answer_comes_over_kafka_in_order_and_its_row_is_seen(ports: tuple[int, int]):
    with opened(ports[0], "ann") as client:
        client.send(type="subscribe", id="w", topic="responses")
        client.until("snapshot")
        request_id = ask(client, "a", chunks=20)["request_id"]
        messages = client.until("response")
        rows = [row for message in messages if message["type"] == "delta" for row in message["rows"]]
        while request_id not in [row["value"]["request_id"] for row in rows]:
            rows += client.until("delta")[-1]["rows"]

    assert deltas(messages) == list(range(20))


def test_a_cut_answer_is_followed_at_another_gateway_by_socket_and_by_events(ports: tuple[int, int]):
    with opened(ports[0]) as client:
        begun = ask(client, "a", chunks=40, every_ms=20)
        client.until("chunk")
    with opened(ports[1]) as client:
        client.send(type="follow", id="b", token=begun["token"])
        followed = client.until("response")
    path = f"{begun['request_id']}/events?after={begun['token']}"
    with asking(ports[1], path) as answer:
        found = list(events(answer))
    with asking(ports[0], f"{begun['request_id']}/events", last_event_id=found[29]["id"]) as answer:
        rest = list(events(answer))

    assert deltas(followed) == list(range(40))
    assert [one["event"] for one in found] == ["chunk"] * 40 + ["response"]
    assert [one["data"] for one in rest] == [one["data"] for one in found[30:]]


def test_a_cancel_reaches_the_workers(ports: tuple[int, int], workers: Replying):
    with opened(ports[0]) as client:
        begun = ask(client, "a", fault="silent")
        client.send(type="cancel", id="a")
        end_s = time.monotonic() + 10
        while begun["request_id"] not in workers.cancelled and time.monotonic() < end_s:
            time.sleep(0.02)

    assert begun["request_id"] in workers.cancelled


def test_another_tenants_token_is_of_no_use(ports: tuple[int, int]):
    with opened(ports[0]) as client:
        begun = ask(client, "a")
        client.until("response")
    with opened(ports[1], "bob") as client:
        client.send(type="follow", id="b", token=begun["token"])
        assert client.take()["code"] == "not_found"
    with asking(ports[1], f"{begun['request_id']}/events?after={begun['token']}", "bob") as answer:
        assert answer.status == 404
