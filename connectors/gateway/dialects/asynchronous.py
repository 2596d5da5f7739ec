"""`/v1/async/chat/completions`: ask now, fetch the answer later.

POST                       202 `{"id", "status": "in_progress"}`; the body is that of a chat completion
GET /{id}[?wait_s=10]      202 while it is made (with `retry-after`), then 200: `response` holds the
                           `chat.completion`, or `error` says why there is none
DELETE /{id}               202: the workers are told to stop

Any gateway can tell, for 24 hours; other tenants can't. Nothing of it is kept here. With an `Idempotency-Key`
a second POST gives the same id.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from connectors.gateway.dialects.answering import Api, json_reply
from connectors.gateway.dialects.dialect import Asked, Head
from connectors.gateway.dialects.errors import invalid, openai_error
from connectors.gateway.dialects.headers import id_headers, weir_headers
from connectors.gateway.dialects.sending import Item, problem_in
from connectors.gateway.ports import INVOKE, Answers, Lost, Streams
from schemas.base import JsonObject
from schemas.requests import Request
from schemas.responses import Response

MAX_WAIT_S = 30.0
"""Longest time that a poll waits for the answer."""
LOOK_S = 0.5
"""Shortest: the records that are there already must be read."""


@dataclass(frozen=True, slots=True)
class AsyncChat:
    """The three routes."""

    api: Api
    """Chat completions."""
    streams: Streams
    """Finds answers by their request."""

    async def ask(self, http: HttpRequest) -> HttpResponse:
        """Put the request on the topic, and say its id."""
        caller, asked, limits = await self.api.asked(http)
        if asked.request.stream:
            raise invalid("stream", "can't be true here; poll, or use /v1/chat/completions")
        key = http.headers.get("idempotency-key") or f"async-{uuid4().hex}"
        answers = await self.api.exchange.ask(asked.request, caller, key=key)
        await answers.close(cancel=False)
        headers = id_headers(answers.request_id, http.headers) | limits
        headers["location"] = f"/v1/async/chat/completions/{answers.request_id}"
        return json_reply(_state(answers.request_id, "in_progress"), 202, headers)

    async def poll(self, http: HttpRequest) -> HttpResponse:
        """What became of it."""
        caller = await self.api.doors.admit(http.headers, INVOKE)
        wait_s = _wait_s(http.query_params.get("wait_s"))
        request_id = http.path_params["id"]
        answers = await self.streams.find(request_id, caller)
        try:
            last = await _last(answers, wait_s)
        finally:
            await answers.close(cancel=False)
        headers = id_headers(request_id, http.headers)
        if not isinstance(last, Response | Lost):
            return json_reply(_state(request_id, "in_progress"), 202, {**headers, "retry-after": "1"})
        if isinstance(last, Response):
            headers |= weir_headers(last)
        return json_reply(self._ended(request_id, last), 200, headers)

    async def cancel(self, http: HttpRequest) -> HttpResponse:
        """Tell the workers to stop; of another tenant's request nothing is told, and nothing comes of it."""
        caller = await self.api.doors.admit(http.headers, INVOKE)
        request_id = http.path_params["id"]
        answers = await self.streams.find(request_id, caller)
        await answers.close(cancel=False)
        await self.api.exchange.cancel(request_id, caller.tenant)
        return json_reply(_state(request_id, "cancelling"), 202, id_headers(request_id, http.headers))

    def _ended(self, request_id: str, response: Response | Lost) -> JsonObject:
        problem = problem_in(response)
        if problem is not None or isinstance(response, Lost):
            error = None if problem is None else openai_error(problem)
            return {**_state(request_id, "failed"), "error": error}
        asked = "auto" if response.route is None else response.route.asked
        head = Head(request_id, int(time.time()), asked)
        whole = self.api.dialect.whole(Asked(Request(prompt="-")), head, response)
        return {**_state(request_id, "completed"), "response": whole}


def _state(request_id: str, status: str) -> JsonObject:
    return {"id": request_id, "object": "chat.completion.async", "status": status}


def _wait_s(text: str | None) -> float:
    if text is None:
        return LOOK_S
    if not text.isdecimal() or int(text) > MAX_WAIT_S:
        raise invalid("wait_s", f"must be a whole number of seconds, at most {MAX_WAIT_S:g}")
    return max(LOOK_S, float(text))


async def _last(answers: Answers, wait_s: float) -> Item | None:
    """The last item that is there when the wait is over."""
    last: Item | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            async for item in answers:
                last = item
    return last
