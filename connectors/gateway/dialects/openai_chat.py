"""OpenAI's chat completions: a body is a valid `Request` as it stands. Pure.

Not honoured, and refused by name: `n` over 1, sound in streams, what the gateway sets itself. All else goes
on to the provider, which refuses what it lacks. Weir's own fields (`context`, `fallbacks`, `cache`,
`priority`, `timeout_ms`, `context_id`, ...) may stand in the body.
A streamed answer names the model that was asked for; its last piece has `weir`, which says who answered.
Source: https://platform.openai.com/docs/api-reference/chat.
"""

from collections.abc import Mapping

from connectors.gateway.dialects import sse
from connectors.gateway.dialects.bodies import an_object, objects, request_of, without_nulls
from connectors.gateway.dialects.dialect import Asked, Head, Style
from connectors.gateway.dialects.errors import invalid, openai_error
from connectors.gateway.dialects.headers import weir_facts
from connectors.gateway.dialects.openai_words import message, usage
from connectors.gateway.dialects.streams import merged
from connectors.gateway.ports import Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.responses import Response


class OpenAIChat:
    """`/v1/chat/completions`."""

    style: Style = "openai"

    def read(self, body: JsonObject, headers: Mapping[str, str]) -> Asked:
        """The request that a body is.

        Raises:
            Problem: 400, which names the parameter at fault.
        """
        fields = without_nulls(body)
        if "messages" not in fields or "prompt" in fields or "input" in fields:
            wrong = next((name for name in ("prompt", "input") if name in fields), None)
            raise invalid("messages", "is missing") if wrong is None else invalid(wrong, "is none of a chat")
        objects("messages", fields["messages"])
        options = an_object("stream_options", fields.pop("stream_options", None))
        if fields.pop("n", 1) != 1:
            raise invalid("n", "must be 1: one choice is made; ask several times")
        modalities = fields.get("modalities")
        if fields.get("stream") and isinstance(modalities, list) and "audio" in modalities:
            raise invalid("modalities", "may not have audio in a stream; ask without `stream`")
        request = request_of(fields)
        return Asked(request, {"include_usage": options.get("include_usage") is True})

    def whole(self, asked: Asked, head: Head, response: Response) -> JsonObject:
        """A `chat.completion`."""
        choice: JsonObject = {
            "index": 0,
            "message": message(response),
            "logprobs": response.logprobs,
            "finish_reason": response.finish_reason or "stop",
        }
        return {
            "id": head.named("chatcmpl-"),
            "object": "chat.completion",
            "created": head.created_s,
            "model": response.model or head.model,
            "choices": [choice],
            "usage": usage(response),
            "system_fingerprint": None,
        }

    def writer(self, asked: Asked, head: Head) -> "ChatWriter":
        """A writer of `chat.completion.chunk` events."""
        return ChatWriter(head, include_usage=bool(asked.options.get("include_usage")))


class ChatWriter:
    """Writes one stream: the role, pieces, the reason of the end, usage where it was asked for, `[DONE]`."""

    heartbeat = sse.HEARTBEAT

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._base: JsonObject = {
            "id": head.named("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": head.created_s,
            "model": head.model,
            "system_fingerprint": None,
        }

    def open(self) -> bytes:
        """The role."""
        return self._choice({"role": "assistant", "content": "", "refusal": None})

    def piece(self, chunk: Chunk) -> bytes:
        """Text, thinking and tool calls that came together, in one event."""
        delta: JsonObject = {}
        if chunk.reasoning_content:
            delta["reasoning_content"] = chunk.reasoning_content
        if chunk.delta:
            delta["content"] = chunk.delta
        if chunk.tool_calls:
            delta["tool_calls"] = merged(chunk.tool_calls)
        logprobs = {"content": chunk.logprobs, "refusal": None} if chunk.logprobs else None
        return self._choice(delta, logprobs=logprobs)

    def end(self, response: Response) -> bytes:
        """The reason of the end, and what is only known then."""
        own = response.provider_content
        delta: JsonObject = {} if own is None else {"provider_content": own}
        last = self._choice(delta, reason=response.finish_reason or "stop", weir=weir_facts(response))
        if self._include_usage:
            last += sse.data({**self._base, "choices": [], "usage": usage(response)})
        return last + sse.DONE

    def idle(self) -> bytes:
        """A piece of nothing."""
        return self._choice({"content": ""})

    def fail(self, problem: Problem) -> bytes:
        """The error, in an event without a name: the SDKs raise it."""
        return sse.data({"error": openai_error(problem)})

    def _choice(
        self,
        delta: JsonObject,
        *,
        reason: str | None = None,
        logprobs: JsonObject | None = None,
        weir: JsonObject | None = None,
    ) -> bytes:
        choice: JsonObject = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        event: JsonObject = {**self._base, "choices": [choice]}
        if self._include_usage:
            event["usage"] = None
        if weir is not None:
            event["weir"] = weir
        return sse.data(event)
