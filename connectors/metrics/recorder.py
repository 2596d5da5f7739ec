"""What a worker counts, and the snapshot it publishes every second."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.arrivals import Outcome
from schemas.metrics import Series, Sketch, Snapshot
from schemas.records import Outgoing
from schemas.responses import Attempt
from schemas.topics import Role

BOUNDS_MS: tuple[float, ...] = (
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000, 300_000,
)  # fmt: skip
MAX_SERIES = 1000
"""Most pairs of route and tenant; further tenants are counted under `-`."""
EVERY_S = 1.0


@dataclass(slots=True)
class _Times:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    sum_ms: float = 0.0

    def add(self, value_ms: float) -> None:
        self.counts[bisect_left(BOUNDS_MS, value_ms)] += 1
        self.sum_ms += value_ms

    def sketch(self) -> Sketch:
        return Sketch(bounds_ms=list(BOUNDS_MS), counts=list(self.counts), sum_ms=round(self.sum_ms, 3))


@dataclass(slots=True)
class _Tally:
    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    latency: _Times = field(default_factory=_Times)
    first_token: _Times | None = None
    between_tokens: _Times | None = None

    def stream(self, attempt: Attempt) -> None:
        """Count the times of a streamed answer."""
        if attempt.first_token_ms is not None:
            self.first_token = self.first_token or _Times()
            self.first_token.add(attempt.first_token_ms)
        if attempt.between_tokens_ms is not None:
            self.between_tokens = self.between_tokens or _Times()
            self.between_tokens.add(attempt.between_tokens_ms)


class Recorder:
    """Counts outcomes; `observe` is called from one thread, `snapshot` from any."""

    def __init__(self, process: str, role: Role) -> None:
        self._process = process
        self._role: Role = role
        self._started_ms = time.time_ns() // 1_000_000
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def observe(self, outcome: Outcome) -> None:
        """Count an outcome that is about to be written; moves and repeats have no response."""
        response = outcome.response
        if response is None:
            return
        tally = self._tally(response.route.route if response.route else "-", response.tenant)
        tally.requests += 1
        if response.error is not None:
            code = response.error.code.value
            tally.failures[code] = tally.failures.get(code, 0) + 1
        if response.usage is not None:
            tally.input_tokens += response.usage.input_tokens
            tally.output_tokens += response.usage.output_tokens
        tally.cost_usd += response.cost_usd
        tally.latency.add(response.latency.total_ms)
        if response.attempts and response.attempts[-1].first_token_ms is not None:
            tally.stream(response.attempts[-1])

    def _tally(self, route: str, tenant: str) -> _Tally:
        key = (route, tenant)
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MAX_SERIES:
                key = (route, "-")
            tally = self._tallies.setdefault(key, _Tally())
        return tally

    def snapshot(self, counters: dict[str, int], gauges: dict[str, float]) -> Snapshot:
        """Everything since the start, with the values of the moment."""
        return Snapshot(
            process=self._process,
            role=self._role,
            at_ms=time.time_ns() // 1_000_000,
            started_ms=self._started_ms,
            counters=counters,
            gauges=gauges,
            series=[_series(*key, tally) for key, tally in list(self._tallies.items())],
        )


def _series(route: str, tenant: str, tally: _Tally) -> Series:
    return Series(
        route=route,
        tenant=tenant,
        requests=tally.requests,
        failures=dict(tally.failures),
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        cost_usd=tally.cost_usd,
        latency=tally.latency.sketch(),
        first_token=None if tally.first_token is None else tally.first_token.sketch(),
        between_tokens=None if tally.between_tokens is None else tally.between_tokens.sketch(),
    )


class Publisher:
    """Puts a snapshot on `llm.metrics` every second, on a thread of its own."""

    def __init__(self, topic: str, take: Callable[[], Snapshot], send: Callable[[Outgoing], None]) -> None:
        self._topic, self._take, self._send = topic, take, send
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weir-metrics", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with a last snapshot."""
        self._ended.set()
        self._thread.join(2)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.publish()
        self.publish()

    def publish(self) -> None:
        """One snapshot, now."""
        snapshot = self._take()
        self._send(Outgoing(self._topic, snapshot.to_bytes(), 0, snapshot.process.encode()))
