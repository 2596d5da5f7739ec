"""OpenAI's embeddings: texts or tokens in, vectors out. Pure.

On the topic vectors always travel as base64, which is half as long; clients get what they asked for. The
model must be named: vectors of two models can't be compared, so `auto` and configured fallbacks don't count.
Source: https://platform.openai.com/docs/api-reference/embeddings.
"""

import sys
from array import array
from base64 import b64decode
from collections.abc import Mapping

from connectors.gateway.dialects.bodies import request_of, without_nulls
from connectors.gateway.dialects.dialect import Asked, Head, Style
from connectors.gateway.dialects.errors import invalid
from connectors.gateway.dialects.openai_words import usage
from schemas.base import JsonObject
from schemas.responses import Response


class OpenAIEmbeddings:
    """`/v1/embeddings`."""

    style: Style = "openai"

    def read(self, body: JsonObject, headers: Mapping[str, str]) -> Asked:
        """The request that a body is.

        Raises:
            Problem: 400, which names the parameter at fault.
        """
        fields = without_nulls(body)
        for name in ("messages", "prompt", "context"):
            if name in fields:
                raise invalid(name, "is none of an embedding; use `input`")
        for name in ("input", "model"):
            if name not in fields:
                raise invalid(name, "is missing")
        if fields.get("stream"):
            raise invalid("stream", "can't be true: vectors come whole")
        packed = fields.get("encoding_format") == "base64"
        request = request_of(fields).model_copy(update={"encoding_format": "base64"})
        return Asked(request, {"packed": packed})

    def whole(self, asked: Asked, head: Head, response: Response) -> JsonObject:
        """A `list` of `embedding`s."""
        shown = [
            vector if asked.options["packed"] or not isinstance(vector, str) else numbers(vector)
            for vector in response.embeddings or ()
        ]
        found = usage(response)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": place, "embedding": vector}
                for place, vector in enumerate(shown)
            ],
            "model": response.model or head.model,
            "usage": {name: found[name] for name in ("prompt_tokens", "total_tokens")},
        }

    def writer(self, asked: Asked, head: Head) -> None:
        """There are no streams of vectors."""
        return


def numbers(packed: str) -> list[float]:
    """The numbers of a vector: little-endian floats of 32 bits."""
    found = array("f", b64decode(packed))
    if sys.byteorder == "big":  # pragma: no cover - no such machine in the tests
        found.byteswap()
    return found.tolist()
