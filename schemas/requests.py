"""`llm.requests`: one wish for one answer."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import ConfigDict, model_validator

from schemas.base import Event, FirstFault, JsonObject
from schemas.memories import MemoryMode
from schemas.references import ContextRef

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Largest value of a request record; what is larger comes by reference."""

Name = Annotated[str, MinLen(1), MaxLen(200)]
"""A short identifier: 1 to 200 characters."""
Objects = Annotated[list[JsonObject], FirstFault()]
"""A list of JSON objects."""


Tokens = Annotated[list[int], MinLen(1), FirstFault()]
"""The numbers of a text's tokens."""
Inputs = (
    Annotated[str, MinLen(1)]
    | Annotated[list[Annotated[str, MinLen(1)]], MinLen(1), FirstFault()]
    | Tokens
    | Annotated[list[Tokens], MinLen(1), FirstFault()]
)
"""One text or many, as they are or as tokens of the very model."""


def entries(given: str | Sequence[str | int | list[int]]) -> list[str | list[int]]:
    """What a request's `input` asks vectors of, one by one."""
    if isinstance(given, str):
        return [given]
    tokens = [entry for entry in given if isinstance(entry, int)]
    return [tokens] if tokens else [entry for entry in given if not isinstance(entry, int)]


class Priority(StrEnum):
    """Which lane a request travels in."""

    INTERACTIVE = "interactive"
    """Somebody is waiting."""
    STANDARD = "standard"
    """The default."""
    BULK = "bulk"
    """May wait for hours."""


class CacheMode(StrEnum):
    """What a request allows the response cache to do."""

    OFF = "off"
    """Neither read nor written."""
    ON = "on"
    """Read and written."""
    READ_ONLY = "read_only"
    """An answer may come from the cache; this one is not kept."""
    WRITE_ONLY = "write_only"
    """Always called; the answer is kept for others."""


class Overflow(StrEnum):
    """What becomes of a request that is too long for its model's window."""

    REJECT = "reject"
    """It fails with `token_limit_exceeded` and the numbers."""
    COMPRESS = "compress"
    """Its context, then its turns, are compressed to fit; the default."""
    UPGRADE = "upgrade"
    """The first route with a window that it fits takes it."""


