"""The body of a call to Claude's Messages API, from a request in the OpenAI shape. Pure.

response_format json_schema   output_config.format; its name and `strict` have no counterpart
reasoning_effort              output_config.effort (`minimal` is `low`); `none` is thinking disabled
stop                          stop_sequences
user, safety_identifier       metadata.user_id
service_tier                  `default` is `standard_only`
temperature                   0 to 1: above is refused, or 1 where the route has `drop_params`
max_tokens                    the call's, else the route's, else its `max_output_tokens`, else 4,096

Parameters of Anthropic's own go out as they are. What its API lacks is refused by name, or left out where
the route has `drop_params`. From API version 2026-10-21 on, temperature, top_p and top_k are among that.
Source: https://platform.claude.com/docs/en/api/messages and .../api/versioning.
"""

from collections.abc import Mapping

from connectors.providers.anthropic_tools import tool_choice, tools
from connectors.providers.anthropic_turns import lack, system, turns
from connectors.providers.wire import NOT_BODY, as_object
from schemas.base import JsonObject
from schemas.calls import Call, Refused

VERSION = "2026-10-21"
"""The `anthropic-version` that the official SDK (2.12) speaks; it has no sampling parameters any more."""
SAMPLED_VERSION = "2023-06-01"
"""The version that a call with sampling parameters speaks."""
SAMPLING = ("temperature", "top_p", "top_k")
"""Parameters that only `SAMPLED_VERSION` has."""
DEFAULT_MAX_TOKENS = 4096
"""Limit on the answer where nobody sets one; the API wants a number. A thinking budget is added to it."""
NATIVE = frozenset(
    {
        "billing_policy",
        "cache_control",
        "compaction",
        "container",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "inference_geo",
        "mcp_servers",
        "metadata",
        "speed",
        "stop_sequences",
        "thinking",
        "thread",
        "top_k",
    }
)
"""Parameters of the SDK's `MessageCreateParams`, beta included, that go out as they are."""
HEADERS: dict[str, str] = {
    "betas": "anthropic-beta",
    "user_profile_id": "anthropic-user-profile-id",
    "workspace_id": "anthropic-workspace-id",
}
"""Parameters of the SDK that are headers on the wire."""
COUNTED = NATIVE - {"container", "diagnostics", "fallback_credit_token", "inference_geo", "metadata"} - {
    "stop_sequences",
    "thread",
    "top_k",
} | {"messages", "model", "output_config", "system", "tool_choice", "tools"}
"""Fields of a body that the counting of tokens takes."""

_EFFORTS = {"minimal": "low", **{name: name for name in ("low", "medium", "high", "xhigh", "max")}}
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_WITHOUT_EFFECT = frozenset({"stream_options", "prompt_cache_key", "max_tokens", "max_completion_tokens"})
_DEFAULTS: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "store": (False,),
    "modalities": (["text"],),
}
_NAMED = ("temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")
_TWINS = {"stop": "stop_sequences", "user": "metadata", "safety_identifier": "metadata"}


def body(call: Call) -> JsonObject:
    """The body of a call.

    Raises:
        Refused: When Claude lacks a parameter and the route doesn't have `drop_params`.
    """
    wished = _wished(call)
    made: JsonObject = {"model": call.route.model, "messages": turns(call)}
    _place_system(call, made, wished.pop("system", None))
    if found := tools(wished.pop("tools", None)):
        made["tools"] = found
    parallel = wished.pop("parallel_tool_calls", None)
    choice = tool_choice(call, wished.pop("tool_choice", None), parallel, bool(found))
    if choice is not None:
        made["tool_choice"] = choice
    if config := _output_config(call, wished):
        made["output_config"] = config
    limit = _given_limit(call, wished)
    for name, value in wished.items():
        if value is not None:
            _place(call, name, value, made)
    made["max_tokens"] = limit or DEFAULT_MAX_TOKENS + _thinking_budget(made)
    if call.stream:
        made["stream"] = True
    return made


def version(call: Call) -> str:
    """The API version that the call speaks: the one that the route's `extra_headers` name, else by need."""
    extra = call.route.params.get("extra_headers")
    found = {str(name).lower(): value for name, value in extra.items()} if isinstance(extra, Mapping) else {}
    wished = _wished(call)
    sampled = any(wished.get(name) is not None for name in SAMPLING)
    return str(found.get("anthropic-version", SAMPLED_VERSION if sampled else VERSION))


