"""`client: sdk` for Claude: the official SDK posts the bytes that our codec made.

Without a key of the route the SDK looks for one in its own ways: ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, a
profile, workload identity. Its retries are off.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
from anthropic import Omit

from connectors.providers.pool import KEEPALIVE_S, Way
from connectors.providers.sdk_httpx import (
    SENDING,
    Counted,
    CountedReply,
    as_failure,
    ask_gate,
    check_address,
    client_settings,
    phases,
)
from connectors.providers.transport import MAX_ERROR_BYTES
from connectors.providers.wire import Gate
from schemas.calls import HttpRequest, Missing, ProviderError, Route

ERRORS = (
    anthropic.AnthropicError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    UnicodeEncodeError,
)
"""What the SDK and its httpx raise."""

_KEYS = ("x-api-key", "authorization")
_UNREAD = {"X-Stainless-Raw-Response": "stream"}
"""The SDK's own mark of a response that it leaves unread."""


class AnthropicTransport(Counted):
    """The SDK's client and its pool: one for calls with a key of ours, one for the SDK's ways to find one."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._clients: dict[bool, anthropic.AsyncAnthropic] = {}

    async def send(self, route: Route, request: HttpRequest, gate: Gate, max_bytes: int) -> CountedReply:
        """Send a request and wait for the head of its reply.

        Raises:
            Unavailable: When the gate says no, or no reply came.
            Missing: When there is no key, or the address, a header or a file for TLS can't be used.
        """
        check_address(request.url)
        mark = SENDING.set((gate, route.timeouts))
        self.begin()
        try:
            response = await self._post(route, request)
        except BaseException as error:
            self.over()
            if isinstance(error, TypeError) and "authentication" in str(error):
                raise Missing("there is no key, and the SDK found none") from error
            if isinstance(error, (*ERRORS, ProviderError)):
                raise as_failure(error, route.timeouts) from error
            raise
        finally:
            SENDING.reset(mark)
        return CountedReply(response, route.timeouts, max_bytes, self, ERRORS)

    async def close(self) -> None:
        """End all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()

    async def _post(self, route: Route, request: HttpRequest) -> httpx2.Response:
        keyed = any(name in request.headers for name in _KEYS)
        headers: dict[str, str | Omit] = {**request.headers, **_UNREAD}
        if keyed and "authorization" not in request.headers:
            headers["Authorization"] = Omit()
        try:
            return await self._client(keyed, request.url).post(
                request.url,
                cast_to=httpx2.Response,
                content=request.body,
                options={"headers": headers, "timeout": httpx2.Timeout(**phases(route.timeouts))},
            )
        except anthropic.APIStatusError as error:
            return error.response

    def _client(self, keyed: bool, url: str) -> anthropic.AsyncAnthropic:
        client = self._clients.get(keyed)
        if client is None:
            most = self._way.max_connections
            settings: dict[str, Any] = client_settings(self._way, url)
            # Not the SDK's own default: that one follows the environment's proxies, asked or not.
            http_client = httpx2.AsyncClient(
                limits=httpx2.Limits(
                    max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEPALIVE_S
                ),
                event_hooks={"request": [ask_gate], "response": [_bound_error]},
                **settings,
            )
            # With a key of its own the SDK doesn't look at the environment; ours goes in the headers.
            client = self._clients[keyed] = anthropic.AsyncAnthropic(
                api_key="in-the-headers" if keyed else None, max_retries=0, http_client=http_client
            )
        return client


class _Bounded(httpx2.AsyncByteStream):
    """The beginning of an error's body; the SDK reads it to the end before it raises."""

    def __init__(self, stream: httpx2.AsyncByteStream, wait_s: float) -> None:
        self._stream = stream
        self._wait_s = wait_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_ERROR_BYTES
        parts = aiter(self._stream)
        while left > 0:
            try:
                async with asyncio.timeout(self._wait_s):
                    part = await anext(parts, b"")
            except (httpx2.TransportError, TimeoutError):
                return  # of an error the status says enough
            if not part:
                return
            yield part[:left]
            left -= len(part)

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound_error(response: httpx2.Response) -> None:
    if not response.is_success and isinstance(response.stream, httpx2.AsyncByteStream):
        _, timeouts = SENDING.get()
        response.stream = _Bounded(response.stream, timeouts.between_bytes_s)
