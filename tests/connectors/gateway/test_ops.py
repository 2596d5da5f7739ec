"""Health, readiness and metrics, of parts that a test makes up."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from connectors.gateway.ops import Ops, prometheus
from connectors.gateway.parts import GatewaySettings, Parts
from connectors.gateway.ports import METRICS_READ, Caller, Problem
from schemas.cluster import Cluster


class FakePart:
    ready = True

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def counters(self) -> Mapping[str, int]:
        return {"asked": 3}

    def gauges(self) -> Mapping[str, float]:
        return {"held.bytes": 1.5}


class FakeDoors:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def admit(self, headers: Mapping[str, str], scope: str, model: str | None = None) -> Caller:
        self.asked.append(scope)
        if "authorization" not in headers:
            raise Problem(401, "invalid_api_key", "no key")
        return Caller("k", "t", frozenset({scope}))


def made(part: FakePart, host: str = "127.0.0.1", doors: Any = None) -> tuple[Ops, TestClient]:
    nothing: Any = None
    cluster = Cluster(("127.0.0.1:9",))
    parts = Parts(cluster, GatewaySettings(host=host), b"", nothing, nothing, doors, nothing, len)
    ops = Ops(parts, [part], "g")
    return ops, TestClient(Starlette(routes=ops.routes()), raise_server_exceptions=True)


def test_counters_and_gauges_are_written_as_prometheus_reads_them():
    assert prometheus({"b": 2, "a.x": 1}, {"g": 0.5}) == (
        "# TYPE weir_gateway_a_x_total counter\nweir_gateway_a_x_total 1\n"
        "# TYPE weir_gateway_b_total counter\nweir_gateway_b_total 2\n"
        "# TYPE weir_gateway_g gauge\nweir_gateway_g 0.5\n"
    )


def test_it_is_not_ready_while_it_starts_while_it_stops_and_without_kafka():
    part = FakePart()
    ops, client = made(part)

    part.ready = False
    starting = client.get("/readyz")
    part.ready = True
    away, remembered = client.get("/readyz"), client.get("/readyz")
    ops.stopping = True
    stopping = client.get("/readyz")

    said = [(each.status_code, each.json()["status"]) for each in (starting, away, remembered, stopping)]
    assert said == [(503, "starting"), *[(503, "Kafka does not answer")] * 2, (503, "stopping")]
    assert client.get("/healthz").status_code == 200


def test_metrics_beyond_loopback_need_a_key_that_may_see_them():
    doors = FakeDoors()
    _, client = made(FakePart(), "192.0.2.1", doors)

    with pytest.raises(Problem, match="no key"):
        client.get("/metrics")
    seen = client.get("/metrics", headers={"authorization": "Bearer x"})

    assert "weir_gateway_asked_total 3" in seen.text
    assert doors.asked == [METRICS_READ, METRICS_READ]
