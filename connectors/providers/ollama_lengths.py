"""Asks Ollama, once at a worker's start, how long its models are, where the configuration doesn't tell.

With that a request that is too long is known before it is sent: it goes to a larger model, or fails with the
numbers. A server that doesn't answer in time stops nobody: its models' lengths stay unknown.
"""

import asyncio
import logging
from dataclasses import replace

from connectors.providers.http import HttpTransport
from connectors.providers.keys import KeyFile
from connectors.providers.ollama import BASE
from connectors.providers.ollama_admin import decode_show, encode_show
from connectors.providers.pool import way_of
from schemas.calls import HttpRequest, ProviderError, Route

_log = logging.getLogger(__name__)

LOOK_S = 2.0
"""Longest wait for all servers."""
MAX_CARD_BYTES = 64 * 1024 * 1024
"""Longest card: it holds the model's whole vocabulary."""


def with_lengths(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """The same routes, those of Ollama with the length of their model as `max_input_tokens`."""
    if not any(_unknown(route) for route in routes):
        return routes
    return asyncio.run(_asked(routes))


async def _asked(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    looks = [asyncio.create_task(_length(route)) for route in routes if _unknown(route)]
    await asyncio.wait(looks, timeout=LOOK_S)
    for look in looks:
        look.cancel()
    lengths = iter(await asyncio.gather(*looks, return_exceptions=True))
    return tuple(_known(route, next(lengths)) if _unknown(route) else route for route in routes)


def _unknown(route: Route) -> bool:
    return route.provider == "ollama" and route.max_input_tokens is None


def _known(route: Route, found: int | BaseException | None) -> Route:
    if isinstance(found, int):
        return replace(route, max_input_tokens=found)
    if isinstance(found, ProviderError):
        _log.warning("%s: the model's length is not known: %s", route.name, found.reason)
    elif isinstance(found, asyncio.CancelledError):
        _log.warning("%s: the model's length is not known: no answer within %g s", route.name, LOOK_S)
    elif found is not None:
        raise found
    return route


async def _length(route: Route) -> int | None:
    """The length that a route's server tells.

    Raises:
        ProviderError: When it doesn't.
    """
    asked = encode_show((route.api_base or BASE).rstrip("/"), route.model)
    key = KeyFile(route.api_key_file).read() if route.api_key_file else route.api_key
    headers = dict(asked.headers) | ({"authorization": f"Bearer {key.strip()}"} if key else {})
    transport = HttpTransport(way_of(route))
    try:
        request = HttpRequest(asked.method, asked.url, headers, asked.body)
        reply = await transport.send(route, request, lambda: True, MAX_CARD_BYTES)
        parts: list[bytes] = []
        while data := await reply.next():
            parts.append(data)
        return decode_show(reply.status, reply.headers, b"".join(parts)).length_tokens
    finally:
        await transport.close()
