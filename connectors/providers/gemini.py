"""The wire format of Gemini's generateContent, whole and as server-sent events. Pure.

Source: https://ai.google.dev/api/generate-content. The key goes in a header, never in the URL. Only the first
candidate is read.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import quote

from connectors.providers.gemini_answer import Reading
from connectors.providers.gemini_body import body
from connectors.providers.gemini_embed import EMBED, embed_body, embedded_answer
from connectors.providers.gemini_errors import error_in, error_of, error_of_reply
from connectors.providers.soundness import UNREADABLE, checked, unreadable
from connectors.providers.wire import Events, address, call_headers, read_json, read_object, to_json
from schemas.base import JsonObject
from schemas.calls import Answer, Call, HttpRequest, Malformed, Piece, Unavailable

BASE = "https://generativelanguage.googleapis.com"
"""Where the API is, unless the route says it."""
VERSION = "v1beta"
"""Version of the API, unless the route's base names one."""
MAX_STRAY_BYTES = 64 * 1024
"""How much is kept of a stream's lines that are no events: an error may stand there."""

_VERSIONED = re.compile(r"/v\d+\w*/?$")


class GeminiCodec:
    """`generateContent` and `streamGenerateContent` of the Gemini API."""

    def __init__(self, base: str = BASE) -> None:
        self._base = base

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call.

        Raises:
            Refused: When Gemini lacks a parameter; the reason names it.
        """
        if call.request.input is not None:
            wish = to_json(embed_body(call, _model(call)))
            return HttpRequest("POST", self._url(call, EMBED), _headers(call), wish)
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return HttpRequest("POST", self._url(call, method), _headers(call), to_json(body(call)))

    def encode_count(self, call: Call) -> HttpRequest:
        """The bytes of the question how many input tokens a call has; `decode_count` reads the answer.

        Raises:
            Refused: When Gemini lacks a parameter; the reason names it.
        """
        asked = {"generateContentRequest": {"model": _model(call), **body(call)}}
        return HttpRequest("POST", self._url(call, "countTokens"), _headers(call), to_json(asked))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply, also one that came as a list of its pieces.

        Raises:
            ProviderError: By the error, or `Malformed` where a good status has no answer.
        """
        if not 200 <= status < 300:
            raise error_of_reply(status, headers, body)
        reading = Reading()
        try:
            events = _events(body, status)
            if "embeddings" in events[0]:
                return checked(embedded_answer(events[0], status), body)
            for event in events:
                reading.add(event)
            return checked(reading.answer(), body)
        except UNREADABLE as error:
            raise unreadable(error, body) from error

    def decode_count(self, status: int, headers: Mapping[str, str], body: bytes) -> int:
        """Read how many input tokens a call has.

        Raises:
            ProviderError: By the error, or `Malformed` where a good status has no number.
        """
        if not 200 <= status < 300:
            raise error_of_reply(status, headers, body)
        found = read_object(body, status).get("totalTokens")
        if not isinstance(found, int):
            raise Malformed("the answer has no `totalTokens`", status=status, body=body)
        return found

    def decoder(self) -> "GeminiStream":
        """A reader of one streamed answer."""
        return GeminiStream()

    def streams(self, content_type: str) -> bool:
        """Events have a type of their own; a JSON value or a page is no stream."""
        return not content_type.startswith(("application/json", "text/html"))

    def _url(self, call: Call, method: str) -> str:
        base = call.route.api_base or self._base
        version = "" if _VERSIONED.search(base) else f"/{VERSION}"
        return address(call, self._base, f"{version}/{_model(call)}:{method}")


class GeminiStream:
    """Reads server-sent events. Its fields are its whole state."""

    __slots__ = ("_events", "_reading", "_stray", "_stray_bytes", "done")

    def __init__(self) -> None:
        self.done = False
        self._events = Events(self._keep_stray)
        self._stray: list[bytes] = []
        self._stray_bytes = 0
        self._reading = Reading()

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes complete, as at most one piece; empty bytes end it.

        Raises:
            ProviderError: When the server reports an error in mid-stream, or sends what we can't read.
        """
        mark = self._reading.mark()
        try:
            if data:
                self._take(self._events.feed(data))
            else:
                self._end()
            return self._reading.since(mark)
        except UNREADABLE as error:
            raise unreadable(error, data) from error

    def finish(self) -> Answer:
        """The answer of all that was fed.

        Raises:
            Unavailable: When no finish reason came, or one that is no answer.
            Malformed: When no candidate came at all.
        """
        if self._reading.finish_reason is None:
            raise Unavailable("the stream was cut")
        try:
            return checked(self._reading.answer(), b"")
        except UNREADABLE as error:
            raise unreadable(error, b"") from error

    def _end(self) -> None:
        # What was cut in its middle is dropped: `finish` knows whether enough came.
        with suppress(Malformed):
            self._take(self._events.feed(b""))
        self._look_for_error()

    def _take(self, events: list[bytes]) -> None:
        for event in events:
            self.done = self._reading.add(read_object(event)) or self.done

    def _keep_stray(self, line: bytes) -> None:
        if self._stray_bytes < MAX_STRAY_BYTES:
            self._stray_bytes += len(line)
            self._stray.append(line[:MAX_STRAY_BYTES])

    def _look_for_error(self) -> None:
        """An error in mid-stream comes as bare JSON, not as an event."""
        if self._stray and self._reading.finish_reason is None:
            found = error_in(b"\n".join(self._stray))
            if found is not None:
                raise error_of(found)


def _model(call: Call) -> str:
    """The model's resource name: `models/...`, or the one that the route has, such as `tunedModels/...`."""
    name = quote(call.route.model, safe="/:@")
    return name if "/" in name else f"models/{name}"


def _headers(call: Call) -> dict[str, str]:
    made = call_headers(call)
    if call.route.api_key:
        key = call.route.api_key.strip()
        if made.get("authorization") == f"Bearer {key}":
            del made["authorization"]
        made.setdefault("x-goog-api-key", key)
    return made


def _events(body: bytes, status: int) -> list[JsonObject]:
    """The responses in a body: one, or a list of them."""
    if not body.lstrip().startswith(b"["):
        return [read_object(body, status)]
    found = read_json(body, status)
    if not isinstance(found, list) or not found or not all(isinstance(event, dict) for event in found):
        raise Malformed("the answer is not a JSON object", status=status, body=body)
    return found
