"""OpenAI's Responses API, without its memory: a body becomes a chat, an answer its items. Pure.

Nothing is stored here, so what needs it is refused by name: `store: true`, `previous_response_id`,
`conversation`, `background`, `prompt`, references to items; so are tools that run at OpenAI, and
`truncation: auto`. Every response says `store: false`. Send the whole conversation as `input`, with
`include: ["reasoning.encrypted_content"]` where thinking must survive.
Source: https://platform.openai.com/docs/api-reference/responses.
"""

from collections.abc import Mapping

from connectors.gateway.dialects.bodies import an_object, lacking, objects, request_of, without_nulls
from connectors.gateway.dialects.dialect import Asked, Head, Style
from connectors.gateway.dialects.errors import invalid
from connectors.gateway.dialects.responses_input import turns
from connectors.gateway.dialects.responses_object import SEALED, items, response_object
from connectors.gateway.dialects.responses_writer import ResponsesWriter
from schemas.base import JsonObject
from schemas.responses import Response

LACKING = (
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "max_tool_calls",
    "moderation",
    "previous_response_id",
    "prompt",
    "prompt_cache_options",
    "store",
)
"""Parameters that need a memory or tools of the server's own."""
LOGPROBS = "message.output_text.logprobs"
"""What `include` asks for to get log-probabilities."""
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
)


class OpenAIResponses:
    """`/v1/responses`."""

    style: Style = "openai"

    def read(self, body: JsonObject, headers: Mapping[str, str]) -> Asked:
        """The request that a body is.

        Raises:
            Problem: 400, which names the parameter at fault.
        """
        fields = without_nulls(body)
        lacking(
            fields, LACKING, "is not known here: nothing is stored; send the whole conversation as `input`"
        )
        lacking(fields, ("messages",), "is none of a response; use `input`")
        if fields.get("truncation", "disabled") != "disabled":
            raise invalid("truncation", "can only be disabled")
        options: JsonObject = {name: fields[name] for name in _ECHOED if name in fields}
        options["include"] = _include(fields.pop("include", []))
        for name in (*LACKING, "truncation", "stream_options"):
            fields.pop(name, None)
        fields["messages"] = _messages(fields)
        _rename(fields, options)
        _shape(fields)
        if "tools" in fields:
            fields["tools"] = [
                _tool(place, tool) for place, tool in enumerate(objects("tools", fields["tools"]))
            ]
        if isinstance(choice := fields.get("tool_choice"), dict):
            if choice.get("type") != "function":
                raise invalid("tool_choice", "must be auto, none, required, or a function")
            fields["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
        return Asked(request_of(fields), options)

    def whole(self, asked: Asked, head: Head, response: Response) -> JsonObject:
        """A `response`."""
        sealing = SEALED in asked.options["include"]
        return response_object(asked.options, head, items(head, response, sealing=sealing), response)

    def writer(self, asked: Asked, head: Head) -> ResponsesWriter:
        """A writer of a response's events."""
        return ResponsesWriter(asked.options, head)


def _include(found: object) -> list[str]:
    if not isinstance(found, list):
        raise invalid("include", "must be a list")
    for name in found:
        if name not in (SEALED, LOGPROBS):
            raise invalid("include", f"can't have {str(name)[:60]!r}; known: {SEALED}, {LOGPROBS}")
    return found


def _messages(fields: JsonObject) -> list[JsonObject]:
    if "input" not in fields:
        raise invalid("input", "is missing")
    said = turns(fields.pop("input"))
    instructions = fields.pop("instructions", None)
    if instructions is None:
        return said
    if not isinstance(instructions, str):
        raise invalid("instructions", "must be text")
    return [{"role": "system", "content": instructions}, *said]


def _rename(fields: JsonObject, options: JsonObject) -> None:
    """Parameters that chats call by another name."""
    if "max_output_tokens" in fields:
        fields["max_completion_tokens"] = fields.pop("max_output_tokens")
    reasoning = an_object("reasoning", fields.pop("reasoning", None))
    if reasoning.get("effort") is not None:
        fields["reasoning_effort"] = reasoning["effort"]
    if "top_logprobs" in fields or LOGPROBS in options["include"]:
        fields["logprobs"] = True


def _shape(fields: JsonObject) -> None:
    """`text` as `response_format` and `verbosity`."""
    text = an_object("text", fields.pop("text", None))
    if text.get("verbosity") is not None:
        fields["verbosity"] = text["verbosity"]
    wanted = an_object("text.format", text.get("format"))
    if wanted.get("type") == "json_schema":
        schema = {name: value for name, value in wanted.items() if name != "type" and value is not None}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif wanted.get("type", "text") != "text":
        fields["response_format"] = wanted


def _tool(place: int, tool: JsonObject) -> JsonObject:
    if tool.get("type") != "function" or not tool.get("name"):
        raise invalid(f"tools.{place}.type", "must be function, with a name: no tool runs here")
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {n: tool[n] for n in names if tool.get(n) is not None}}
