"""Finds the provider of a route. A new codec is one line here, or one `register` elsewhere."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.extractive import Extractive
from connectors.providers.gemini import GeminiCodec
from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_quirks import QUIRKS
from connectors.providers.pool import Way, way_of
from connectors.providers.sdks import sdk_transport
from connectors.providers.shell import MAX_ANSWER_BYTES, HttpProvider, Shell
from connectors.providers.wire import Codec, Provider
from schemas.calls import Call, ProviderError, Route
from schemas.requests import Message, Request

_log = logging.getLogger(__name__)

Factory: TypeAlias = Callable[[Route], Provider]
"""Makes the provider of a route; routes of one server, one client and one way there share what it made."""


class Registry:
    """The table of providers, and those that are in use. Lives on one event loop."""

    def __init__(self, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._max_answer_bytes = max_answer_bytes
        self._factories: dict[str, Factory] = {"extractive": _embedded}
        self._used: dict[tuple[str, str | None, str, Way], Provider] = {}
        for name, quirks in QUIRKS.items():
            self.register_codec(name, OpenAICodec(quirks))
        for name in ("ollama", "ollama_chat"):
            self.register_codec(name, OllamaCodec())
        self.register_codec("anthropic", AnthropicCodec())
        self.register_codec("gemini", GeminiCodec())

    def register(self, name: str, factory: Factory) -> None:
        """Add a provider, or put another in the place of one that isn't in use yet."""
        self._factories[name] = factory

    def register_codec(self, name: str, codec: Codec) -> None:
        """Add a provider that is a codec over HTTP."""
        self.register(name, partial(self._over_http, codec))

    def names(self) -> list[str]:
        """The names that a route may have as its provider, sorted."""
        return sorted(self._factories)

    def of(self, route: Route) -> Provider:
        """The provider that serves the route.

        Raises:
            KeyError: When no codec of that name is registered.
        """
        place = (route.provider, route.api_base, route.client, way_of(route))
        found = self._used.get(place)
        if found is None:
            # Asked from two threads at once, one of the two is the one that counts.
            found = self._used.setdefault(place, self._factories[route.provider](route))
        return found

    async def warm(self, routes: Iterable[Route]) -> None:
        """Open a connection to each server, so that the first call finds one; what fails is logged once."""
        shells: dict[Shell, Route] = {}
        for route in routes:
            # An SDK takes a second to import.
            found = await asyncio.to_thread(self.of, route) if route.client == "sdk" else self.of(route)
            if isinstance(found, Shell):
                shells.setdefault(found, route)
        await asyncio.gather(*(_warm(shell, route) for shell, route in shells.items()))

    def gauges(self) -> dict[str, float]:
        """Connections by provider, open, idle and waited for: `connections_open:ollama`; any thread."""
        found: Counter[str] = Counter()
        for (name, *_), provider in list(self._used.items()):
            if isinstance(provider, Shell):
                counts = provider.connections()
                found[f"connections_open:{name}"] += counts.open
                found[f"connections_idle:{name}"] += counts.idle
                found[f"connections_waiting:{name}"] += counts.waiting
        return {name: float(count) for name, count in found.items()}

    async def close(self) -> None:
        """End all connections of all providers."""
        used, self._used = list(self._used.values()), {}
        for provider in used:
            await provider.close()

    def _over_http(self, codec: Codec, route: Route) -> Provider:
        if route.client == "sdk":
            return Shell(codec, sdk_transport(route), max_answer_bytes=self._max_answer_bytes)
        return HttpProvider(codec, way=way_of(route), max_answer_bytes=self._max_answer_bytes)


def _embedded(_route: Route) -> Provider:
    return Extractive()


async def _warm(shell: Shell, route: Route) -> None:
    turn = Message(role="user", content="-")
    try:
        await shell.warm(
            Call("warm-up", Request(prompt="-"), (turn,), route, 1, stream=False, input_tokens=1)
        )
    except ProviderError as error:
        _log.warning("%s: no connection yet: %s", route.name, error.reason)
