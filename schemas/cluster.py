"""How to reach Kafka, and the bounds that hold there: values that the settings fill and connectors use."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka cluster and this installation's place on it."""

    bootstrap: tuple[str, ...] = ("127.0.0.1:19092",)
    """`host:port` of one or more brokers."""
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Kafka's `security.protocol`."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How to sign in, with the SASL protocols."""
    username: str | None = None
    """SASL user."""
    password: str | None = field(default=None, repr=False)
    """SASL password; never logged."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; `None` for the system's."""
    cert_file: str | None = None
    """PEM file of the client's certificate."""
    key_file: str | None = None
    """PEM file of the client's key."""
    prefix: str = ""
    """Put before every topic name, so that several installations can share a cluster."""
    partitions: int = 12
    """P, of all co-partitioned topics; never changed in place."""
    replication: int = 1
    """Copies of each partition, where Weir creates topics."""
    group: str = "weir"
    """Consumer group of the workers; the prefix stands before it too."""

    def topic(self, name: str) -> str:
        """The topic's name on this cluster."""
        return self.prefix + name


@dataclass(frozen=True, slots=True)
class Delivery:
    """The bounds and choices of the rules of delivery."""

    session: timedelta = timedelta(seconds=10)
    """After this long without a heartbeat the group gives a worker's partitions away."""
    heartbeat: timedelta = timedelta(milliseconds=500)
    """Between two heartbeats."""
    drain: timedelta = timedelta(seconds=30)
    """Longest wait for calls to end when partitions move or the worker stops."""
    commit_every: timedelta = timedelta(seconds=1)
    """Between two commits of the watermarks."""
    instance_id: str | None = None
    """Stable name for static membership; `None` for a dynamic member."""
    credits: int = 3000
    """Most requests between release and settling, in this worker."""
    buffer_bytes: int = 64 * 1024 * 1024
    """Most bytes of request records read ahead."""
    outbox_bytes: int = 64 * 1024 * 1024
    """Most bytes at the producer, not acknowledged; beyond it nothing is fed or read from providers."""
    held_bytes: int = 8 * 1024 * 1024
    """Most bytes of a partition's requests that wait for an earlier turn; beyond it that partition pauses."""
    conversation_bytes: int = 1024 * 1024
    """Most bytes of one conversation's waiting turns; beyond it its partition pauses."""
    window: timedelta = timedelta(minutes=10)
    """How long a repeated request is recognised, and a cancel holds."""
    window_entries: int = 1_000_000
    """Most requests the window remembers; over it the oldest go."""
    feed_pause: timedelta = timedelta(milliseconds=5)
    """Rest of the feeder after a small poll. It trades latency for CPU: at 200 requests a second 10 ms cost
    5 ms more on the way to a call than 5 ms do, and a sixth less CPU."""
    linger: timedelta = timedelta(milliseconds=5)
    """How long the producer gathers records into a batch."""
    gather: timedelta = timedelta(milliseconds=2)
    """Further attempts that become due within it share a `started` record, which then leaves at once."""
    ledger: Literal["strict", "trailing"] = "strict"
    """`strict`: no byte to a provider before its `started` entry is acknowledged; `trailing`: don't wait."""
    unknown_outcome: Literal["retry", "fail"] = "retry"
    """What becomes of a request whose call was started and never heard of again."""
    reply_prefixes: tuple[str, ...] = ("reply.",)
    """Prefixes a `reply_topic` may have."""
