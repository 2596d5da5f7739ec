"""The headers of kafka-python 3.0.12's fetch and produce requests, and of their answers.

The bodies are written and read by code made for it; the headers field by field, which took forty calls.
"""

from functools import cache
from struct import Struct
from typing import Any, cast

from kafka.protocol.api_header import ResponseClassRegistry
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.producer import ProduceRequest, ProduceResponse

PARTS: tuple[tuple[type, str], ...] = (
    (ApiMessage, "_header"),
    (ApiMessage, "with_header"),
    (ApiMessage, "encode_header"),
    (ApiMessage, "parse_header"),
    (ResponseClassRegistry, "get_response_class"),
)
"""What a later version must have, too."""

_FIELDS = Struct(">hhih")
_NUMBER = Struct(">i")
_NO_TAGS = b"\0"


class Header:
    """The header of a request."""

    __slots__ = ("client_id", "correlation_id", "request_api_key", "request_api_version")

    def __init__(self, api_key: int, api_version: int, correlation_id: int, client_id: str) -> None:
        self.request_api_key, self.request_api_version = api_key, api_version
        self.correlation_id, self.client_id = correlation_id, client_id

    def get_response_class(self) -> Any:
        """What its answer is read as."""
        return _answer_kind(self.request_api_key, self.request_api_version)


@cache
def _answer_kind(api_key: int, api_version: int) -> Any:
    return ResponseClassRegistry.get_response_class(cast(Any, Header(api_key, api_version, 0, "")))


class Answered:
    """The header of an answer."""

    __slots__ = ("correlation_id",)

    def __init__(self, correlation_id: int) -> None:
        self.correlation_id = correlation_id


def with_header(self: Any, correlation_id: int = 0, client_id: str = "kafka-python") -> None:
    """Give a request its header."""
    self._header = Header(self.API_KEY, self.API_VERSION, correlation_id, client_id)


def encode_header(self: Any, flexible: bool = False) -> bytes:
    """A request's header as bytes."""
    header, client = self._header, self._header.client_id.encode()
    fields = header.request_api_key, header.request_api_version, header.correlation_id, len(client)
    return _FIELDS.pack(*fields) + client + (_NO_TAGS if flexible else b"")


def parse_header(kind: Any, data: Any, version: int | None = None) -> Any:
    """An answer's header; one with tags is read the old way."""
    begin = data.tell()
    (correlation_id,) = _NUMBER.unpack(data.read(4))
    flexible = kind.flexible_version_q(kind._class_version if version is None else version)
    if flexible and data.read(1) != _NO_TAGS:
        data.seek(begin)
        return _parse(kind, data, version)
    return Answered(correlation_id)


_parse: Any = cast(Any, ApiMessage).parse_header.__func__


def use_quick_headers() -> None:
    """For all clients of this process from now on."""
    for request in cast(tuple[Any, ...], (FetchRequest, ProduceRequest)):
        request.with_header, request.encode_header = with_header, encode_header
    for answer in cast(tuple[Any, ...], (FetchResponse, ProduceResponse)):
        answer.parse_header = classmethod(parse_header)
