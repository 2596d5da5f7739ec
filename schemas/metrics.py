"""`llm.metrics`: one snapshot a second from every process."""

from typing import Literal

from pydantic import Field

from schemas.base import Event


class Sketch(Event):
    """A latency distribution over the process's life, in fixed buckets."""

    bounds_ms: list[float]
    """Upper bounds of the buckets in milliseconds, rising; one more bucket takes what lies above."""
    counts: list[int]
    """Observations in each bucket, one more than there are bounds."""
    sum_ms: float
    """Sum of all observations in milliseconds."""


class Series(Event):
    """Counters and latencies of one route and tenant."""

    route: str
    """Route as `provider:model`, or `-` where none was called."""
    tenant: str
    """Who pays for the requests."""
    requests: int = 0
    """Responses written, failures included."""
    failures: dict[str, int] = Field(default_factory=dict[str, int])
    """Failed responses by code."""
    input_tokens: int = 0
    """Tokens sent."""
    output_tokens: int = 0
    """Tokens received."""
    cost_usd: float = 0.0
    """Money spent."""
    latency: Sketch
    """Time from the request's timestamp to the response."""
    first_token: Sketch | None = None
    """Time from a streamed call's first byte to its first piece; absent where none was streamed."""
    between_tokens: Sketch | None = None
    """Time between two tokens of a streamed answer, its mean counted once; absent where none was streamed."""


class Snapshot(Event):
    """What a process has counted since it started. Key: the process's name."""

    process: str
    """Name of the process, unique while it runs."""
    role: Literal["worker", "gateway", "observer"]
    """What the process is."""
    at_ms: int
    """When the snapshot was taken, Unix time in milliseconds."""
    started_ms: int
    """When the process started, Unix time in milliseconds."""
    counters: dict[str, int]
    """Totals since the start, by name."""
    gauges: dict[str, float]
    """Values of the moment: queue lengths, calls in flight, bytes held, partitions owned."""
    series: list[Series] = Field(default_factory=list[Series])
    """By route and tenant; at most 1,000, the rest summed under tenant `-`."""
