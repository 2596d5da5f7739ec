"""The one table of topics, and the names of record headers. Documents and brokers are made from it."""

from dataclasses import dataclass, field
from typing import Literal

DAY_MS = 24 * 60 * 60 * 1000
MAX_RECORD_BYTES = 9 * 1024 * 1024
"""Largest record a topic takes; a request's value may have 8 MiB, the rest is for headers and answers."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its key, size and retention."""

    name: str
    """Name without the installation's prefix."""
    key: str
    """What the record key is, in words."""
    partitioned: bool
    """Whether it has P partitions, co-partitioned with `llm.requests`; else it has one."""
    retention_ms: int | None
    """How long records are kept, in milliseconds; `None` for ever."""
    compacted: bool = False
    """Whether only the newest record of a key is kept."""
    log_append_time: bool = False
    """Whether the broker stamps records when it appends them."""
    written_by: str = ""
    """Who writes it."""
    read_by: str = ""
    """Who reads it."""

    def configs(self) -> dict[str, str]:
        """The broker-side settings of the topic."""
        settings = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(MAX_RECORD_BYTES),
            "message.timestamp.type": "LogAppendTime" if self.log_append_time else "CreateTime",
        }
        if self.compacted and self.retention_ms is not None:
            settings["cleanup.policy"] = "compact,delete"
        if not self.compacted or self.retention_ms is not None:
            settings["retention.ms"] = str(-1 if self.retention_ms is None else self.retention_ms)
        return settings


REQUESTS = Topic("llm.requests", "context_id or request_id", True, 7 * DAY_MS, log_append_time=True,
                 written_by="producers, gateway", read_by="flow")  # fmt: skip
RESPONSES = Topic("llm.responses", "request_id", True, 7 * DAY_MS, log_append_time=True,
                  written_by="flow", read_by="anyone; the flow at takeover")  # fmt: skip
USAGE = Topic("llm.usage", "none (packed), request_id (finished)", True, 30 * DAY_MS, log_append_time=True,
              written_by="flow", read_by="metrics, budgets; the flow at takeover")  # fmt: skip
CONTEXTS = Topic("llm.contexts", "context_id/seq", True, None, compacted=True,
                 written_by="flow, weir contexts", read_by="flow, weir contexts, dashboard")  # fmt: skip
