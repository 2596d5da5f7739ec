"""`llm.responses`: the one terminal event of a request."""

from typing import Annotated, Literal
from uuid import UUID

from annotated_types import Ge, Le
from pydantic import Field

from schemas.base import Event, JsonObject
from schemas.codes import Code
from schemas.memories import Remembered

Tokens = Annotated[int, Ge(0)]
"""A count of tokens, 0 or more."""
Usd = Annotated[float, Ge(0)]
"""An amount in US dollars."""
Millis = Annotated[float, Ge(0)]
"""A length of time in milliseconds."""
CountKind = Literal["exact", "calibrated", "estimate"]
"""How far a count can be trusted."""


class Usage(Event):
    """Tokens of one call or one request, as the provider counted them."""

    input_tokens: Tokens = 0
    """Tokens sent, cached ones included."""
    output_tokens: Tokens = 0
    """Tokens received, thinking included."""
    cached_tokens: Tokens = 0
    """Share of `input_tokens` that the provider read from its prompt cache."""
    cache_write_tokens: Tokens = 0
    """Share of `input_tokens` that the provider wrote to its prompt cache."""
    reasoning_tokens: Tokens = 0
    """Share of `output_tokens` spent on thinking."""
    counted_by: Literal["provider", "estimate"] = "provider"
    """`estimate` where the provider sent no usage and Weir's own count stands in."""


class Attempt(Event):
    """One try of a call, from 1; all that the ledger needs to know of it."""

    attempt: Annotated[int, Ge(1)]
    """Number of the try; over a crash it goes on counting."""
    route: str
    """Route tried, as `provider:model`."""
    provider: str
    """Who was asked."""
    model: str
    """Model asked for, by the provider's name."""
    outcome: str
    """`ok`, `unknown`, or the failure's name at the provider seam (`throttled`, `unavailable`, ...)."""
    status: int | None = None
    """HTTP status, where there was one."""
    reason: str | None = None
    """What went wrong, in one line, without keys and prompts."""
    started_ms: Annotated[int, Ge(0)]
    """When the first byte was allowed to leave, Unix time in milliseconds."""
    duration_ms: Millis
    """From then until the outcome was known."""
    first_token_ms: Millis | None = None
    """From then until the first piece, on streams."""
    between_tokens_ms: Millis | None = None
    """Mean time between two output tokens of a stream, from the first piece to the end."""
    usage: Usage | None = None
    """Tokens, where the provider told or they could be estimated."""
    usage_raw: JsonObject | None = None
    """The provider's own usage object, untouched."""
    cost_usd: Usd = 0.0
    """What the try cost, by the configured prices."""


class ErrorInfo(Event):
    """Why there is no answer."""

    code: Code
    """Stable name of the failure."""
    message: str
    """What happened and what to do about it, in one line."""
    field: str | None = None
    """The field at fault, as a dotted path, where one is."""
    stage: str | None = None
    """The step of the flow that gave up."""


class RouteChoice(Event):
    """Which route answered, and why that one."""

    asked: str
    """The `model` of the request."""
    route: str
    """Route that answered, as `provider:model`."""
    reason: str
    """Why it was chosen, in words: `named`, `first healthy`, `fallback after unavailable`."""
    considered: list[str] = Field(default_factory=list[str])
    """All routes of the plan, in order."""


class DroppedStretch(Event):
    """A stretch of the context that was left out."""

    start_chars: Annotated[int, Ge(0)]
    """Where it begins in the context as it came, in characters."""
    end_chars: Annotated[int, Ge(0)]
    """Where it ends, in characters."""
    reason: str
    """`relevance` (others served the question better), `duplicate`, or `size` (larger than the room)."""


class ChangedTurn(Event):
    """A turn that was shrunk or left out."""

    place: Annotated[int, Ge(0)]
    """Its number among the turns that were to be sent, from 0."""
    before_tokens: Tokens
    """Its tokens before."""
    after_tokens: Tokens
    """Its tokens after; 0 where it was left out."""
    reason: str
    """`duplicate`, `stale result`, or `relevance`."""


