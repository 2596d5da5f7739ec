"""`/v1/models`: which names can be asked for, in OpenAI's shape or Anthropic's, by who asks.

Sources: https://platform.openai.com/docs/api-reference/models, https://platform.claude.com/docs/en/api/models.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from connectors.gateway.dialects.answering import json_reply, style_of
from connectors.gateway.dialects.errors import invalid
from connectors.gateway.dialects.headers import id_headers
from connectors.gateway.ports import INVOKE, Doorkeeper, Exchange, Problem
from schemas.base import JsonObject

MAX_PAGE = 1000
"""Most models of one of Anthropic's pages."""


@dataclass(frozen=True, slots=True)
class Models:
    """The list, and one of it; callers see what they may ask for."""

    exchange: Exchange
    """Who knows them."""
    doors: Doorkeeper
    """Who may."""

    async def listed(self, http: HttpRequest) -> HttpResponse:
        """All of them."""
        found = await self._known(http)
        if style_of(http.headers) == "anthropic":
            limit = http.query_params.get("limit", "20")
            if not limit.isdecimal() or not 1 <= int(limit) <= MAX_PAGE:
                raise invalid("limit", f"must be 1 to {MAX_PAGE}")
            page = anthropic_page(
                found, int(limit), http.query_params.get("after_id"), http.query_params.get("before_id")
            )
            return json_reply(page, headers=_ids(http))
        return json_reply(
            {"object": "list", "data": [openai_model(each) for each in found]}, headers=_ids(http)
        )

    async def one(self, http: HttpRequest) -> HttpResponse:
        """The one of a name."""
        name = http.path_params["name"]
        for each in await self._known(http):
            if each["id"] == name:
                anthropic = style_of(http.headers) == "anthropic"
                return json_reply(
                    anthropic_model(each) if anthropic else openai_model(each), headers=_ids(http)
                )
        raise Problem(404, "model_not_found", f"no model is named {name!r}", param="model")

    async def _known(self, http: HttpRequest) -> list[JsonObject]:
        caller = await self.doors.admit(http.headers, INVOKE)
        found = await self.exchange.models()
        return [each for each in found if caller.models is None or each["id"] in caller.models]


def openai_model(found: JsonObject) -> JsonObject:
    """A model in OpenAI's shape."""
    return {"id": found["id"], "object": "model", "created": found["created"], "owned_by": found["owned_by"]}


def anthropic_model(found: JsonObject) -> JsonObject:
    """A model in Anthropic's shape."""
    created = datetime.fromtimestamp(found["created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": found["id"], "display_name": found["id"], "created_at": created}


def anthropic_page(found: list[JsonObject], limit: int, after: str | None, before: str | None) -> JsonObject:
    """A page of Anthropic's list: what follows one id, or the last ones before another."""
    names = [each["id"] for each in found]
    start = names.index(after) + 1 if after in names else 0
    end = names.index(before) if before in names else len(names)
    if before in names and after not in names:
        start = max(start, end - limit)
    shown = found[start : min(end, start + limit)]
    return {
        "data": [anthropic_model(each) for each in shown],
        "has_more": start > 0 if before in names else start + len(shown) < len(names),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def _ids(http: HttpRequest) -> dict[str, str]:
    return id_headers(f"req_{uuid4().hex}", http.headers)
