"""The wire format of Claude: Anthropic's Messages API, whole, streamed, and its counting of tokens. Pure.

The newest version takes the key as a bearer token, the one before it (for calls with sampling parameters)
as `x-api-key`; a route whose `extra_headers` bring an `authorization` sends that instead.
What the API lacks is refused by name, or left out where the route has `drop_params`: see `anthropic_body.py`.
Source: https://platform.claude.com/docs/en/api/messages and .../api/messages-count-tokens.
"""

from collections.abc import Mapping
from dataclasses import replace

from connectors.providers.anthropic_body import COUNTED, VERSION, body, headers, version
from connectors.providers.anthropic_reply import answer, raise_error, reply_error
from connectors.providers.anthropic_stream import AnthropicStream
from connectors.providers.limits import rate_limits
from connectors.providers.soundness import UNREADABLE, checked, unreadable
from connectors.providers.wire import (
    address,
    call_headers,
    error_json,
    read_object,
    server_message,
    to_json,
)
from schemas.base import JsonObject
from schemas.calls import Answer, Call, HttpRequest, Malformed, Refused


class AnthropicCodec:
    """`/v1/messages` at Anthropic, or at a server that speaks like it."""

    def __init__(self, base: str = "https://api.anthropic.com") -> None:
        self._base = base

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call.

        Raises:
            Refused: When Claude lacks a parameter; the reason names it.
        """
        if call.request.input is not None:
            raise Refused("anthropic has no embeddings: name another model for `input`")
        return self._request(call, "/messages", body(call))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Read one whole reply, with the rate limits that its headers tell.

        Raises:
            ProviderError: By the status or the server's own name for the error.
        """
        reply = _good(status, headers, body)
        blocks = reply.get("content")
        if not isinstance(blocks, list):
            raise Malformed("the answer has no `content`", status=status, body=body)
        try:
            made = replace(answer(blocks, reply), status=status, limits=rate_limits(headers))
        except UNREADABLE as error:
            raise unreadable(error, body) from error
        return checked(made, body)

    def decoder(self) -> AnthropicStream:
        """A reader of one streamed answer; it sees no headers, so its answer has no `limits`."""
        return AnthropicStream()

    def streams(self, content_type: str) -> bool:
        """Some servers label their events wrongly; a JSON object or a page is none."""
        return not content_type.startswith(("application/json", "text/html"))

    def encode_count(self, call: Call) -> HttpRequest:
        """The bytes that ask how many input tokens a call has; nothing is generated or paid.

        Raises:
            Refused: As `encode` does.
        """
        counted = {name: value for name, value in body(call).items() if name in COUNTED}
        return self._request(call, "/messages/count_tokens", counted)

    def decode_count(self, status: int, headers: Mapping[str, str], body: bytes) -> int:
        """The input tokens of a call, read from the reply to `encode_count`.

        Raises:
            ProviderError: As `decode` does.
        """
        tokens = _good(status, headers, body).get("input_tokens")
        if not isinstance(tokens, int):
            raise Malformed("the answer has no `input_tokens`", status=status, body=body)
        return tokens

    def _request(self, call: Call, path: str, made: JsonObject) -> HttpRequest:
        base = (call.route.api_base or self._base).rstrip("/")
        versioned = path if base.endswith("/v1") else f"/v1{path}"
        return HttpRequest("POST", address(call, self._base, versioned), _headers(call), to_json(made))


def _headers(call: Call) -> dict[str, str]:
    own, spoken = headers(call), version(call)
    made = {"accept": "application/json", "anthropic-version": spoken, **own}
    made |= call_headers(replace(call, route=replace(call.route, api_key=None)))
    if "anthropic-beta" in own and made["anthropic-beta"] != own["anthropic-beta"]:
        made["anthropic-beta"] += f",{own['anthropic-beta']}"
    if call.route.api_key and "authorization" not in made:
        key = call.route.api_key.strip()
        made |= {"authorization": f"Bearer {key}"} if spoken >= VERSION else {"x-api-key": key}
    return made


def _good(status: int, headers: Mapping[str, str], body: bytes) -> JsonObject:
    """The object of a good reply.

    Raises:
        ProviderError: When it is none.
    """
    if not 200 <= status < 300:
        raise reply_error(status, headers, _error_object(body), server_message(body)[0])
    reply = read_object(body, status)
    raise_error(reply)
    return reply


def _error_object(body: bytes) -> JsonObject:
    value = error_json(body)
    found = value.get("error") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
