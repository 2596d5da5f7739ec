"""Gemini's embeddings as a call. Pure.

Source: https://ai.google.dev/api/embeddings. The API tells no tokens.
"""

from connectors.providers.wire import texts_to_embed
from schemas.base import JsonObject
from schemas.calls import Answer, Call

EMBED = "batchEmbedContents"
_OWN = frozenset({"taskType", "title"})


def embed_body(call: Call, model: str) -> JsonObject:
    """The body of a call that asks for vectors; `model` is its resource name.

    Raises:
        Refused: When the input is tokens, or a parameter is none of Gemini's.
    """
    texts = texts_to_embed(call, _OWN)
    extra = call.request.model_extra or {}
    shared: JsonObject = {"model": model, **{name: extra[name] for name in sorted(_OWN) if name in extra}}
    if call.request.dimensions is not None:
        shared["outputDimensionality"] = call.request.dimensions
    return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]}


def embedded_answer(reply: JsonObject, status: int) -> Answer:
    """The vectors of a reply; what is of a wrong type in it raises."""
    vectors = tuple(tuple(map(float, entry["values"])) for entry in reply["embeddings"])
    return Answer("", "stop", None, status=status, embeddings=vectors)
