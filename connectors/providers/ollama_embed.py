"""Ollama's embeddings as a call. Pure.

Source: https://docs.ollama.com/api/embed. A text that is too long is an error rather than cut.
"""

from connectors.providers.wire import count, texts_to_embed
from schemas.base import JsonObject
from schemas.calls import Answer, Call, Malformed
from schemas.responses import Usage

EMBED = "/api/embed"
_OWN = frozenset({"keep_alive", "options"})
_COUNTS = ("prompt_eval_count", "total_duration", "load_duration")


def embed_body(call: Call) -> JsonObject:
    """The body of a call that asks for vectors.

    Raises:
        Refused: When the input is tokens, or a parameter is none of Ollama's.
    """
    asked: JsonObject = {"model": call.route.model, "input": texts_to_embed(call, _OWN), "truncate": False}
    if call.request.dimensions is not None:
        asked["dimensions"] = call.request.dimensions
    extra = call.request.model_extra or {}
    found = {name: extra.get(name, call.route.params.get(name)) for name in sorted(_OWN)}
    return asked | {name: value for name, value in found.items() if value is not None}


def embedded_answer(reply: JsonObject) -> Answer:
    """The vectors of a reply.

    Raises:
        Malformed: When it has none.
    """
    found = reply["embeddings"]
    if not isinstance(found, list) or not found:
        raise Malformed("the answer has no `embeddings`", status=200)
    raw = {name: reply[name] for name in _COUNTS if name in reply}
    usage = Usage(input_tokens=count(reply.get("prompt_eval_count"))) if raw else None
    vectors = tuple(tuple(map(float, vector)) for vector in found)
    return Answer("", "stop", usage, raw or None, reply.get("model"), embeddings=vectors)
