"""What the flow hands to a provider and what comes back: values only, no I/O.

ProviderError
├── Throttled       asks us to slow down                 retry after `retry_after_s`
├── Unavailable     no answer, or it failed, or was cut  retry, here or elsewhere
├── Missing         this provider has no such model      retry elsewhere only
├── Refused         the call itself is at fault          never retry
└── Malformed       an answer we cannot read             never retry here; keep the bytes
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.base import JsonObject
from schemas.requests import Message, Request
from schemas.responses import Usage


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase of a call may take, in seconds; a phase that runs out is `Unavailable`."""

    connect_s: float = 5.0
    """Until the connection stands, TLS included."""
    first_byte_s: float = 120.0
    """From the request's end to the answer's first byte."""
    between_bytes_s: float = 60.0
    """Between two reads of the answer."""
    total_s: float = 600.0
    """All of it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A configured way to an answer: provider + model + settings. Its name is `provider:model`."""

    name: str
    """`provider:model`, unique in the configuration."""
    model_name: str
    """The name that requests use (LiteLLM's `model_name`); several routes may share it."""
    provider: str
    """Name of the provider's codec: `openai`, `ollama`, `extractive`, ..."""
    model: str
    """The model by the provider's name."""
    api_base: str | None = None
    """Base URL of the server; `None` for the provider's default."""
    api_key: str | None = field(default=None, repr=False)
    """Secret for the server, already read from the environment; never logged."""
    api_key_file: str | None = None
    """File with the secret instead, read again when it changes, so that the key can be rotated."""
    client: Literal["http", "sdk"] = "http"
    """What moves the bytes: Weir's own connections, or the provider's official SDK."""
    proxy: str | None = field(default=None, repr=False)
    """URL of the HTTP proxy on the way to the server; it may hold a password, so it is never logged."""
    ca_file: str | None = None
    """PEM file of the authorities that may sign the server's certificate; `None` for the system's."""
    client_cert_file: str | None = None
    """PEM file with our certificate and its key, for servers that ask for one."""
    verify_tls: bool = True
    """Whether the server's certificate is checked."""
    input_cost_usd: float = 0.0
    """Price of one input token."""
    output_cost_usd: float = 0.0
    """Price of one output token."""
    cache_read_cost_usd: float | None = None
    """Price of one input token read from the provider's prompt cache; `None`: as any input token."""
    cache_write_cost_usd: float | None = None
    """Price of one input token written to the provider's prompt cache; `None`: as any input token."""
    max_input_tokens: int | None = None
    """The model's window for input, where known."""
    max_output_tokens: int | None = None
    """The model's limit on output, where known."""
    max_connections: int = 4096
    """Most connections to this server at once."""
    timeouts: Timeouts = Timeouts()
    """How long each phase may take."""
    drop_params: bool = False
    """Whether parameters that the provider lacks are left out instead of refused."""
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    """Parameters that every call of this route gets unless the request sets them."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request bound to a route: all that a codec needs."""

    request_id: str
    """The request, for logs and for the `x-request-id` header."""
    request: Request
    """What the producer sent; parameters are read from here."""
    messages: tuple[Message, ...]
    """The turns to send, context and history included, oldest first."""
    route: Route
    """Where to."""
    max_tokens: int | None
    """Most tokens the answer may have; `None` for the model's own limit."""
    stream: bool
    """Whether pieces are wanted."""
    input_tokens: int
    """Our count of the input, before the call."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The bytes of a call, before they leave."""

    method: str
    """`POST`, `GET`, ..."""
    url: str
    """Absolute URL."""
    headers: Mapping[str, str]
    """All headers that we set; secrets included, so never logged."""
    body: bytes
    """The body."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A streamed piece of an answer."""

    text: str = ""
    """Text to append."""
    tool_calls: tuple[JsonObject, ...] = ()
    """Pieces of tool calls, in the OpenAI delta shape."""
    reasoning: str = ""
    """Thinking to append, where the provider shows it."""
    logprobs: tuple[JsonObject, ...] = ()
    """Log-probabilities of the text's tokens, in the shape of OpenAI's `logprobs.content`."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One of a provider's limits on us, as its headers told it."""

    name: str
    """What is limited: `requests`, `tokens`, `input_tokens`, `output_tokens`."""
    limit: int | None
    """Most requests or tokens in a window."""
    remaining: int | None
    """Requests or tokens that are left of it."""
    reset_s: float | None
    """Seconds until it is whole again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered, in one shape for all."""

    text: str
    """The text; empty where only tools are called."""
    finish_reason: str
    """`stop`, `length`, `tool_calls` or `content_filter`."""
    usage: Usage | None
    """Tokens as the provider counted them; `None` where it did not say."""
    usage_raw: JsonObject | None = None
    """The provider's own usage object."""
    model: str | None = None
    """The model that answered, as the provider names it."""
    tool_calls: tuple[JsonObject, ...] = ()
    """Tools asked for, in the OpenAI shape."""
    status: int = 200
    """HTTP status."""
    finish_reason_raw: str | None = None
    """The provider's own word for why it ended."""
    reasoning: str = ""
    """The thinking, where the provider shows it."""
    provider_content: JsonObject | None = None
    """`{"format": NAME, "content": [...]}` in the provider's own shape, where OpenAI's loses some of it."""
    logprobs: JsonObject | None = None
    """Log-probabilities, in the shape of OpenAI's `logprobs`."""
    limits: tuple[RateLimit, ...] = ()
    """What the reply's headers said of the provider's limits."""
    embeddings: tuple[tuple[float, ...], ...] | None = None
    """One vector for each entry of the request's `input`, in order: numbers on the model's own scale."""


class ProviderError(Exception):
    """A call that has no answer."""

    outcome = "failed"
    """Its stable name, as it stands in `Attempt.outcome`."""
    retriable = False
    """Whether the same route may be tried again."""
    elsewhere = True
    """Whether another route may be tried."""

    def __init__(self, reason: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        """What happened, in one line, without keys and prompts."""
        self.status = status
        """HTTP status, where there was one."""
        self.retry_after_s = retry_after_s
        """Seconds the server asks us to wait, where it does."""
        self.limits: tuple[RateLimit, ...] = ()
        """What the reply's headers said of the provider's limits."""


class Throttled(ProviderError):  # noqa: N818 - named by whose fault it is
    """The server asks us to slow down (429, or 503 with a retry header)."""

    outcome = "throttled"
    retriable = True


class Unavailable(ProviderError):  # noqa: N818 - named by whose fault it is
    """No answer, a failed one, or a stream that was cut."""

    outcome = "unavailable"
    retriable = True


class Missing(ProviderError):  # noqa: N818 - named by whose fault it is
    """The provider has no such model, or our key is not good there: elsewhere may be."""

    outcome = "missing"


class Refused(ProviderError):  # noqa: N818 - named by whose fault it is
    """The call itself is at fault; another try would fail the same way."""

    outcome = "refused"
    elsewhere = False


class Malformed(ProviderError):  # noqa: N818 - named by whose fault it is
    """An answer that we can't read; `body` keeps its first bytes."""

    outcome = "malformed"

    def __init__(self, reason: str, *, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(reason, status=status)
        self.body = body[:4096]
        """The first 4,096 bytes of it."""
