"""Posts small bodies on a pool's connections, as aiohttp's session does, with a fifth of its calls.

The session makes each request of its parts, looks through settings that we never use, and writes the body
from a task of its own. Here what is the same for all requests to an address is made once, and head and body
leave in one write. Pool, parser and response are aiohttp's.

Takes `_serialize_headers` of aiohttp's writer.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ClientRequest, ConnectionKey, RequestInfo
from aiohttp.helpers import TimerNoop
from aiohttp.http_writer import _serialize_headers  # pyright: ignore[reportPrivateUsage] (see above)
from multidict import CIMultiDict
from yarl import URL

from connectors.providers.pool import OUR_HEADERS, GatedConnector, client_timeout
from schemas.calls import HttpRequest, Timeouts

SMALL_BYTES = 32 * 1024
"""A larger body may have to wait for the socket, which the session does."""
MAX_PREPARED = 64
"""Addresses with their headers that are remembered; a pool has one server, so few."""


class _Prepared(ClientRequest):
    """What all requests to one address with the same headers have in common."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        address = URL(url)
        if address.scheme not in ("http", "https"):
            raise aiohttp.NonHttpUrlClientError(url)
        ours = CIMultiDict(OUR_HEADERS)
        ours.update(headers)
        super().__init__("POST", address, headers=ours, data=b".")
        del self.headers[hdrs.CONTENT_LENGTH]
        line = f"POST {self.url.raw_path_qs} HTTP/1.1"
        self.head = _serialize_headers(line, self.headers).removesuffix(b"\r\n")
        self.info: RequestInfo = super().request_info
        self._key = super().connection_key

    @property
    def connection_key(self) -> ConnectionKey:
        return self._key


class _Sent:
    """What a response wants to know of a request that has left."""

    output_size = 0


class Poster:
    """Posts on one pool. Lives on its event loop."""

    def __init__(self, connector: GatedConnector) -> None:
        self._connector = connector
        self._loop = asyncio.get_running_loop()
        self._timer = TimerNoop()
        self._prepared: dict[tuple[str, tuple[tuple[str, str], ...]], _Prepared] = {}

    async def post(self, request: HttpRequest, timeouts: Timeouts) -> aiohttp.ClientResponse:
        """Send a request, which is a POST with a small body, and wait for the head of its reply.

        Raises:
            ValueError: When the address or a header can't be sent.
            ClientError: As aiohttp's session does.
            Unavailable: When the gate says no.
        """
        prepared, timeout = self._prepare(request), client_timeout(timeouts)
        try:
            connection = await self._connector.connect(prepared, [], timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error
        try:
            protocol = connection.protocol
            transport = None if protocol is None else protocol.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
            protocol.set_response_params(
                timer=self._timer, read_until_eof=True, read_timeout=timeout.sock_read
            )
            transport.write(
                b"%bContent-Length: %d\r\n\r\n%b" % (prepared.head, len(request.body), request.body)
            )
            protocol.start_timeout()
            response = self._response(prepared)
            try:
                return await response.start(connection)
            except BaseException:
                response.close()
                raise
        except BaseException:
            connection.close()
            raise

    def _prepare(self, request: HttpRequest) -> _Prepared:
        key = request.url, tuple(request.headers.items())
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= MAX_PREPARED:
                self._prepared.clear()
            prepared = self._prepared[key] = _Prepared(request.url, request.headers)
        return prepared

    def _response(self, prepared: _Prepared) -> aiohttp.ClientResponse:
        return aiohttp.ClientResponse(
            "POST",
            prepared.url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=prepared.info,
            traces=[],
            loop=self._loop,
            session=cast(Any, None),
            stream_writer=cast(Any, _Sent),
        )


def can_post(request: HttpRequest) -> bool:
    """Whether a request is one for a `Poster`: any other is the session's."""
    return request.method == "POST" and len(request.body) <= SMALL_BYTES and "@" not in request.url
