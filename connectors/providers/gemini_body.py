"""The body of a call to Gemini, from a request in the OpenAI shape. Pure.

The route's parameters are placed first, then the request's, so that these hold. Parameters by OpenAI's names
are mapped; fields by Gemini's own (`safetySettings`, `generationConfig`, `thinkingConfig`, `topK`, ..., in
camel or snake case) go to their place as they are. What Gemini lacks is refused by name, or left out where
the route has `drop_params`.

Source: https://ai.google.dev/api/generate-content#request-body.
"""

from connectors.providers.gemini_params import NATIVE, Params
from connectors.providers.gemini_tools import tool_config, tools
from connectors.providers.gemini_turns import Turns
from connectors.providers.wire import NOT_BODY, as_object
from schemas.base import JsonObject
from schemas.calls import Call, Refused

_FIELDS = ("temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")
_LIMITS = frozenset({"max_completion_tokens", "max_tokens"})
_TOGETHER = frozenset({"tools", "tool_choice", "toolConfig"})


def body(call: Call) -> JsonObject:
    """The body of a call.

    Raises:
        Refused: When Gemini lacks a parameter and the route doesn't have `drop_params`, or when one isn't
            what it must be.
    """
    turns = Turns(call)
    for place, message in enumerate(call.messages):
        turns.add(place, message)
    if not turns.contents:
        raise Refused("`messages`: gemini needs a turn of the user that isn't empty")
    params, together = _params(call)
    made: JsonObject = {"contents": turns.contents, **params.made}
    if turns.system:
        made["systemInstruction"] = {"parts": turns.system}
    if params.config:
        made["generationConfig"] = params.config
    functions, declared = tools(together.get("tools"))
    if declared:
        made["tools"] = declared
    chosen = tool_config(together.get("tool_choice"), functions)
    if config := chosen | as_object("toolConfig", together.get("toolConfig")):
        made["toolConfig"] = config
    return made


def _params(call: Call) -> tuple[Params, JsonObject]:
    """All parameters in their places, and those that are about tools by their names."""
    params = Params(call.route)
    together: JsonObject = {}
    for layer in (_of_route(call), _of_request(call)):
        for given, value in layer.items():
            name = NATIVE.get(given, given)
            if name in _TOGETHER:
                together[name] = value
            elif value is not None:
                params.place(name, value)
    if call.max_tokens is not None:
        params.config["maxOutputTokens"] = call.max_tokens
    return params, together


def _of_route(call: Call) -> JsonObject:
    """The route's parameters; its limit on the answer holds where the call has none."""
    found = call.route.params
    params: JsonObject = {
        name: value for name, value in found.items() if name not in NOT_BODY and name not in _LIMITS
    }
    if limit := found.get("max_completion_tokens") or found.get("max_tokens"):
        params["maxOutputTokens"] = limit
    return params


def _of_request(call: Call) -> JsonObject:
    fields = {name: value for name in _FIELDS if (value := getattr(call.request, name)) is not None}
    return fields | (call.request.model_extra or {})
