"""The wire format of OpenAI's embeddings, which vLLM, LM Studio, llama.cpp and many others speak. Pure.

Source: https://platform.openai.com/docs/api-reference/embeddings.
"""

import sys
from array import array
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.providers.limits import rate_limits
from connectors.providers.openai_quirks import OPENAI, Quirks
from connectors.providers.openai_reply import failed, raise_error, usage
from connectors.providers.soundness import UNREADABLE, unreadable
from connectors.providers.wire import read_object, route_address, route_headers, to_json
from schemas.base import JsonObject
from schemas.calls import Answer, Call, HttpRequest, Malformed, RateLimit, Refused, Route
from schemas.responses import Usage


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors that stand for texts."""

    vectors: tuple[tuple[float, ...], ...]
    """One for each input, in their order."""
    model: str | None
    """The model that made them, as the provider names it."""
    usage: Usage | None
    """Tokens as the provider counted them; `None` where it did not say."""
    usage_raw: JsonObject | None
    """The provider's own usage object."""
    limits: tuple[RateLimit, ...] = ()
    """What the reply's headers said of the provider's limits."""


def embedding_wish(call: Call) -> JsonObject:
    """What a call asks vectors of, in OpenAI's shape; always as numbers, which every server knows."""
    request = call.request
    wish: JsonObject = {"input": request.input, **(request.model_extra or {})}
    dimensions = request.dimensions or call.route.params.get("dimensions")
    return wish if dimensions is None else {**wish, "dimensions": dimensions}


def embedded_answer(found: Embedded, status: int) -> Answer:
    """Vectors as the answer of a call."""
    return Answer(
        "",
        "stop",
        found.usage,
        found.usage_raw,
        found.model,
        status=status,
        limits=found.limits,
        embeddings=found.vectors,
    )


def encode_embeddings(
    route: Route, request_id: str, wish: Mapping[str, object], quirks: Quirks = OPENAI
) -> HttpRequest:
    """The bytes of a wish in OpenAI's shape (`input`, `dimensions`, ...); the route names the model.

    Vectors are asked for as numbers unless the wish says `base64`, which not every server knows.

    Raises:
        Refused: When `input` is neither a text nor a list with something in it.
        Missing: When the route has no address.
    """
    given = wish.get("input")
    if not isinstance(given, str | list) or not given:
        raise Refused("`input` must be a text or a list of texts, with something in it")
    body: JsonObject = {"encoding_format": "float", **wish, "model": route.model}
    headers = {"accept": "application/json", **route_headers(route, request_id)}
    return HttpRequest("POST", route_address(route, quirks.base, "/embeddings"), headers, to_json(body))


def decode_embeddings(status: int, headers: Mapping[str, str], body: bytes) -> Embedded:
    """Read one reply; `headers` is case-insensitive or in lower case.

    Raises:
        ProviderError: By the status, or `Malformed` where a good status has no vectors.
    """
    if not 200 <= status < 300:
        raise failed(status, headers, body)
    reply = read_object(body, status)
    raise_error(reply)
    found = reply.get("data")
    if not isinstance(found, list) or not found:
        raise Malformed("the answer has no `data`", status=status, body=body)
    try:
        return Embedded(
            tuple(_vector(entry["embedding"]) for entry in sorted(found, key=_place)),
            reply.get("model"),
            usage(reply.get("usage")),
            reply.get("usage") or None,
            rate_limits(headers),
        )
    except UNREADABLE as error:
        raise unreadable(error, body) from error


def _place(entry: JsonObject) -> int:
    return int(entry.get("index") or 0)


def _vector(found: str | list[float]) -> tuple[float, ...]:
    """The numbers of a vector; as base64 they are little-endian floats of 32 bits.

    Raises:
        ValueError: When they are something else.
    """
    if isinstance(found, str):
        numbers = array("f", b64decode(found, validate=True))
        if sys.byteorder == "big":  # pragma: no cover - no such machine in the tests
            numbers.byteswap()
        return tuple(numbers)
    return tuple(map(float, found))