class Message(Event):
    """One turn of a prompt, in the shape of the OpenAI chat API."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    """Who speaks."""
    content: str | Objects | None = None
    """The text, or a list of parts (`text`, `image_url`, ...); absent on a turn that only calls tools."""
    name: str | None = None
    """Name of the speaker or of the function, where the API has one."""
    tool_calls: Objects | None = None
    """Calls of tools that the assistant asked for in this turn."""
    tool_call_id: str | None = None
    """Which tool call this turn answers."""
    reasoning_content: str | None = None
    """Thinking of the assistant in this turn, where the provider showed it."""
    provider_content: JsonObject | None = None
    """The response's `provider_content`, handed back: the same provider gets it in the turn's place."""


class Request(Event):
    """One wish for one answer; `{"prompt": "hi"}` is enough, and so is an OpenAI chat body as it stands.

    Topic `llm.requests`, key `context_id` or `request_id`. A record header with the name of a field
    beats the body. Fields that are not listed here are kept and handed to providers that know them.
    """

    model_config = ConfigDict(extra="allow")

    request_id: Name | None = None
    """Name of the request, chosen by the producer; when absent: topic, partition and offset of the record."""
    context_id: UUID | None = None
    """The conversation this request is a turn of; turns are answered one at a time, in order."""
    prompt: Annotated[str, MinLen(1)] | None = None
    """The question as plain text; this, `messages` or `input`."""
    messages: Annotated[list[Message], MinLen(1), FirstFault()] | None = None
    """The question as turns, oldest first; this, `prompt` or `input`."""
    input: Inputs | None = None
    """Texts, or their tokens, whose vectors are wanted instead of an answer; this, `prompt` or `messages`."""
    dimensions: Annotated[int, Gt(0)] | None = None
    """How many numbers each vector should have, where the model can shorten them."""
    encoding_format: Literal["float", "base64"] | None = None
    """How vectors are written on the response: as 32-bit little-endian bytes in base64, else as numbers."""
    model: Name = "auto"
    """`auto` (the first healthy route in configured order), a configured model's name, or an alias."""
    fallbacks: Annotated[list[Name], FirstFault()] | None = None
    """Models to try, in order, when the first one fails; when absent: the configured ones."""
    context: str | None = None
    """Text that the answer should draw on; with `context_encoding` it may be packed."""
    context_encoding: Literal["text", "zstd+base64"] = "text"
    """How `context` is written: as it is, or compressed with zstd and then base64."""
    context_ref: ContextRef | None = None
    """Where the context lies, in place of `context`, when it is too large for the topic."""
    max_tokens: Annotated[int, Gt(0)] | None = None
    """Most tokens the answer may have, in the model's own tokens."""
    max_completion_tokens: Annotated[int, Gt(0)] | None = None
    """The newer OpenAI name of `max_tokens`; where both are given this one holds."""
    temperature: Annotated[float, Ge(0), Le(2)] | None = None
    """Randomness of the answer, 0 to 2; when absent: the model's own default."""
    top_p: Annotated[float, Gt(0), Le(1)] | None = None
    """Share of the probability mass that is sampled from, over 0 to 1."""
    stop: str | Annotated[list[str], FirstFault()] | None = None
    """Texts that end the answer; they are not part of it."""
    seed: int | None = None
    """Wish for a repeatable answer, where the provider can."""
    tools: Objects | None = None
    """Functions that the model may ask for, in the OpenAI shape."""
    tool_choice: str | JsonObject | None = None
    """Whether and which tool must be called, in the OpenAI shape."""
    response_format: JsonObject | None = None
    """The shape that the answer must have (`json_object`, `json_schema`), in the OpenAI shape."""
    stream: bool = False
    """Whether pieces of the answer are wanted while it is made (topic `llm.chunks` or the reply topic)."""
    priority: Priority = Priority.STANDARD
    """The lane that the request travels in."""
    timeout_ms: Annotated[int, Gt(0)] | None = None
    """Longest wait for an answer, counted from the record's timestamp, in milliseconds."""
    deadline_ms: Annotated[int, Gt(0)] | None = None
    """Moment after which no answer is wanted, Unix time in milliseconds; beats `timeout_ms`."""
    tenant: Name = "default"
    """Who pays. Whoever may produce to the topic is trusted to name it."""
    overflow: Overflow = Overflow.COMPRESS
    """What becomes of it where it is too long for the model's window: `reject`, `compress`, `upgrade`."""
    cache: CacheMode | None = None
    """What the cache may do; when absent: `on` where the temperature is absent or 0, else `off`."""
    memory: MemoryMode | None = None
    """Whether what is remembered of the request's `user` is read, written, or both; it needs a `user`."""
    metadata: JsonObject | None = None
    """Anything the producer wants back on the response; not read by Weir."""
    reply_topic: Name | None = None
    """Topic for the chunks and a copy of the response; its prefix must be on the configured list."""
    reply_partition: Annotated[int, Ge(0)] | None = None
    """Partition of `reply_topic`; when absent: the one that the request id hashes to."""
    correlation_id: Name | None = None
    """Handed back as a header on every record that answers this request."""
    traceparent: str | None = None
    """W3C trace context of the caller."""

    @model_validator(mode="after")
    def _one_question(self) -> "Request":
        if [self.prompt, self.messages, self.input].count(None) != 2:
            raise ValueError("give either `prompt`, `messages` or `input`")
        if self.input is not None and self.stream:
            raise ValueError("`stream` can't be true with `input`: vectors come whole")
        given = "context" if self.context_ref is None else "context_ref"
        if self.input is not None and getattr(self, given) is not None:
            raise ValueError(f"`{given}` has no place beside `input`: put it into the texts")
        if self.context is not None and self.context_ref is not None:
            raise ValueError("give either `context` or `context_ref`")
        if self.memory is not None and (self.input is not None or not self.memory_user):
            raise ValueError("`memory` needs `user`, a text of 1 to 200 characters, and no `input`")
        return self

    @property
    def memory_user(self) -> str:
        """Whose memories are meant: OpenAI's field `user`; empty where it is no text of that length."""
        user = (self.model_extra or {}).get("user")
        return user if isinstance(user, str) and len(user) <= 200 else ""

    @property
    def output_limit_tokens(self) -> int | None:
        """The limit on the answer, whichever of its two names was used."""
        return self.max_completion_tokens or self.max_tokens


HEADER_FIELDS: tuple[str, ...] = (
    "request_id",
    "context_id",
    "tenant",
    "priority",
    "deadline_ms",
    "reply_topic",
    "reply_partition",
    "correlation_id",
    "traceparent",
)
"""Fields that a record header of the same name overrides."""

ADDRESS_FIELDS: frozenset[str] = frozenset(
    {"reply_topic", "reply_partition", "correlation_id", "traceparent", "deadline_ms", "timeout_ms"}
)
"""Fields that say where and until when; two requests that differ only in them ask the same."""
