"""The official SDKs by provider. Each is imported by the first route that wants it: that takes a second."""

from importlib import import_module

from connectors.providers.pool import Way, way_of
from connectors.providers.transport import Transport
from schemas.calls import Route

_SDKS = {
    "anthropic": "connectors.providers.sdk_anthropic:AnthropicTransport",
    "gemini": "connectors.providers.sdk_gemini:GeminiTransport",
    "ollama": "connectors.providers.sdk_ollama:OllamaTransport",
    "ollama_chat": "connectors.providers.sdk_ollama:OllamaTransport",
}


def sdk_transport(route: Route) -> Transport:
    """What moves the bytes of a route with `client: sdk`.

    Raises:
        KeyError: When its provider has no SDK.
    """
    return open_sdk(route.provider, way_of(route))


def open_sdk(provider: str, way: Way) -> Transport:
    """The same by the provider's name.

    Raises:
        KeyError: When it has no SDK.
    """
    module, _, name = _SDKS[provider].partition(":")
    made: Transport = getattr(import_module(module), name)(way)
    return made
