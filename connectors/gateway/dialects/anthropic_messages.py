"""Anthropic's Messages API: a body becomes a request in the OpenAI shape, an answer its message. Pure.

system, messages               system turn, turns (see `anthropic_turns.py`)
tools, tool_choice             functions; server tools as they are; `any` is `required`
stop_sequences                 stop
metadata.user_id               user
output_config                  reasoning_effort, response_format
service_tier standard_only     default
anthropic-beta, ...            betas, user_profile_id, workspace_id: headers of Anthropic's

What is left (thinking, top_k, cache_control, container, ...) goes on as it is: Claude knows it, and providers
that lack it refuse it by name. Weir's own fields may stand in the body, as in a chat completion.
Source: https://platform.claude.com/docs/en/api/messages.
"""

from collections.abc import Mapping

import orjson

from connectors.gateway.dialects.anthropic_turns import FORMAT, system_turns, turns
from connectors.gateway.dialects.anthropic_writer import MessageWriter, stop_reason, usage
from connectors.gateway.dialects.bodies import an_object, objects, request_of, without_nulls
from connectors.gateway.dialects.dialect import Asked, Head, Style
from connectors.gateway.dialects.errors import invalid
from connectors.providers.anthropic_body import HEADERS
from schemas.base import JsonObject
from schemas.responses import Response

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_FUNCTION = ("name", "description", "input_schema", "strict", "type")


class AnthropicMessages:
    """`/v1/messages`."""

    style: Style = "anthropic"

    def read(self, body: JsonObject, headers: Mapping[str, str]) -> Asked:
        """The request that a body is.

        Raises:
            Problem: 400, which names the parameter at fault.
        """
        fields = without_nulls(body)
        if "messages" not in fields:
            raise invalid("messages", "is missing")
        if wrong := next((name for name in ("prompt", "input") if name in fields), None):
            raise invalid(wrong, "is none of a message")
        fields["messages"] = [*system_turns(fields.pop("system", None)), *turns(fields["messages"])]
        if "tools" in fields:
            fields["tools"] = [
                _tool(place, tool) for place, tool in enumerate(objects("tools", fields["tools"]))
            ]
        _choose(fields)
        _configure(fields)
        if "stop_sequences" in fields:
            fields["stop"] = fields.pop("stop_sequences")
        if (user := an_object("metadata", fields.get("metadata")).get("user_id")) is not None:
            fields["user"] = user
        if fields.get("service_tier") == "standard_only":
            fields["service_tier"] = "default"
        for name, header in HEADERS.items():
            if value := headers.get(header):
                fields[name] = value.split(",") if name == "betas" else value
        return Asked(request_of(fields))

    def whole(self, asked: Asked, head: Head, response: Response) -> JsonObject:
        """A `message`."""
        return {
            "id": head.named("msg_"),
            "type": "message",
            "role": "assistant",
            "model": response.model or head.model,
            "content": content(response),
            "stop_reason": stop_reason(response),
            "stop_sequence": None,
            "usage": usage(response),
        }

    def writer(self, asked: Asked, head: Head) -> MessageWriter:
        """A writer of a message's events."""
        return MessageWriter(head)


def content(response: Response) -> list[JsonObject]:
    """The blocks of an answer: Claude's own as they are, else thinking, text and calls of tools."""
    own = response.provider_content or {}
    if own.get("format") == FORMAT and isinstance(own.get("content"), list):
        return own["content"]
    blocks: list[JsonObject] = []
    if response.reasoning_content:
        blocks.append({"type": "thinking", "thinking": response.reasoning_content, "signature": ""})
    if response.response:
        blocks.append({"type": "text", "text": response.response})
    return blocks + [_use(call) for call in response.tool_calls or ()]


def _use(call: JsonObject) -> JsonObject:
    function = call.get("function") or {}
    return {
        "type": "tool_use",
        "id": call.get("id") or "",
        "name": function.get("name") or "",
        "input": _read(function.get("arguments")),
    }


def _read(arguments: object) -> JsonObject:
    """Arguments as an object; those that the limit on the answer cut are no JSON, and empty."""
    try:
        found = orjson.loads(arguments) if isinstance(arguments, str) and arguments else arguments
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _tool(place: int, tool: JsonObject) -> JsonObject:
    """A function in the OpenAI shape; tools that run at Anthropic as they are."""
    if tool.get("type", "custom") != "custom":
        return tool
    if not isinstance(tool.get("name"), str) or "input_schema" not in tool:
        raise invalid(f"tools.{place}", "must have a name and an input_schema")
    function: JsonObject = {"name": tool["name"], "parameters": tool["input_schema"]}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    other = {name: value for name, value in tool.items() if name not in _FUNCTION and value is not None}
    return {"type": "function", "function": function, **other}


def _choose(fields: JsonObject) -> None:
    """`tool_choice` in the OpenAI shape."""
    choice = an_object("tool_choice", fields.pop("tool_choice", None))
    if not choice:
        return
    kind = choice.get("type")
    if kind == "tool" and choice.get("name"):
        fields["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif isinstance(kind, str) and kind in _CHOICES:
        fields["tool_choice"] = _CHOICES[kind]
    else:
        raise invalid("tool_choice", "must be of type auto, any, none, or tool with a name")
    if choice.get("disable_parallel_tool_use"):
        fields["parallel_tool_calls"] = False


def _configure(fields: JsonObject) -> None:
    """Effort and shape of the answer in OpenAI's words; what has none stays."""
    config = dict(an_object("output_config", fields.pop("output_config", None)))
    effort = config.get("effort")
    if isinstance(effort, str) and effort in _EFFORTS and "reasoning_effort" not in fields:
        fields["reasoning_effort"] = config.pop("effort")
    shape = config.get("format")
    if isinstance(shape, dict) and shape.keys() == {"type", "schema"} and shape["type"] == "json_schema":
        config.pop("format")
        wanted = {"name": "answer", "schema": shape["schema"], "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if config:
        fields["output_config"] = config
