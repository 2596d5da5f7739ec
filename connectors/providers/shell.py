"""The shell that moves the bytes of every codec.

Rules that hold here:
- No byte leaves without the gate's yes, asked when the connection stands.
- Nothing is read from the socket while the sink waits, beyond one read buffer.
- Whatever ends a call early, cancellation too, closes its connection.
- Every failure leaves as a `ProviderError`; what the sink raises passes through.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import ParamSpec, TypeVar

from connectors.providers.deadlines import Deadlines
from connectors.providers.errors import conceal
from connectors.providers.http import HttpTransport
from connectors.providers.keys import Keys
from connectors.providers.limits import rate_limits
from connectors.providers.pool import Way
from connectors.providers.transport import Connections, Reply, Transport
from connectors.providers.wire import Codec, Gate, PieceSink, StreamDecoder
from schemas.calls import Answer, Call, HttpRequest, Malformed, Missing, Piece, ProviderError, Unavailable
from schemas.requests import entries

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest answer that is read."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Shell:
    """A codec and what moves its bytes. Lives on one event loop; `encode` may run on another thread."""

    def __init__(
        self, codec: Codec, transport: Transport, *, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._codec = codec
        self._transport = transport
        self._max_answer_bytes = max_answer_bytes
        self._keys = Keys()
        self._deadlines = Deadlines()

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call; pure but for the file that the route's key may stand in.

        Raises:
            Refused: When the provider can't honour a parameter; the reason names it.
            Missing: When the route has no address, or no key where it should.
        """
        return self._codec.encode(self._keys.keyed(call))

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Gate
    ) -> Answer:
        """Send a call and read its answer; pieces go to `sink` one by one where `call.stream`.

        Raises:
            ProviderError: One of its leaves.
        """
        limit = self._deadlines.start(call.route.timeouts.total_s)
        try:
            return _fitting(call, await self._keyed(call, request or self.encode(call), sink, gate))
        except ProviderError as error:
            for key in self._keys.secrets(call.route):
                conceal(error, key, ())
            conceal(error, None, _texts(call))
            raise
        except asyncio.CancelledError as error:
            if not limit.ran_out():
                raise
            raise Unavailable(f"no whole answer within {call.route.timeouts.total_s:g} s") from error
        finally:
            limit.end()

    async def warm(self, call: Call) -> None:
        """Open a connection to where the call would go, and send nothing.

        Raises:
            ProviderError: When that fails.
        """
        await self._transport.warm(call.route, self.encode(call))

    def connections(self) -> Connections:
        """The connections now; from any thread."""
        return self._transport.connections()

    async def close(self) -> None:
        """End all connections."""
        self._deadlines.close()
        await self._transport.close()

    async def _keyed(self, call: Call, request: HttpRequest, sink: PieceSink | None, gate: Gate) -> Answer:
        """Once more where the key was rotated since the request was made: a 401 costs nothing."""
        try:
            return await self._exchange(call, request, sink, gate)
        except Missing as error:
            if error.status not in (401, 403) or call.route.api_key_file is None:
                raise
            self._keys.doubt(call.route)
            again = self.encode(call)
            if again.headers == request.headers:
                raise
        return await self._exchange(call, again, sink, gate)

    async def _exchange(self, call: Call, request: HttpRequest, sink: PieceSink | None, gate: Gate) -> Answer:
        reply = await self._transport.send(call.route, request, gate, self._max_answer_bytes)
        try:
            streams = call.stream and 200 <= reply.status < 300
            if streams and self._codec.streams(reply.headers.get("content-type", "")):
                return await self._stream(reply, sink)
            answer = await self._whole(reply)
            if streams and sink is not None and (answer.text or answer.tool_calls or answer.reasoning):
                await sink(_as_piece(answer))
            return answer
        finally:
            await reply.close()

    async def _whole(self, reply: Reply) -> Answer:
        good = 200 <= reply.status < 300
        parts: list[bytes] = []
        try:
            while data := await reply.next():
                parts.append(data)
        except (Malformed, Unavailable):
            # Of an error the status says enough.
            if good:
                raise
        text = parts[0] if len(parts) == 1 else b"".join(parts)
        headers: Mapping[str, str] = reply.headers
        if not good and "date" not in headers:
            headers = {name.lower(): value for name, value in headers.items()}
            headers["date"] = formatdate(usegmt=True)
        return _read(text, self._codec.decode, reply.status, headers, text)

    async def _stream(self, reply: Reply, sink: PieceSink | None) -> Answer:
        decoder = self._codec.decoder()
        data, begun = b"", False
        try:
            while not decoder.done and (data := await reply.next(begun)):
                pieces = _read(data, decoder.feed, data)
                begun = begun or bool(pieces)
                if sink is not None:
                    for piece in pieces:
                        await sink(piece)
        except Unavailable as error:
            # Where the end was cut behind a whole answer, it is paid for and counts.
            return _limited(_finish_after(error, decoder), reply)
        for piece in _read(b"", decoder.feed, b""):
            if sink is not None:
                await sink(piece)
        answer = _read(data, decoder.finish)
        await reply.end()
        return _limited(answer, reply)


class HttpProvider(Shell):
    """A codec over Weir's own connections."""

    def __init__(
        self,
        codec: Codec,
        *,
        max_connections: int = 4096,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        way: Way | None = None,
    ) -> None:
        transport = HttpTransport(way or Way(max_connections))
        super().__init__(codec, transport, max_answer_bytes=max_answer_bytes)


def _limited(answer: Answer, reply: Reply) -> Answer:
    """The answer of a stream, with the limits that stood in its head: a stream's decoder sees no headers."""
    limits = rate_limits(reply.headers)
    return replace(answer, limits=limits) if limits else answer


def _finish_after(error: Unavailable, decoder: StreamDecoder) -> Answer:
    try:
        return _read(b"", decoder.finish)
    except ProviderError:
        raise error from error.__cause__


def _read(body: bytes, read: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Let a codec read what a server sent. Each guards its own door; one that doesn't harms no worker."""
    try:
        return read(*args, **kwargs)
    except ProviderError:
        raise
    except Exception as error:  # An answer must not stop the worker, whatever the codec's fault.
        raise Malformed(f"the answer can't be read: {type(error).__name__}", body=body) from error


def _fitting(call: Call, answer: Answer) -> Answer:
    """The answer, where it has a vector for each text that one was wanted of."""
    given = call.request.input
    if given is not None and len(answer.embeddings or ()) != len(entries(given)):
        raise Malformed("the answer doesn't have a vector for each entry of `input`", status=answer.status)
    return answer


def _as_piece(answer: Answer) -> Piece:
    deltas = tuple({"index": place, **call} for place, call in enumerate(answer.tool_calls))
    probable = (answer.logprobs or {}).get("content") or ()
    return Piece(answer.text, deltas, answer.reasoning, tuple(probable))


def _texts(call: Call) -> list[str]:
    """What was sent of the prompt, turn by turn."""
    texts: list[str] = []
    if call.request.input is not None:
        texts += [entry for entry in entries(call.request.input) if isinstance(entry, str)]
    for message in call.messages:
        if isinstance(message.content, str):
            texts.append(message.content)
        else:
            texts += [str(part["text"]) for part in message.content or () if part.get("text")]
    return texts