def headers(call: Call) -> dict[str, str]:
    """The parameters of a call that are headers on the wire."""
    extra = call.request.model_extra or {}
    made: dict[str, str] = {}
    for name, header in HEADERS.items():
        value = extra.get(name, call.route.params.get(name))
        if value is not None:
            made[header] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return made


def _wished(call: Call) -> JsonObject:
    """All parameters by name: the request's, then the route's where the request has none."""
    request = call.request
    asked: JsonObject = dict(request.model_extra or {})
    for name in _NAMED:
        if (value := getattr(request, name)) is not None:
            asked[name] = value
    hidden = {_TWINS[name] for name in asked if name in _TWINS}
    hidden |= {name for name, twin in _TWINS.items() if twin in asked}
    if asked.get("reasoning_effort") == "none":
        hidden.add("thinking")
    wished: JsonObject = {
        name: value
        for name, value in call.route.params.items()
        if name not in NOT_BODY and name not in hidden and value is not None
    }
    wished.update(asked)
    return wished


def _place_system(call: Call, made: JsonObject, own: object) -> None:
    prompt = system(call)
    if own and prompt:
        raise Refused("`system`: give either the parameter or system turns")
    if own or prompt:
        made["system"] = own or prompt


def _output_config(call: Call, wished: JsonObject) -> JsonObject:
    """The shape and the effort of the answer; Anthropic's own `output_config` is kept around them."""
    config: JsonObject = dict(as_object("output_config", wished.pop("output_config", None)))
    effort = wished.pop("reasoning_effort", None)
    if effort == "none":
        _put(wished, "thinking", {"type": "disabled"}, "reasoning_effort")
    elif isinstance(effort, str) and effort in _EFFORTS:
        _put(config, "effort", _EFFORTS[effort], "reasoning_effort")
    elif effort is not None:
        lack(call, "reasoning_effort")
    wanted = as_object("response_format", wished.pop("response_format", None))
    if wanted and wanted.get("type") != "text":
        shape = as_object("response_format.json_schema", wanted.get("json_schema")).get("schema")
        if wanted.get("type") == "json_schema" and isinstance(shape, dict):
            _put(config, "format", {"type": "json_schema", "schema": shape}, "response_format")
        else:
            lack(call, "response_format", "only json_schema with a schema is known")
    return config


def _put(made: JsonObject, name: str, value: object, source: str) -> None:
    if name in made:
        raise Refused(f"`{source}` and `{name}` say the same; give one of them")
    made[name] = value


def _given_limit(call: Call, wished: JsonObject) -> int | None:
    given = call.max_tokens or wished.get("max_completion_tokens") or wished.get("max_tokens")
    return given or call.route.max_output_tokens


def _thinking_budget(made: JsonObject) -> int:
    thinking = made.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return budget if isinstance(budget, int) else 0


def _place(call: Call, name: str, value: object, made: JsonObject) -> None:
    """Put one parameter where Claude wants it."""
    if name in ("temperature", "top_p", "top_k"):
        _place_sampling(call, name, value, made)
    elif name in NATIVE:
        _put(made, name, value, "user" if name == "metadata" else "stop")
    elif name == "stop":
        _put(made, "stop_sequences", [value] if isinstance(value, str) else value, name)
    elif name in ("user", "safety_identifier"):
        if name == "user" or "metadata" not in made:
            made["metadata"] = {"user_id": value}
    elif name == "service_tier" and isinstance(value, str) and value in _TIERS:
        made[name] = _TIERS[value]
    elif name in HEADERS or name in _WITHOUT_EFFECT or value in _DEFAULTS.get(name, ()):
        return
    else:
        lack(call, name)


def _place_sampling(call: Call, name: str, value: object, made: JsonObject) -> None:
    if version(call) >= VERSION:
        lack(call, name, f"API version {version(call)} has no sampling parameters")
        return
    if name == "temperature" and isinstance(value, int | float) and value > 1:
        lack(call, name, "it must be 0 to 1 here; drop_params makes it 1")
        value = 1
    made[name] = value
