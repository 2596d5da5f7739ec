"""What codecs share: the seam to the shell, JSON in and out, lines of a stream. Pure.

A codec knows one wire format and does no I/O; the shell in `shell.py` moves the bytes of all of them.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol
from urllib.parse import quote

import orjson

from connectors.providers.soundness import MAX_DEPTH
from schemas.base import JsonObject
from schemas.calls import Answer, Call, HttpRequest, Malformed, Missing, Piece, Refused, Route
from schemas.depth import deeper
from schemas.requests import entries

PieceSink = Callable[[Piece], Awaitable[None]]
"""Where a stream's pieces go; awaiting it is the back-pressure."""
Gate = Callable[[], bool]
"""Says whether a call may leave now."""

NOT_BODY: frozenset[str] = frozenset({"stream", "extra_headers"})
"""Parameters of a route that are not part of a request's body."""
_FIELDS = (b":", b"event:", b"id:", b"retry:")
"""How the lines of an event begin that aren't its data."""
MAX_COUNT = 1 << 48
"""Most tokens that anyone is believed: sums and prices of them stay numbers."""
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Provider(Protocol):
    """Who answers, as the flow sees it (the same seam as the flow's own)."""

    def encode(self, call: Call) -> HttpRequest | None:
        """The bytes of a call; pure. `None` where nothing goes over a wire."""
        ...

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Gate
    ) -> Answer:
        """Send a call and read its answer."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


class StreamDecoder(Protocol):
    """Reads one streamed answer. Bytes may be cut anywhere."""

    done: bool
    """Whether the stream said that it is over; what follows doesn't matter."""

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that are whole now; those that came together come as one.

        Empty bytes say that no more come: what was held back is read, if it can be.

        Raises:
            ProviderError: When the server reports an error in mid-stream, or sends what we can't read.
        """
        ...

    def finish(self) -> Answer:
        """The answer of all that was fed.

        Raises:
            Unavailable: When the stream was cut.
        """
        ...


class Codec(Protocol):
    """One wire format."""

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call.

        Raises:
            Refused: When the provider can't honour a parameter; the reason names it.
        """
        ...

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply; `headers` is case-insensitive or in lower case.

        Raises:
            ProviderError: By the status, or `Malformed` where a good status has no answer.
        """
        ...

    def decoder(self) -> StreamDecoder:
        """A reader of one streamed answer."""
        ...

    def streams(self, content_type: str) -> bool:
        """Whether a good reply of that type is a stream, and not a whole answer or a foreign page."""
        ...


class Lines:
    """Cuts bytes into lines, ended by LF, CR LF or CR. Linear in the bytes, whatever their pieces."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, without their ends."""
        if not data:
            return []
        if b"\n" not in data and b"\r" not in data and not (self._parts and self._parts[-1].endswith(b"\r")):
            self._parts.append(data)
            return []
        text = b"".join((*self._parts, data))
        held = text.endswith(b"\r")
        if b"\r" in text:
            text = (text[:-1] if held else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.split(b"\n")
        rest = lines.pop() + (b"\r" if held else b"")
        self._parts = [rest] if rest else []
        return lines

    def rest(self) -> bytes:
        """What came after the last end of a line."""
        text = b"".join(self._parts).removesuffix(b"\r")
        self._parts = []
        return text


class Events:
    """Cuts bytes into server-sent events: the data of each one, its lines joined."""

    __slots__ = ("_data", "_lines", "_stray")

    def __init__(self, stray: Callable[[bytes], None] | None = None) -> None:
        """`stray` gets the lines that are of no event."""
        self._lines = Lines()
        self._data: list[bytes] = []
        self._stray = stray

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are whole now; empty bytes end the last one."""
        held, events = self._data, list[bytes]()
        for line in self._lines.feed(data) if data else (self._lines.rest(), b""):
            if line.startswith(b"data:"):
                held.append(line[5:])
            elif not line and held:
                events.append(held[0] if len(held) == 1 else b"\n".join(held))
                held.clear()
            elif line and self._stray is not None and not line.startswith(_FIELDS):
                self._stray(line)
        return events


def address(call: Call, base: str | None, path: str) -> str:
    """The absolute URL of a call: the route's base, or else the provider's, and the path.

    Raises:
        Missing: When neither has a base.
    """
    return route_address(call.route, base, path)


def route_address(route: Route, base: str | None, path: str) -> str:
    """The same, of a route without a call."""
    root = route.api_base or base
    if not root:
        raise Missing(f"route `{route.name}` has no api_base")
    return root.rstrip("/") + path


def call_headers(call: Call) -> dict[str, str]:
    """The headers of a call: type, id, key, and the route's `extra_headers`.

    An id with characters that no header may have is sent percent-encoded.
    """
    return route_headers(call.route, call.request_id)


def route_headers(route: Route, request_id: str) -> dict[str, str]:
    """The same, of a route without a call."""
    headers = {"content-type": "application/json", "x-request-id": quote(request_id, safe=_PRINTABLE)}
    if route.api_key:
        headers["authorization"] = f"Bearer {route.api_key.strip()}"
    extra = route.params.get("extra_headers")
    if isinstance(extra, Mapping):
        headers.update({str(name).lower(): str(value) for name, value in extra.items()})
    return headers


def to_json(body: JsonObject) -> bytes:
    """The JSON bytes of a body.

    Raises:
        Refused: When it holds what JSON can't carry, such as an integer over 64 bits.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise Refused(f"the request can't be written as JSON: {error}") from error


def as_object(name: str, value: object) -> JsonObject:
    """A parameter that must be an object; empty where it is absent.

    Raises:
        Refused: When it is anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(f"`{name}` must be an object")
    return value


def texts_to_embed(call: Call, own: Collection[str]) -> list[str]:
    """The texts whose vectors a call wants; `own` are the further parameters that its provider knows.

    Raises:
        Refused: When they came as tokens, or a parameter is none of the provider's.
    """
    found = entries(call.request.input or ())
    texts = [entry for entry in found if isinstance(entry, str)]
    provider = call.route.provider
    if len(texts) != len(found):
        raise Refused(f"{provider} takes `input` as texts, not as tokens")
    for name in call.request.model_extra or {}:
        if name not in own and name != "user" and not call.route.drop_params:
            raise Refused(f"{provider} does not know the parameter `{name}`; leave it out or set drop_params")
    return texts


def read_object(text: bytes, status: int = 200) -> JsonObject:
    """A JSON object from the wire, nested at most 200 deep.

    Raises:
        Malformed: When it is anything else; keeps the bytes.
    """
    value = read_json(text, status)
    if isinstance(value, dict):
        return value
    raise Malformed("the answer is not a JSON object", status=status, body=text)


def read_json(text: bytes, status: int = 200) -> object:
    """A JSON value from the wire, nested at most 200 deep.

    Raises:
        Malformed: When it is none; keeps the bytes.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the answer is not JSON: {error}", status=status, body=text) from error
    if len(text) > 2 * MAX_DEPTH and deeper(text, value, MAX_DEPTH):
        raise Malformed("the answer is nested too deeply", status=status, body=text)
    return value


def error_json(body: bytes) -> object:
    """The JSON value of a reply that is an error; `None` where it is none that we can read."""
    try:
        return read_json(body)
    except Malformed:
        return None


def server_message(body: bytes) -> tuple[str, str]:
    """What a server says about its error, and its name for it (type or code); both may be empty.

    Knows `{"error": {"message", "type", "code"}}`, `{"error": text}`, `{"message"}`, `{"detail"}`, and text.
    """
    value = error_json(body)
    if value is None:
        text = body[:4096].decode(errors="replace")
        return ("" if text.lstrip().startswith("<") else text), ""
    found = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(found, dict):
        return str(found), ""
    message = found.get("message") or found.get("detail") or found.get("error") or ""
    code = found.get("code") if isinstance(found.get("code"), str) else found.get("type")
    return str(message), str(code or "")


def count(value: object) -> int:
    """A number of tokens from the wire: 0 where it is none, at most `MAX_COUNT`."""
    return int(min(value, MAX_COUNT)) if isinstance(value, int | float) and value > 0 else 0
