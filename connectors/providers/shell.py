"""The shell that moves the bytes of every codec.

Rules that hold here:
- No byte leaves without the gate's yes, asked when the connection stands.
- Nothing is read from the socket while the sink waits, beyond one read buffer.
- Whatever ends a call early, cancellation too, closes its connection.
- Every failure leaves as a `ProviderError`; what the sink raises passes through.
"""

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
from types import NoneType
from typing import ParamSpec, TypeVar

import aiohttp

from connectors.providers.body import Body, why
from connectors.providers.errors import conceal
from connectors.providers.pool import GATE, client_timeout, open_session
from connectors.providers.wire import Codec, Gate, PieceSink, StreamDecoder
from schemas.calls import (
    Answer,
    Call,
    HttpRequest,
    Malformed,
    Missing,
    Piece,
    ProviderError,
    Timeouts,
    Unavailable,
)

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest answer that is read."""
MAX_ERROR_BYTES = 64 * 1024
"""How much is read of a reply that is an error."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class HttpProvider:
    """A codec and its connections to one server. Lives on one event loop."""

    def __init__(
        self, codec: Codec, *, max_connections: int = 4096, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._codec = codec
        self._max_connections = max_connections
        self._max_answer_bytes = max_answer_bytes
        self._session: aiohttp.ClientSession | None = None

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call; pure.

        Raises:
            Refused: When the provider can't honour a parameter; the reason names it.
            Missing: When the route has no address.
        """
        return self._codec.encode(call)

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Gate
    ) -> Answer:
        """Send a call and read its answer; pieces go to `sink` one by one where `call.stream`.

        Raises:
            ProviderError: One of its leaves.
        """
        total = asyncio.timeout(call.route.timeouts.total_s)
        mark = GATE.set(gate)
        try:
            async with total:
                return await self._exchange(call, request or self.encode(call), sink)
        except ProviderError as error:
            conceal(error, call.route.api_key, _texts(call))
            raise
        except TimeoutError as error:
            if not total.expired():
                raise
            raise Unavailable(f"no whole answer within {call.route.timeouts.total_s:g} s") from error
        finally:
            GATE.reset(mark)

    async def close(self) -> None:
        """End all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, call: Call, request: HttpRequest, sink: PieceSink | None) -> Answer:
        response = await self._send(call.route.timeouts, request)
        try:
            good = 200 <= response.status < 300
            body = Body(response, call.route.timeouts, self._max_answer_bytes if good else MAX_ERROR_BYTES)
            streams = call.stream and good
            if streams and self._codec.streams(response.headers.get("content-type", "")):
                return await self._stream(body, sink)
            answer = await self._whole(body, good)
            if streams and sink is not None and (answer.text or answer.tool_calls or answer.reasoning):
                await sink(_as_piece(answer))
            return answer
        finally:
            # After the last byte the connection is back in the pool already, and this does nothing.
            response.close()

    async def _send(self, timeouts: Timeouts, request: HttpRequest) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = open_session(self._max_connections, timeouts.connect_s)
        try:
            return await self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=client_timeout(timeouts),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise Unavailable(f"connect timed out after {timeouts.connect_s:g} s") from error
        except aiohttp.ServerTimeoutError as error:
            raise Unavailable(f"no first byte within {timeouts.first_byte_s:g} s") from error
        except (ValueError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            # aiohttp's word for an address or a header that can't be sent; its text may hold the key.
            raise Missing("the address or a header can't be sent: check api_base and api_key") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(why(error)) from error

    async def _whole(self, body: Body, good: bool) -> Answer:
        parts: list[bytes] = []
        try:
            while data := await body.next():
                parts.append(data)
        except (Malformed, Unavailable):
            # Of an error the status says enough.
            if good:
                raise
        text = parts[0] if len(parts) == 1 else b"".join(parts)
        headers: Mapping[str, str] = body.response.headers
        if not good and "date" not in headers:
            headers = {name.lower(): value for name, value in headers.items()}
            headers["date"] = formatdate(usegmt=True)
        return _checked(_read(text, self._codec.decode, body.response.status, headers, text), text)

    async def _stream(self, body: Body, sink: PieceSink | None) -> Answer:
        decoder = self._codec.decoder()
        data = b""
        try:
            while not decoder.done and (data := await body.next()):
                await _hand_on(decoder, data, sink)
        except Unavailable as error:
            # Where the end was cut behind a whole answer, it is paid for and counts.
            return _finish_after(error, decoder)
        await _hand_on(decoder, b"", sink)
        answer = _checked(_read(data, decoder.finish), data)
        await body.end()
        return answer


async def _hand_on(decoder: StreamDecoder, data: bytes, sink: PieceSink | None) -> None:
    pieces = _read(data, decoder.feed, data)
    if sink is not None:
        for piece in pieces:
            await sink(piece)


def _finish_after(error: Unavailable, decoder: StreamDecoder) -> Answer:
    try:
        return _checked(_read(b"", decoder.finish), b"")
    except ProviderError:
        raise error from error.__cause__


def _read(body: bytes, read: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Let a codec read what a server sent; where that breaks the codec, the answer is `Malformed`."""
    try:
        return read(*args, **kwargs)
    except ProviderError:
        raise
    except Exception as error:  # An answer must not stop the worker, whatever the codec's fault.
        raise Malformed(f"the answer can't be read: {type(error).__name__}", body=body) from error


def _checked(answer: Answer, body: bytes) -> Answer:
    """The answer, where its parts are what they should be: a response is made from it without a look."""
    parts: list[tuple[object, tuple[type, ...]]] = [
        (answer.text, (str,)),
        (answer.model, (str, NoneType)),
        (answer.usage_raw, (dict, NoneType)),
        (answer.provider_content, (dict, NoneType)),
        (answer.logprobs, (dict, NoneType)),
        (answer.reasoning, (str,)),
        (answer.finish_reason_raw, (str, NoneType)),
        *((call, (dict,)) for call in answer.tool_calls),
    ]
    if not all(isinstance(part, kind) for part, kind in parts):
        raise Malformed("the answer has a field of a wrong type", status=answer.status, body=body)
    return answer


def _as_piece(answer: Answer) -> Piece:
    deltas = tuple({"index": place, **call} for place, call in enumerate(answer.tool_calls))
    probable = (answer.logprobs or {}).get("content") or ()
    return Piece(answer.text, deltas, answer.reasoning, tuple(probable))


def _texts(call: Call) -> list[str]:
    """What was sent of the prompt, turn by turn."""
    texts: list[str] = []
    for message in call.messages:
        if isinstance(message.content, str):
            texts.append(message.content)
        else:
            texts += [str(part["text"]) for part in message.content or () if part.get("text")]
    return texts
