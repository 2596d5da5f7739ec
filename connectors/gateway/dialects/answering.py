"""One route of an API over HTTP: who asks, what, and how the answer goes back.

The order: the key, the body, the models that the key may ask for, the caller's limit, the topic. Whatever
goes wrong on the way is a `Problem`, written in the API's own shape.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import orjson
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from connectors.gateway.dialects.bodies import check_size, read_json
from connectors.gateway.dialects.dialect import Asked, Dialect, Head, Style
from connectors.gateway.dialects.errors import error_body, status_of
from connectors.gateway.dialects.headers import id_headers, limit_headers, trace_of
from connectors.gateway.dialects.sending import Pace, Reply, Stream, Whole
from connectors.gateway.ports import INVOKE, Caller, Doorkeeper, Exchange, Problem
from schemas.base import JsonObject
from schemas.requests import Request
from schemas.responses import Response

KEY_GRACE_S = 30.0
"""How long a request with an `Idempotency-Key` goes on when its client went away: it may come back."""

Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""A route's function."""


@dataclass(frozen=True, slots=True)
class Api:
    """One route that asks: a dialect, and the seams that it is joined to."""

    dialect: Dialect
    """The API's words."""
    exchange: Exchange
    """Where requests go."""
    doors: Doorkeeper
    """Who may."""
    pace: Pace = field(default_factory=Pace)
    """Times of streams."""

    async def answer(self, http: HttpRequest) -> HttpResponse:
        """Ask, and send what comes back, whole or as a stream."""
        caller, asked, limits = await self.asked(http)
        key = http.headers.get("idempotency-key")
        answers = await self.exchange.ask(asked.request, caller, key=key)
        head = Head(answers.request_id, int(time.time()), asked.request.model)
        refuse = partial(refusal, style=self.dialect.style, asked=http.headers, request_id=answers.request_id)
        grace_s = 0.0 if key is None else KEY_GRACE_S
        reply = Reply(answers, refuse, id_headers(answers.request_id, http.headers) | limits, grace_s)
        writer = self.dialect.writer(asked, head) if asked.request.stream else None
        if writer is not None:
            return Stream(reply, writer, self.pace)
        return Whole(reply, partial(self._write, asked, head))

    async def asked(self, http: HttpRequest) -> tuple[Caller, Asked, dict[str, str]]:
        """Who asks, what, and the headers of the caller's limits.

        Raises:
            Problem: Where it may not, or the body is at fault.
        """
        caller = await self.doors.admit(http.headers, INVOKE)
        asked = self.dialect.read(await json_body(http), http.headers)
        check_models(caller, asked.request)
        if (trace := trace_of(http.headers)) is not None:
            request = asked.request.model_copy(update={"traceparent": trace})
            asked = Asked(request, asked.options)
        limits = self.doors.charge(caller)
        return caller, asked, limit_headers(limits, self.dialect.style, time.time())

    def _write(self, asked: Asked, head: Head, response: Response) -> bytes:
        return orjson.dumps(self.dialect.whole(asked, head, response))


async def json_body(http: HttpRequest) -> JsonObject:
    """The object that a request brings.

    Raises:
        Problem: 400, 413 or 415.
    """
    if http.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "invalid_request", "the body may not be compressed")
    length = http.headers.get("content-length", "0")
    check_size(int(length) if length.isdecimal() else 0)
    parts: list[bytes] = []
    size_bytes = 0
    async for part in http.stream():
        size_bytes += len(part)
        check_size(size_bytes)
        parts.append(part)
    return read_json(b"".join(parts))


def check_models(caller: Caller, request: Request) -> None:
    """Whether a caller may ask for the models that a request names, fallbacks too.

    Raises:
        Problem: 403 `forbidden`.
    """
    if caller.models is None:
        return
    for param, name in [("model", request.model), *(("fallbacks", name) for name in request.fallbacks or ())]:
        if name not in caller.models:
            raise Problem(403, "forbidden", f"this key may not ask for the model {name!r}", param=param)


def told(handler: Handler, style: Style | None = None) -> Handler:
    """The handler, with its problems written in the shape of an API; `None`: by the client's headers."""

    async def answer(http: HttpRequest) -> HttpResponse:
        try:
            return await handler(http)
        except Problem as problem:
            return refusal(problem, style=style or style_of(http.headers), asked=http.headers)
        except ClientDisconnect:
            return HttpResponse(status_code=499)

    return answer


def style_of(headers: Mapping[str, str]) -> Style:
    """Whose client asks: Anthropic's always name their version."""
    return "anthropic" if "anthropic-version" in headers else "openai"


def refusal(
    problem: Problem, *, style: Style, asked: Mapping[str, str], request_id: str | None = None
) -> HttpResponse:
    """A problem as a reply; without a request it gets an id of its own."""
    named = request_id or f"req_{uuid4().hex}"
    headers = {**problem.headers, **id_headers(named, asked)}
    return json_reply(error_body(problem, style, named), status_of(problem, style), headers)


def json_reply(body: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON object as a reply."""
    return HttpResponse(orjson.dumps(body), status, headers, "application/json")
