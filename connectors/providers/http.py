"""Weir's own connections: one aiohttp pool for each server."""

import aiohttp

from connectors.providers.body import Body, why
from connectors.providers.pool import (
    GATE,
    GatedConnector,
    Way,
    client_timeout,
    open_connector,
    open_session,
    proxy_for,
)
from connectors.providers.posting import Poster, can_post
from connectors.providers.transport import MAX_ERROR_BYTES, Connections
from connectors.providers.wire import Gate
from schemas.calls import HttpRequest, Missing, Route, Unavailable


class HttpTransport:
    """A pool and its session, opened by the first call. Lives on one event loop."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._connector: GatedConnector | None = None
        self._session: aiohttp.ClientSession | None = None
        self._poster: Poster | None = None

    async def send(self, route: Route, request: HttpRequest, gate: Gate, max_bytes: int) -> Body:
        """Send a request and wait for the head of its reply.

        Raises:
            Unavailable: When the gate says no, or no reply came.
            Missing: When the address, a header or a file for TLS can't be used.
        """
        mark = GATE.set(gate)
        try:
            response = await self._request(route, request)
        finally:
            GATE.reset(mark)
        good = 200 <= response.status < 300
        return Body(response, route.timeouts, max_bytes if good else MAX_ERROR_BYTES)

    async def warm(self, route: Route, request: HttpRequest) -> None:
        """Open one connection and leave it to the pool: the gate stands behind it, and says no.

        Raises:
            ProviderError: When none comes.
        """
        asked = False

        def stop() -> bool:
            nonlocal asked
            asked = True
            return False

        try:
            await self.send(route, request, stop, 0)
        except Unavailable:
            if not asked:
                raise

    def connections(self) -> Connections:
        """The connections now; from any thread."""
        connector = self._connector
        return Connections() if connector is None else connector.counts()

    async def close(self) -> None:
        """End all connections."""
        session, self._session, self._connector, self._poster = self._session, None, None, None
        if session is not None:
            await session.close()

    def _open(self, connect_s: float) -> aiohttp.ClientSession:
        self._connector = open_connector(self._way, connect_s)
        self._session = open_session(self._connector)
        self._poster = Poster(self._connector) if self._way.proxy is None else None
        return self._session

    async def _request(self, route: Route, request: HttpRequest) -> aiohttp.ClientResponse:
        timeouts = route.timeouts
        try:
            session = self._session or self._open(timeouts.connect_s)
            if self._poster is not None and can_post(request):
                return await self._poster.post(request, timeouts)
            return await session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=client_timeout(timeouts),
                proxy=None if self._way.proxy is None else proxy_for(self._way, request.url),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise Unavailable(f"connect timed out after {timeouts.connect_s:g} s") from error
        except aiohttp.ServerTimeoutError as error:
            raise Unavailable(f"no first byte within {timeouts.first_byte_s:g} s") from error
        except aiohttp.ClientConnectorError as error:  # one of them is a ValueError too
            raise Unavailable(why(error)) from error
        except (ValueError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            # aiohttp's word for an address or a header that can't be sent; its text may hold the key.
            raise Missing("the address or a header can't be sent: check api_base and api_key") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(why(error)) from error