class CompressionRecord(Event):
    """What compression did to a request: the context first, and the turns where that was not enough."""

    before_tokens: Tokens
    """Tokens of what was compressed as it came, by Weir's own count: the context, the turns, or both."""
    after_tokens: Tokens
    """Tokens of it as it was sent, by the same count."""
    ratio: Annotated[float, Ge(0), Le(1)]
    """Kept over original, 0 to 1."""
    method: str
    """The means, in order: `context: extract`, `turns: duplicates+stale results`; with `; ` between."""
    count_kind: CountKind = "estimate"
    """How far the two counts can be trusted."""
    kept: Annotated[int, Ge(0)] = 0
    """Stretches of the context that stayed."""
    dropped: list[DroppedStretch] = Field(default_factory=list[DroppedStretch])
    """Stretches of the context that went, in order; the first 200."""
    turns: list[ChangedTurn] = Field(default_factory=list[ChangedTurn])
    """Turns that were shrunk or left out, in order; the first 200."""
    more: Annotated[int, Ge(0)] = 0
    """Stretches and turns beyond those that are listed."""


class Latency(Event):
    """Where the time went, in milliseconds."""

    queue_ms: Millis
    """From the record's timestamp until the flow took it."""
    routing_ms: Millis
    """From the record's timestamp until the first call was allowed to leave; 0 where nothing was called."""
    provider_ms: Millis
    """At providers, over all attempts."""
    total_ms: Millis
    """From the record's timestamp until the response was handed to the producer."""


class LastChunk(Event):
    """Where the stream of a response ended."""

    attempt: Annotated[int, Ge(1)]
    """Try whose pieces make up the answer."""
    seq: Annotated[int, Ge(0)]
    """Number of its last piece."""


class Response(Event):
    """The answer or the failure: exactly one for each request record. It is the commit point.

    Topic `llm.responses`, key `request_id`, on the partition number of the request. Header `source` is
    `topic/partition/offset` of the request record. All else that Weir writes about a request is derived
    from this event.
    """

    request_id: str
    """The request this answers."""
    context_id: UUID | None = None
    """Its conversation."""
    tenant: str
    """Who pays for the request."""
    response: str | None = None
    """The answer's text; absent on a failure and where vectors were wanted."""
    embeddings: list[list[float]] | list[str] | None = None
    """One vector for each entry of the request's `input`, in order, written as `encoding_format` says."""
    tool_calls: list[JsonObject] | None = None
    """Tools that the model asked for, in the OpenAI shape."""
    finish_reason: str | None = None
    """Why the answer ended: `stop`, `length`, `tool_calls`, `content_filter`."""
    finish_reason_raw: str | None = None
    """The provider's own word for it: `stop_sequence`, `SAFETY`, ..."""
    reasoning_content: str | None = None
    """The model's thinking, where the provider shows it."""
    provider_content: JsonObject | None = None
    """Content in the provider's own shape (thinking with signatures, unknown blocks), where OpenAI's loses
    some of it. Send it back on the assistant's turn, and the same provider gets it as it was."""
    logprobs: JsonObject | None = None
    """Log-probabilities of the answer's tokens, in the OpenAI shape."""
    error: ErrorInfo | None = None
    """The failure; absent on an answer."""
    tokens_used: Tokens = 0
    """Input and output tokens of the attempt that answered."""
    usage: Usage | None = None
    """Tokens of the attempt that answered."""
    cost_usd: Usd = 0.0
    """What all attempts together cost."""
    model: str | None = None
    """Model that answered, by the provider's name."""
    provider: str | None = None
    """Who answered."""
    attempts: list[Attempt] = Field(default_factory=list[Attempt])
    """Every try, oldest first; the ledger is written from it."""
    estimated_input_tokens: Tokens | None = None
    """What was sent, as far as was known before the call: counted here, and corrected by what was learnt of
    the model."""
    estimate_kind: CountKind | None = None
    """How far that number can be trusted: `exact` (the provider counted it), `calibrated` (enough was learnt
    of how the model counts), or `estimate`."""
    cache: Literal["hit", "miss", "off"] = "off"
    """What the response cache did."""
    route: RouteChoice | None = None
    """Which route answered and why."""
    compression: CompressionRecord | None = None
    """What was left out of the context."""
    notes: dict[str, str] | None = None
    """Remarks: what the request went on without, or what was added to it, by the name of its source."""
    memory: Remembered | None = None
    """What is remembered of the request; the record on `llm.memories` is derived from it."""
    latency: Latency
    """Where the time went."""
    last_chunk: LastChunk | None = None
    """Where the stream ended; absent when nothing was streamed."""
    unknown_outcome: bool = False
    """Whether an earlier worker started a call for it and was not heard of again: it may be paid twice."""
    metadata: JsonObject | None = None
    """The request's `metadata`, handed back."""
    reply_topic: str | None = None
    """Where the copy goes."""
    reply_partition: int | None = None
    """Partition of the copy."""
    correlation_id: str | None = None
    """The request's `correlation_id`, handed back."""
    traceparent: str | None = None
    """Trace context of the caller."""