CHUNKS = Topic("llm.chunks", "request_id", True, DAY_MS // 24, written_by="flow", read_by="gateway, anyone")
METRICS = Topic("llm.metrics", "process", False, DAY_MS, written_by="every process", read_by="metrics flow")
CONFIG = Topic("llm.config", "name", False, None, written_by="weir config", read_by="every process")
CONTROL = Topic("llm.control", "request_id or context_id", False, DAY_MS // 24, log_append_time=True,
                written_by="gateway, operators", read_by="every worker")  # fmt: skip
GOSSIP = Topic("llm.gossip", "worker", False, 10 * 60 * 1000, written_by="workers", read_by="every worker")
DEAD_LETTERS = Topic("llm.dead-letters", "request_id", True, 30 * DAY_MS,
                     written_by="flow", read_by="operators")  # fmt: skip
WAITING = Topic("llm.waiting", "tenant and priority", True, 7 * DAY_MS, written_by="flow", read_by="flow")
BULK = Topic("llm.bulk", "tenant and priority", True, 7 * DAY_MS, written_by="flow", read_by="flow")
CACHE = Topic("llm.cache", "cache key", True, 7 * DAY_MS, compacted=True, written_by="flow", read_by="flow")
CALIBRATION = Topic("llm.calibration", "model/worker", False, 90 * DAY_MS, compacted=True,
                    written_by="workers", read_by="every worker")  # fmt: skip
MEMORIES = Topic("llm.memories", "tenant/user/id", False, None, compacted=True,
                 written_by="flow, weir memory", read_by="flow, weir memory")  # fmt: skip
LOGS = Topic("ops.logs", "service", False, 3 * DAY_MS, written_by="every process", read_by="log aggregator")
ALERTS = Topic("llm.alerts", "rule", False, 30 * DAY_MS, written_by="metrics flow", read_by="dashboard")
GATEWAY_REPLIES = Topic(
    "reply.gateway", "request_id", True, DAY_MS // 24, written_by="flow", read_by="gateway"
)
GATEWAY_KEYS = Topic("gateway.keys", "key id", False, None, compacted=True,
                     written_by="gateway, weir keys", read_by="gateway")  # fmt: skip
GATEWAY_USERS = Topic("gateway.users", "user", False, None, compacted=True,
                      written_by="gateway, weir users", read_by="gateway")  # fmt: skip
GATEWAY_SESSIONS = Topic("gateway.sessions", "session", False, 8 * DAY_MS, compacted=True,
                         written_by="gateway", read_by="gateway")  # fmt: skip
GATEWAY_IDEMPOTENCY = Topic("gateway.idempotency", "hash of tenant, caller and key", False, DAY_MS,
                            compacted=True, log_append_time=True,
                            written_by="gateway", read_by="gateway")  # fmt: skip
GATEWAY_AUDIT = Topic("gateway.audit", "who", False, 30 * DAY_MS, written_by="gateway", read_by="operators")

TOPICS: tuple[Topic, ...] = (
    REQUESTS, RESPONSES, USAGE, CONTEXTS, CHUNKS, METRICS, CONFIG, CONTROL, GOSSIP,
    DEAD_LETTERS, WAITING, BULK, CACHE, CALIBRATION, MEMORIES, LOGS, ALERTS,
    GATEWAY_REPLIES, GATEWAY_KEYS, GATEWAY_USERS, GATEWAY_SESSIONS, GATEWAY_IDEMPOTENCY, GATEWAY_AUDIT,
)  # fmt: skip
"""Every topic of Weir."""

SOURCES: tuple[Topic, ...] = (REQUESTS, WAITING, BULK)
"""Topics that request records are read from; the place in it is the source's number in packed entries."""


@dataclass(frozen=True, slots=True)
class Header:
    """A record header that Weir reads or writes."""

    name: str
    """Its name on the record."""
    meaning: str
    """What its value says, and how it is written."""
    on: tuple[str, ...] = field(default=())
    """Topics it stands on."""


HEADERS: tuple[Header, ...] = (
    Header("request_id", "name of the request, text; beats the body", ("llm.requests",)),
    Header("context_id", "conversation, uuid as text; beats the body", ("llm.requests",)),
    Header("tenant", "who pays, text; beats the body", ("llm.requests",)),
    Header("priority", "`interactive`, `standard` or `bulk`; beats the body", ("llm.requests",)),
    Header("deadline_ms", "Unix time in milliseconds, decimal text; beats the body", ("llm.requests",)),
    Header("reply_topic", "topic for chunks and a copy of the response; beats the body", ("llm.requests",)),
    Header("reply_partition", "its partition, decimal text; beats the body", ("llm.requests",)),
    Header(
        "correlation_id",
        "text, handed back on all answers",
        ("llm.requests", "llm.responses", "llm.chunks", "reply.gateway"),
    ),
    Header(
        "traceparent",
        "W3C trace context, handed back on all answers",
        ("llm.requests", "llm.responses", "llm.chunks", "reply.gateway"),
    ),
    Header("content-type", "`application/json`; others are refused", ("llm.requests",)),
    Header("replay", "number of times the request was replayed, decimal text", ("llm.requests",)),
    Header(
        "hop", "set on a forwarded request: it has been forwarded once and is not again", ("llm.requests",)
    ),
    Header("origin", "`topic/partition/offset` the record was moved from", ("llm.requests", "llm.waiting")),
    Header("attempts", "attempts made before a move, decimal text", ("llm.requests", "llm.waiting")),
    Header(
        "kind",
        "what the record is: `response`, `chunk`, `fence`, `started`, `settled`, `finished`, `turn`, "
        "`forgotten`",
        ("llm.responses", "llm.chunks", "llm.usage", "llm.contexts", "reply.gateway"),
    ),
    Header("source", "`topic/partition/offset` of the request record", ("llm.responses",)),
    Header("seal", "packed: request hash, body hash, whether it is remembered", ("llm.responses",)),
    Header("owner", "name of the worker that wrote a fence", ("llm.responses", "llm.usage")),
    Header("nonce", "what makes a fence one's own", ("llm.responses", "llm.usage")),
)
"""Every header, for the contract and the generated pages."""


def source_text(topic: str, partition: int, offset: int) -> str:
    """A request record's identity as text: `topic/partition/offset`."""
    return f"{topic}/{partition}/{offset}"


def parse_source(text: str) -> tuple[str, int, int]:
    """Read what `source_text` wrote: topic, partition, offset.

    Raises:
        ValueError: If it isn't of that form.
    """
    topic, partition, offset = text.rsplit("/", 2)
    return topic, int(partition), int(offset)


Role = Literal["worker", "gateway", "observer"]
"""What a process of Weir is."""
