"""The body of a call to a server that speaks OpenAI's chat completions. Pure.

Source: https://platform.openai.com/docs/api-reference/chat/create; the servers' rows in `openai_quirks.py`.
"""

import re

from connectors.providers.openai_quirks import OPENAI, Quirks
from connectors.providers.openai_turns import turns
from connectors.providers.wire import NOT_BODY, as_object
from schemas.base import JsonObject
from schemas.calls import Call, Refused

_PARAMETERS = ("temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")
_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
_NEW_LIMIT_ONLY = re.compile(r"(?:.*/)?(?:o\d|gpt-[5-9])")
_MEANT_WHEN_FALSE = frozenset({"seed", "parallel_tool_calls"})


def body(call: Call, quirks: Quirks = OPENAI) -> JsonObject:
    """The body of a call: the request's parameters, then the route's where the request has none.

    Weir's own fields never go out; fields that Weir doesn't know go out as they are.

    Raises:
        Refused: When a parameter isn't what it must be, or the server lacks it and the route doesn't have
            `drop_params`; the reason names it.
    """
    request, params = call.request, call.route.params
    made: JsonObject = {"model": _model(call, quirks), "messages": turns(call, quirks)}
    for name in _PARAMETERS:
        if (value := getattr(request, name)) is not None:
            made[name] = value
    made.update(request.model_extra or {})
    for name, value in params.items():
        if name not in NOT_BODY and name not in _LIMITS:
            made.setdefault(name, value)
    _limit(call, quirks, made)
    _fit(call, quirks, made)
    options = made.pop("stream_options", None)
    if call.stream:
        made["stream"] = True
        if quirks.stream_options:
            made["stream_options"] = {**as_object("stream_options", options), "include_usage": True}
    return made


def _model(call: Call, quirks: Quirks) -> str:
    model = call.route.model
    return model if "/" in model else quirks.model_prefix + model


def _limit(call: Call, quirks: Quirks, made: JsonObject) -> None:
    """The limit on the answer, once, by the name that server and model know."""
    params = call.route.params
    limit = call.max_tokens
    if limit is None and (found := _LIMITS.intersection(params)):
        limit = params[min(found)]
    if limit is None:
        return
    newer = call.request.max_completion_tokens is not None or "max_completion_tokens" in params
    newer = newer or _NEW_LIMIT_ONLY.match(call.route.model) is not None
    made[quirks.limit or ("max_completion_tokens" if newer else "max_tokens")] = limit


def _fit(call: Call, quirks: Quirks, made: JsonObject) -> None:
    """Take out what the server lacks, or refuse the call; what says nothing goes without a word."""
    if made.get("n") not in (None, 1):
        _drop(call, made, "n", "`n` must be 1, since one choice is read")
    for name in sorted(quirks.lacks.intersection(made)):
        if made[name] or (made[name] is not None and name in _MEANT_WHEN_FALSE):
            _drop(call, made, name, f"{quirks.name} does not know the parameter `{name}`")
        else:
            del made[name]
    form = made.get("response_format")
    if not quirks.json_schema and isinstance(form, dict) and form.get("type") == "json_schema":
        _drop(call, made, "response_format", f"{quirks.name} does not know a `response_format.json_schema`")
    for name, other in quirks.renames.items():
        if name in made:
            made[other] = made.pop(name)


def _drop(call: Call, made: JsonObject, name: str, reason: str) -> None:
    if not call.route.drop_params:
        raise Refused(f"{reason}; leave it out or set drop_params")
    del made[name]
