"""What operators ask a gateway: is it alive, may requests come, what has it counted. And its snapshots.

`/metrics` is open to whoever reaches a gateway on loopback; beyond it, a key with `metrics:read` is needed.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.gateway.doors.sessions import is_loopback
from connectors.gateway.parts import Part, Parts
from connectors.gateway.ports import METRICS_READ
from connectors.kafka.clients import probe
from connectors.kafka.errors import KafkaProblem
from connectors.metrics.recorder import EVERY_S, Recorder
from schemas.records import Outgoing
from schemas.topics import METRICS

LOOK_S = 2.0
"""How long what was seen of Kafka counts."""
_NAME = re.compile(r"[^a-zA-Z0-9_]")


class Ops:
    """Looks at the parts of one gateway. Lives on the loop."""

    def __init__(self, parts: Parts, running: Sequence[Part], name: str) -> None:
        self._parts, self._running = parts, running
        self._recorder = Recorder(name, "gateway")
        self._seen_s = float("-inf")
        self._kafka = ""
        self.stopping = False
        """Whether it takes no new requests: it has been told to stop."""

    def routes(self) -> list[Route]:
        """`/healthz`, `/readyz`, `/metrics`."""
        return [
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def alive(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Whether requests may come: logs are read, Kafka answers, it isn't stopping."""
        why = await self._why_not()
        return JSONResponse({"status": why or "ready"}, 503 if why else 200)

    async def _why_not(self) -> str:
        if self.stopping:
            return "stopping"
        if not all(part.ready for part in self._running):
            return "starting"
        now_s = time.monotonic()
        if now_s - self._seen_s > LOOK_S:
            self._seen_s = now_s
            try:
                await asyncio.to_thread(probe, self._parts.cluster)
                self._kafka = ""
            except KafkaProblem:
                self._kafka = "Kafka does not answer"
        return self._kafka

    async def metrics(self, request: Request) -> Response:
        """Counters and gauges as Prometheus reads them."""
        if not is_loopback(self._parts.settings.host):
            await self._parts.doors.admit(request.headers, METRICS_READ)
        text = prometheus(self.counters(), self.gauges())
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    def counters(self) -> dict[str, int]:
        """Totals of all parts."""
        return {name: value for part in self._running for name, value in part.counters().items()}

    def gauges(self) -> dict[str, float]:
        """Values of all parts."""
        return {name: value for part in self._running for name, value in part.gauges().items()}

    async def publish(self, post: Callable[[Outgoing], None]) -> None:
        """Put a snapshot on `llm.metrics` each second, until it is cancelled."""
        topic = self._parts.cluster.topic(METRICS.name)
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                snapshot = self._recorder.snapshot(self.counters(), self.gauges())
                post(Outgoing(topic, snapshot.to_bytes(), 0, snapshot.process.encode()))
                await asyncio.sleep(EVERY_S)


def prometheus(counters: Mapping[str, int], gauges: Mapping[str, float]) -> str:
    """The text format of Prometheus, version 0.0.4. Pure."""
    lines: list[str] = []
    for name, total in sorted(counters.items()):
        full = f"weir_gateway_{_NAME.sub('_', name)}_total"
        lines += [f"# TYPE {full} counter", f"{full} {total}"]
    for name, value in sorted(gauges.items()):
        full = f"weir_gateway_{_NAME.sub('_', name)}"
        lines += [f"# TYPE {full} gauge", f"{full} {value:g}"]
    return "\n".join(lines) + "\n"
