"""Asks a provider how many input tokens a call has, through its official SDK; nothing is generated or paid.

The question is the codec's own bytes, which are those of the SDK (`messages.count_tokens`, `count_tokens`),
and the SDK's client posts them. Answers are kept by the hash of what was asked. What fails is `None`: the
caller has its own upper bound.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Protocol

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.gemini import GeminiCodec
from connectors.providers.keys import Keys
from connectors.providers.pool import Way, way_of
from connectors.providers.sdks import open_sdk
from connectors.providers.transport import Transport
from schemas.calls import Call, HttpRequest, ProviderError

_log = logging.getLogger(__name__)

TIMEOUT_S = 3.0
"""Longest wait for a count."""
MAX_KEPT = 4096
"""Counts that are kept: the newest."""
MAX_REPLY_BYTES = 64 * 1024
"""Longest reply that is read."""


class CountCodec(Protocol):
    """The counting part of a codec."""

    def encode_count(self, call: Call) -> HttpRequest:
        """The bytes of the question."""
        ...

    def decode_count(self, status: int, headers: Mapping[str, str], body: bytes) -> int:
        """The number in the reply."""
        ...


CODECS: dict[str, CountCodec] = {"anthropic": AnthropicCodec(), "gemini": GeminiCodec()}


class Counts:
    """The questions and their answers. Lives on one event loop."""

    def __init__(
        self,
        timeout_s: float = TIMEOUT_S,
        kept: int = MAX_KEPT,
        sdk: Callable[[str, Way], Transport] = open_sdk,
    ) -> None:
        self._timeout_s, self._most, self._sdk = timeout_s, kept, sdk
        self._keys = Keys()
        self._transports: dict[tuple[str, Way], Transport] = {}
        self._kept: OrderedDict[bytes, int] = OrderedDict()
        self.asked = 0
        """Questions that were sent."""
        self.failed = 0
        """Those of them that had no answer in time."""

    async def count(self, call: Call) -> int | None:
        """The input tokens of a call by its provider's own count; `None` where it can't be had in time."""
        codec = CODECS.get(call.route.provider)
        if codec is None:
            return None
        try:
            request = codec.encode_count(self._keys.keyed(call))
        except ProviderError:
            return None  # the call itself will say what is wrong
        asked = b"\0".join((call.route.name.encode(), request.url.encode(), request.body))
        key = blake2b(asked, digest_size=16).digest()
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return known
        self.asked += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._ask(call, codec, request)
        except (ProviderError, TimeoutError) as error:
            self.failed += 1
            reason = error.reason if isinstance(error, ProviderError) else "no answer in time"
            _log.info("%s did not count a call: %s", call.route.name, reason[:200])
            return None
        self._kept[key] = found
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return found

    async def close(self) -> None:
        """End all connections."""
        for transport in self._transports.values():
            await transport.close()

    async def _ask(self, call: Call, codec: CountCodec, request: HttpRequest) -> int:
        transport = await self._transport(call)
        reply = await transport.send(call.route, request, _always, MAX_REPLY_BYTES)
        parts: list[bytes] = []
        try:
            while data := await reply.next():
                parts.append(data)
            await reply.end()
        finally:
            await reply.close()
        return codec.decode_count(reply.status, reply.headers, b"".join(parts))

    async def _transport(self, call: Call) -> Transport:
        place = (call.route.provider, way_of(call.route))
        found = self._transports.get(place)
        if found is None:
            # An SDK takes a second to import.
            made = await asyncio.to_thread(self._sdk, *place)
            found = self._transports.setdefault(place, made)
        return found


def _always() -> bool:
    return True
