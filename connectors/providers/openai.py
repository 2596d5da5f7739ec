"""The wire format of OpenAI's chat completions, which vLLM, LM Studio, llama.cpp and many others speak. Pure.

Source: https://platform.openai.com/docs/api-reference/chat. Only the first choice is read. What a server
lacks is refused by name, or left out where the route has `drop_params`; what differs from server to server
stands in `openai_quirks.py`.
"""

from collections.abc import Mapping

from connectors.providers.limits import rate_limits
from connectors.providers.openai_body import body
from connectors.providers.openai_embed import (
    decode_embeddings,
    embedded_answer,
    embedding_wish,
    encode_embeddings,
)
from connectors.providers.openai_quirks import OPENAI, Quirks, at
from connectors.providers.openai_reply import (
    failed,
    finish,
    own_content,
    raise_error,
    raw_reason,
    text_and_thinking,
    thinking,
    usage,
)
from connectors.providers.openai_stream import OpenAIStream
from connectors.providers.soundness import UNREADABLE, checked, unreadable
from connectors.providers.wire import address, call_headers, read_object, to_json
from schemas.base import JsonObject
from schemas.calls import Answer, Call, HttpRequest, Malformed


class OpenAICodec:
    """Chat completions, whole and streamed, at any server that speaks them."""

    def __init__(self, quirks: Quirks = OPENAI) -> None:
        self._quirks = quirks

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call. Extra fields of the request go out as they are, Weir's own never.

        Raises:
            Refused: When the server lacks a parameter; the reason names it.
            Missing: When the route has no address.
        """
        if call.request.input is not None:
            return encode_embeddings(call.route, call.request_id, embedding_wish(call), self._quirks)
        url = address(call, self._quirks.base, "/chat/completions")
        headers = {"accept": "application/json", **call_headers(call)}
        made = body(call, at(self._quirks, call.route.api_base))
        return HttpRequest("POST", url, headers, to_json(made))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply.

        Raises:
            ProviderError: By the status, or by the error that stands in the answer's place.
        """
        if not 200 <= status < 300:
            raise failed(status, headers, body)
        reply = read_object(body, status)
        raise_error(reply)
        if "choices" not in reply and "data" in reply:
            return checked(embedded_answer(decode_embeddings(status, headers, body), status), body)
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices:
            raise Malformed("the answer has no `choices`", status=status, body=body)
        try:
            answer = self._answer(status, headers, reply, choices[0])
        except UNREADABLE as error:
            raise unreadable(error, body) from error
        return checked(answer, body)

    def decoder(self) -> OpenAIStream:
        """A reader of one streamed answer."""
        return OpenAIStream(self._quirks.name)

    def streams(self, content_type: str) -> bool:
        """Some servers label their events wrongly; a JSON object or a page is none."""
        return not content_type.startswith(("application/json", "text/html"))

    def _answer(
        self, status: int, headers: Mapping[str, str], reply: JsonObject, choice: JsonObject
    ) -> Answer:
        raise_error(choice)
        message: JsonObject = choice["message"]
        tool_calls = tuple(message.get("tool_calls") or ())
        text, thoughts = text_and_thinking(message.get("content"))
        refusal = message.get("refusal")
        return Answer(
            text=text or refusal or "",
            finish_reason=finish(choice.get("finish_reason"), bool(tool_calls), bool(refusal)),
            usage=usage(reply.get("usage")),
            usage_raw=reply.get("usage") or None,
            model=reply.get("model"),
            tool_calls=tool_calls,
            status=status,
            finish_reason_raw=raw_reason(choice),
            reasoning=thinking(message) or thoughts,
            provider_content=own_content(self._quirks.name, message, reply),
            logprobs=choice.get("logprobs") or None,
            limits=rate_limits(headers),
        )
