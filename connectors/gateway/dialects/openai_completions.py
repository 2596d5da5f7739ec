"""OpenAI's legacy completions: one prompt, one text. Pure.

Not honoured, and refused by name: more than one prompt, tokens in a prompt's place, `n` or `best_of` over 1,
`echo`, and `logprobs`, whose old shape has no counterpart here (chat completions have them).
Source: https://platform.openai.com/docs/api-reference/completions.
"""

from collections.abc import Mapping

from connectors.gateway.dialects import sse
from connectors.gateway.dialects.bodies import an_object, lacking, request_of, without_nulls
from connectors.gateway.dialects.dialect import Asked, Head, Style
from connectors.gateway.dialects.errors import invalid, openai_error
from connectors.gateway.dialects.headers import weir_facts
from connectors.gateway.dialects.openai_words import usage
from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.responses import Response


class OpenAICompletions:
    """`/v1/completions`."""

    style: Style = "openai"

    def read(self, body: JsonObject, headers: Mapping[str, str]) -> Asked:
        """The request that a body is.

        Raises:
            Problem: 400, which names the parameter at fault.
        """
        fields = without_nulls(body)
        options = an_object("stream_options", fields.pop("stream_options", None))
        lacking(fields, ("messages", "input"), "is none of a completion; use `prompt`")
        lacking(fields, ("logprobs",), "is not known here; use /v1/chat/completions")
        lacking(fields, ("echo",), "is not known; put the prompt before the answer yourself")
        for name in ("n", "best_of"):
            if fields.pop(name, 1) != 1:
                raise invalid(name, "must be 1: one choice is made; ask several times")
        for name in ("logprobs", "echo"):
            fields.pop(name, None)
        fields["prompt"] = _prompt(fields.get("prompt"))
        return Asked(request_of(fields), {"include_usage": options.get("include_usage") is True})

    def whole(self, asked: Asked, head: Head, response: Response) -> JsonObject:
        """A `text_completion`."""
        return {
            "id": head.named("cmpl-"),
            "object": "text_completion",
            "created": head.created_s,
            "model": response.model or head.model,
            "choices": [_choice(response.response or "", response.finish_reason or "stop")],
            "usage": usage(response),
        }

    def writer(self, asked: Asked, head: Head) -> "CompletionWriter":
        """A writer of `text_completion` events."""
        return CompletionWriter(head, include_usage=bool(asked.options.get("include_usage")))


class CompletionWriter:
    """Writes one stream of text."""

    heartbeat = sse.HEARTBEAT

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._base: JsonObject = {
            "id": head.named("cmpl-"),
            "object": "text_completion",
            "created": head.created_s,
            "model": head.model,
        }

    def open(self) -> bytes:
        """Nothing: a text has no head."""
        return b""

    def piece(self, chunk: Chunk) -> bytes:
        """Text; thinking has no place here."""
        return self._event(chunk.delta) if chunk.delta else b""

    def end(self, response: Response) -> bytes:
        """The reason of the end, usage where it was asked for."""
        last = self._event("", response.finish_reason or "stop", weir_facts(response))
        if self._include_usage:
            last += sse.data({**self._base, "choices": [], "usage": usage(response)})
        return last + sse.DONE

    def idle(self) -> bytes:
        """A piece of nothing."""
        return self._event("")

    def fail(self, problem: Problem) -> bytes:
        """The error, in an event without a name: the SDKs raise it."""
        return sse.data({"error": openai_error(problem)})

    def _event(self, text: str, reason: str | None = None, weir: JsonObject | None = None) -> bytes:
        event: JsonObject = {**self._base, "choices": [_choice(text, reason)]}
        return sse.data(event if weir is None else {**event, "weir": weir})


def _choice(text: str, reason: str | None) -> JsonObject:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}


def _prompt(found: object) -> str:
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if found is None:
        raise invalid("prompt", "is missing")
    if not isinstance(found, str) or not found:
        raise invalid("prompt", "must be one text; several, or tokens, are not taken")
    return found
