"""The seams inside the gateway: who asks, how a request goes to Kafka and its answer comes back.

Authentication gives a `Caller`; a dialect reads an HTTP body into a `Request` and writes what an `Answers`
stream gives back in the API's own words; `Exchange` is the only part that knows Kafka.

Problem is what ends a call early: one error for all dialects, which each writes in its own shape.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.requests import Request
from schemas.responses import Response

INVOKE = "llm:invoke"
"""Scope: ask models."""
METRICS_READ = "metrics:read"
"""Scope: see metrics, logs and alerts."""
ALERTS_WRITE = "alerts:write"
"""Scope: acknowledge and silence alerts."""
CONFIG_WRITE = "config:write"
"""Scope: change the configuration."""
ADMIN = "admin"
"""Scope: everything, keys and users too."""
SCOPES = (INVOKE, METRICS_READ, ALERTS_WRITE, CONFIG_WRITE, ADMIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as authentication found it."""

    id: str
    """Id of the key, or name of the user; stands in the audit trail and scopes idempotency keys."""
    tenant: str
    """Who pays; requests and streams of other tenants can't be reached."""
    scopes: frozenset[str]
    """What it may do; `admin` includes all."""
    models: tuple[str, ...] | None = None
    """Model names it may ask for; `None` for all."""
    requests_per_minute: int | None = None
    """Most requests in a minute; `None` for no limit."""
    streams: int | None = None
    """Most answers under way at once; `None` for the gateway's own bound."""

    def may(self, scope: str) -> bool:
        """Whether it has the scope."""
        return scope in self.scopes or ADMIN in self.scopes


class Problem(Exception):  # noqa: N818 - what a caller is told, whoever's fault it is
    """Ends a call before, or instead of, an answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status."""
        self.code = code
        """Stable name: one of `schemas.codes.Code`, or the gateway's own (`invalid_api_key`, `rate_limited`,
        `forbidden`, `not_found`, `too_large`, `conflict`, `overloaded`, ...)."""
        self.message = message
        """What happened and what to do, in one line, without keys and prompts."""
        self.param = param
        """The parameter at fault, where one is."""
        self.headers = dict(headers or {})
        """Further headers: `retry-after`, `x-should-retry`, rate limits."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The end of a stream that has a gap, or whose answer didn't come: an error, never a success."""

    reason: str
    """In one line."""


class Answers(Protocol):
    """What comes back for one request."""

    request_id: str
    """The request."""

    def __aiter__(self) -> AsyncIterator[Chunk | Response | Lost]:
        """Chunks in order, without repeats; the last item is the `Response` or `Lost`.

        A chunk of a higher attempt with seq 0 means: drop what was shown.
        """
        ...

    @property
    def token(self) -> str:
        """Signed place right after the last item given; before the first: the start. See `Streams`."""
        ...

    async def close(self, *, cancel: bool, grace_s: float = 0.0) -> None:
        """Nobody waits any more; with `cancel` the workers are told to stop, unless it has ended.

        That comes after `grace_s`, and not where somebody resumed it meanwhile.
        """
        ...


class Exchange(Protocol):
    """Requests go out, answers come back."""

    async def ask(self, request: Request, caller: Caller, *, key: str | None = None) -> Answers:
        """Put a request on the topic, durably, and follow its answer from before that moment.

        The gateway sets id, tenant, reply address and trace; `request.stream` says whether chunks are wanted.
        `key` is the client's `Idempotency-Key`: the same one with the same request, at any gateway within 24
        hours, follows the first one's answer instead, from its start. The answer to a request that has a key
        is found again by its id, too: see `Streams.find`. A failure that may pass frees its key.

        Raises:
            Problem: 503 `overloaded` when too much is under way or Kafka is away; 422 `conflict` when the key
                was used with another request; 400 `invalid_request` when the key is too long.
        """
        ...

    async def cancel(self, request_id: str, tenant: str) -> None:
        """Tell the workers to stop."""
        ...

    async def models(self) -> list[JsonObject]:
        """Model names that can be asked for, as `{"id", "created", "owned_by"}`."""
        ...


class Streams(Protocol):
    """Finds the answers of a request again, after a cut; the `Exchange` is one."""

    async def resume(self, token: str, caller: Caller) -> Answers:
        """Go on right after a place that `Answers.token` named.

        Raises:
            Problem: 404 `not_found` for a forged token and another tenant's; 410 `gone` where the records are
                not kept any more.
        """
        ...

    async def find(self, request_id: str, caller: Caller) -> Answers:
        """The answer to a request that was asked with a key, at any gateway within 24 hours, from its start.

        Taking items may be given up at any time (`asyncio.timeout`), so it serves for polling: what isn't
        there yet takes no time to not wait for. `close(cancel=False)` when done.

        Raises:
            Problem: 404 `not_found` for an unknown id, one without a key, and another tenant's.
        """
        ...


class Tickets(Protocol):
    """Lets a browser open a WebSocket, which can't send headers."""

    async def redeem(self, ticket: str) -> Caller:
        """Whose ticket it is; it is used up then, by whoever gave it out.

        Raises:
            Problem: 401 `invalid_ticket`: forged, too old, or used.
        """
        ...


class Doorkeeper(Protocol):
    """Lets callers in."""

    async def admit(self, headers: Mapping[str, str], scope: str, model: str | None = None) -> Caller:
        """Who is it, and may it: by `authorization: Bearer`, `x-api-key`, or the session's cookie.

        `headers` is case-insensitive or in lower case.

        Raises:
            Problem: 401 `invalid_api_key`, 403 `forbidden` (scope or model).
        """
        ...

    def charge(self, caller: Caller) -> Mapping[str, tuple[int, int, float]]:
        """Count one request: `{"requests": (limit, remaining, reset_s)}`; empty where there is no limit.

        Raises:
            Problem: 429 `rate_limited`, with `retry-after` and `retry-after-ms`.
        """
        ...

    async def note(self, caller: Caller | None, action: str, details: JsonObject) -> None:
        """Write to the audit trail; never a key, never a prompt."""
        ...
