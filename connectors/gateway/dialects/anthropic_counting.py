"""`/v1/messages/count_tokens`: an estimate, made here and at once. Nothing is asked of a provider.

Texts are counted by the local counter, which is not Claude's tokenizer; to that come the envelope of each
turn, what Claude is told about tools, and a flat number for each picture and document. What providers count
is on the responses' usage.
Sources: https://platform.claude.com/docs/en/api/messages-count-tokens, .../build-with-claude/vision.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from connectors.gateway.dialects.answering import check_models, json_body, json_reply
from connectors.gateway.dialects.anthropic_messages import AnthropicMessages
from connectors.gateway.dialects.headers import id_headers
from connectors.gateway.ports import INVOKE, Doorkeeper
from schemas.base import JsonObject
from schemas.requests import Request

TURN_TOKENS = 4
"""Envelope of one turn."""
ANSWER_TOKENS = 3
"""Opening of the answer."""
TOOLS_TOKENS = 346
"""What Claude is told once there are tools."""
TOOL_TOKENS = 8
"""Envelope of one tool."""
PART_TOKENS = 1600
"""A picture of 1092 x 1092; other parts are taken to be as large."""


@dataclass(frozen=True, slots=True)
class CountTokens:
    """The route."""

    doors: Doorkeeper
    """Who may."""
    count_text: Callable[[str], int]
    """Tokens of a text."""

    async def count(self, http: HttpRequest) -> HttpResponse:
        """The input tokens of a body."""
        caller = await self.doors.admit(http.headers, INVOKE)
        asked = AnthropicMessages().read(await json_body(http), http.headers)
        check_models(caller, asked.request)
        self.doors.charge(caller)
        tokens = await asyncio.to_thread(input_tokens, asked.request, self.count_text)
        return json_reply({"input_tokens": tokens}, headers=id_headers(f"req_{uuid4().hex}", http.headers))


def input_tokens(request: Request, count_text: Callable[[str], int]) -> int:
    """An estimate of a request's input tokens."""
    tokens = ANSWER_TOKENS
    for message in request.messages or ():
        tokens += TURN_TOKENS
        parts = [{"text": message.content}] if isinstance(message.content, str) else message.content or []
        for part in parts:
            text = part.get("text")
            tokens += count_text(text) if isinstance(text, str) else PART_TOKENS
        tokens += sum(map(count_text, _written(message.tool_calls or ())))
        tokens += count_text(message.reasoning_content or "")
    tools = request.tools or []
    tokens += sum(map(count_text, _written(tools))) + len(tools) * TOOL_TOKENS
    return tokens + (TOOLS_TOKENS if tools else 0)


def _written(found: Iterable[JsonObject]) -> Iterator[str]:
    return (orjson.dumps(each).decode() for each in found)
