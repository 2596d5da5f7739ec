"""`client: sdk` for Ollama: the client of the official SDK moves the bytes that our codec made.

Without a key of the route the SDK's own holds (`OLLAMA_API_KEY`). Its retries are off: it has none.
"""

from typing import Any

import httpx
import ollama

from connectors.providers.pool import KEEPALIVE_S, Way
from connectors.providers.sdk_httpx import (
    SENDING,
    Counted,
    CountedReply,
    GateBrokeError,
    as_failure,
    ask_gate,
    check_address,
    client_settings,
    phases,
)
from connectors.providers.wire import Gate
from schemas.calls import HttpRequest, ProviderError, Route

ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeEncodeError)
"""What a client of httpx raises."""


class OllamaTransport(Counted):
    """The SDK's client and its pool. Lives on one event loop."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._sdk: ollama.AsyncClient | None = None

    async def send(self, route: Route, request: HttpRequest, gate: Gate, max_bytes: int) -> CountedReply:
        """Send a request and wait for the head of its reply.

        Raises:
            Unavailable: When the gate says no, or no reply came.
            Missing: When the address, a header or a file for TLS can't be used.
        """
        check_address(request.url)
        client = self._open(request.url)
        mark = SENDING.set((gate, route.timeouts))
        self.begin()
        try:
            built = client.build_request(
                request.method,
                request.url,
                content=request.body,
                headers=dict(request.headers),
                timeout=httpx.Timeout(**phases(route.timeouts)),
            )
            response = await client.send(built, stream=True)
        except BaseException as error:
            self.over()
            if isinstance(error, (*ERRORS, GateBrokeError, ProviderError)):
                raise as_failure(error, route.timeouts) from error
            raise
        finally:
            SENDING.reset(mark)
        return CountedReply(response, route.timeouts, max_bytes, self, ERRORS)

    async def close(self) -> None:
        """End all connections."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    def _open(self, url: str) -> httpx.AsyncClient:
        if self._sdk is None:
            most = self._way.max_connections
            settings: dict[str, Any] = client_settings(self._way, url)
            self._sdk = ollama.AsyncClient(
                host=url,
                limits=httpx.Limits(
                    max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEPALIVE_S
                ),
                event_hooks={"request": [ask_gate]},
                **settings,
            )
        return self._sdk._client  # pyright: ignore[reportPrivateUsage] (the SDK's own requests take no bytes)
