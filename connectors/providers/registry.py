"""Finds the provider of a route. A new codec is one line here, or one `register` elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from connectors.providers.extractive import Extractive
from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from connectors.providers.shell import MAX_ANSWER_BYTES, HttpProvider
from connectors.providers.wire import Codec, Provider
from schemas.calls import Route

Factory: TypeAlias = Callable[[Route], Provider]
"""Makes the provider of a route; routes of one server and one limit on connections share what it made."""

OPENAI_BASES: dict[str, str | None] = {
    "openai": "https://api.openai.com/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
    "localai": "http://127.0.0.1:8080/v1",
    "hosted_vllm": None,
    "openai_like": None,
    "custom_openai": None,
}
"""Servers that speak OpenAI's format, and where they are unless the route says it; `None`: it must."""


class Registry:
    """The table of providers, and those that are in use. Lives on one event loop."""

    def __init__(self, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._max_answer_bytes = max_answer_bytes
        self._factories: dict[str, Factory] = {"extractive": _embedded}
        self._used: dict[tuple[str, str | None, int], Provider] = {}
        for name, base in OPENAI_BASES.items():
            self.register_codec(name, OpenAICodec(base))
        for name in ("ollama", "ollama_chat"):
            self.register_codec(name, OllamaCodec())

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
        place = (route.provider, route.api_base, route.max_connections)
        found = self._used.get(place)
        if found is None:
            found = self._used[place] = self._factories[route.provider](route)
        return found

    async def close(self) -> None:
        """End all connections of all providers."""
        used, self._used = list(self._used.values()), {}
        for provider in used:
            await provider.close()

    def _over_http(self, codec: Codec, route: Route) -> Provider:
        return HttpProvider(
            codec, max_connections=route.max_connections, max_answer_bytes=self._max_answer_bytes
        )


def _embedded(_route: Route) -> Provider:
    return Extractive()
