"""All routes of the APIs, for the app to mount."""

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from connectors.gateway.dialects.answering import Api, told
from connectors.gateway.dialects.anthropic_counting import CountTokens
from connectors.gateway.dialects.anthropic_messages import AnthropicMessages
from connectors.gateway.dialects.asynchronous import AsyncChat
from connectors.gateway.dialects.dialect import Dialect
from connectors.gateway.dialects.models import Models
from connectors.gateway.dialects.openai_chat import OpenAIChat
from connectors.gateway.dialects.openai_completions import OpenAICompletions
from connectors.gateway.dialects.openai_embeddings import OpenAIEmbeddings
from connectors.gateway.dialects.openai_responses import OpenAIResponses
from connectors.gateway.dialects.sending import Pace
from connectors.gateway.parts import Parts
from connectors.gateway.ports import Problem

DIALECTS: dict[str, Dialect] = {
    "/v1/chat/completions": OpenAIChat(),
    "/v1/completions": OpenAICompletions(),
    "/v1/responses": OpenAIResponses(),
    "/v1/embeddings": OpenAIEmbeddings(),
    "/v1/messages": AnthropicMessages(),
}
"""What is asked where."""


def routes(parts: Parts, pace: Pace | None = None) -> list[Route]:
    """`/v1/...`; what isn't known there is an error in the API's shape, too."""
    pace = pace or Pace()
    made: list[Route] = []
    for path, dialect in DIALECTS.items():
        api = Api(dialect, parts.exchange, parts.doors, pace)
        made.append(Route(path, told(api.answer, dialect.style), methods=["POST"]))
    chat = AsyncChat(Api(OpenAIChat(), parts.exchange, parts.doors, pace), parts.streams)
    models = Models(parts.exchange, parts.doors)
    counting = CountTokens(parts.doors, parts.count)
    return [
        *made,
        Route("/v1/messages/count_tokens", told(counting.count, "anthropic"), methods=["POST"]),
        Route("/v1/async/chat/completions", told(chat.ask, "openai"), methods=["POST"]),
        Route("/v1/async/chat/completions/{id}", told(chat.poll, "openai"), methods=["GET"]),
        Route("/v1/async/chat/completions/{id}", told(chat.cancel, "openai"), methods=["DELETE"]),
        Route("/v1/models", told(models.listed), methods=["GET"]),
        Route("/v1/models/{name:path}", told(models.one), methods=["GET"]),
        Route("/v1/{path:path}", told(_unknown), methods=None),
    ]


async def _unknown(http: HttpRequest) -> HttpResponse:
    raise Problem(404, "not_found", f"there is no {http.method} {http.url.path}")
