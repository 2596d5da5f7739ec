"""The body of a call to a server that speaks OpenAI's chat completions. Pure.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

import re

from connectors.providers.wire import NOT_BODY, as_object
from schemas.base import JsonObject
from schemas.calls import Call

_PARAMETERS = ("temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")
_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
_NEW_LIMIT_ONLY = re.compile(r"(?:.*/)?(?:o\d|gpt-5)")


def body(call: Call) -> JsonObject:
    """The body of a call: the request's parameters, then the route's where the request has none.

    Weir's own fields never go out; fields that Weir doesn't know go out as they are. Turns go out as they
    came, explicit nulls included.

    Raises:
        Refused: When a parameter isn't what it must be.
    """
    request, params = call.request, call.route.params
    made: JsonObject = {
        "model": call.route.model,
        "messages": [message.model_dump(exclude_unset=True) for message in call.messages],
    }
    for name in _PARAMETERS:
        if (value := getattr(request, name)) is not None:
            made[name] = value
    made.update(request.model_extra or {})
    if call.max_tokens is not None:
        newer = request.max_completion_tokens is not None or "max_completion_tokens" in params
        newer = newer or _NEW_LIMIT_ONLY.match(call.route.model) is not None
        made["max_completion_tokens" if newer else "max_tokens"] = call.max_tokens
    for name, value in params.items():
        if name not in NOT_BODY and not (name in _LIMITS and call.max_tokens is not None):
            made.setdefault(name, value)
    if call.stream:
        made["stream"] = True
        made["stream_options"] = {
            **as_object("stream_options", made.get("stream_options")),
            "include_usage": True,
        }
    else:
        made.pop("stream_options", None)
    return made
