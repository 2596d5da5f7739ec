"""The body of a call to Ollama's chat, from a request in the OpenAI shape. Pure.

Source: https://docs.ollama.com/api/chat and https://docs.ollama.com/modelfile#parameter (the options).
"""

import orjson

from connectors.providers.ollama_window import WHOLE, window_tokens
from connectors.providers.wire import NOT_BODY, as_object
from schemas.base import JsonObject
from schemas.calls import Call, Refused
from schemas.requests import Message, Request

FORMAT = "ollama"
"""Our name of the shape of Ollama's own content, in `provider_content`."""

_OPTIONS = frozenset(
    {
        "num_keep",
        "seed",
        "num_predict",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repeat_last_n",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "penalize_newline",
        "stop",
        "numa",
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "use_mmap",
        "num_thread",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "tfs_z",
    }
)
_TOP_LEVEL = frozenset({"think", "keep_alive", "logprobs", "top_logprobs", "format", "truncate", "shift"})
_WITHOUT_EFFECT = frozenset(
    {
        "user",
        "store",
        "service_tier",
        "stream_options",
        "parallel_tool_calls",
        "prompt_cache_key",
        "safety_identifier",
        "max_tokens",
        "max_completion_tokens",
    }
)
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_ROLES = {"developer": "system", "function": "tool"}


def body(call: Call) -> JsonObject:
    """The body of a call.

    Raises:
        Refused: When Ollama lacks a parameter and the route doesn't have `drop_params`.
        Missing: When the call doesn't fit the model.
    """
    made: JsonObject = {
        "model": call.route.model,
        "messages": _messages(call),
        "stream": call.stream,
        **WHOLE,
    }
    options: JsonObject = {}
    wished = _wished(call)
    if tools := _tools(call, wished):
        made["tools"] = tools
    if (form := _format(call, wished.pop("response_format", None))) is not None:
        made["format"] = form
    options.update(as_object("options", wished.pop("options", None)))
    if call.max_tokens is not None:
        options["num_predict"] = call.max_tokens
    for name, value in wished.items():
        _place(call, name, value, made, options)
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    options["num_ctx"] = window_tokens(call, options)
    made["options"] = options
    return made


def _wished(call: Call) -> JsonObject:
    """All parameters by name: the request's, then the route's where the request has none."""
    request: Request = call.request
    wished: JsonObject = {
        name: value for name, value in call.route.params.items() if name not in NOT_BODY and value is not None
    }
    if call.max_tokens is None and (limit := wished.pop("max_completion_tokens", wished.get("max_tokens"))):
        wished["num_predict"] = limit
    wished.update(request.model_extra or {})
    for name in ("temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format"):
        if (value := getattr(request, name)) is not None:
            wished[name] = value
    return wished


def _place(call: Call, name: str, value: object, made: JsonObject, options: JsonObject) -> None:
    """Put one parameter where Ollama wants it."""
    if name == "num_predict":
        options.setdefault(name, value)
    elif name in _OPTIONS:
        options[name] = value
    elif name in _TOP_LEVEL:
        made[name] = value
    elif name == "reasoning_effort":
        made["think"] = value if value in ("low", "medium", "high") else value not in ("none", None)
    elif name == "n":
        if value not in (1, None):
            _lack(call, "n")
    elif name not in _WITHOUT_EFFECT and value is not None:
        _lack(call, name)


def _tools(call: Call, wished: JsonObject) -> list[JsonObject] | None:
    """The tools, unless the choice is `none`; a forced one is beyond Ollama."""
    tools, choice = wished.pop("tools", None), wished.pop("tool_choice", None)
    if choice == "none":
        return None
    if choice not in (None, "auto"):
        _lack(call, "tool_choice")
    return tools


def _format(call: Call, found: object) -> str | JsonObject | None:
    wanted = as_object("response_format", found)
    kind = wanted.get("type")
    if not wanted or kind == "text":
        return None
    if kind == "json_object":
        return "json"
    schema = as_object("response_format.json_schema", wanted.get("json_schema")).get("schema")
    if kind == "json_schema" and isinstance(schema, dict):
        return schema
    _lack(call, "response_format")
    return None


def _lack(call: Call, name: str) -> None:
    if not call.route.drop_params:
        raise Refused(f"ollama does not know the parameter `{name}`; leave it out or set drop_params")


def _messages(call: Call) -> list[JsonObject]:
    names: dict[str, str] = {}
    return [_message(call, place, message, names) for place, message in enumerate(call.messages)]


def _message(call: Call, place: int, message: Message, names: dict[str, str]) -> JsonObject:
    """One turn; `names` remembers which function a tool call asked for, for the turn that answers it."""
    text, images = _content(call, place, message.content)
    made: JsonObject = {"role": _ROLES.get(message.role, message.role)}
    if text:
        made["content"] = text
    if message.reasoning_content:
        made["thinking"] = message.reasoning_content
    if images:
        made["images"] = images
    made = {**_own_content(message), **made}
    if message.tool_calls:
        made["tool_calls"] = [_asked(place, found, names) for found in message.tool_calls]
    if made["role"] == "tool":
        name = names.get(message.tool_call_id or "") or message.name
        if name:
            made["tool_name"] = name
    return made


def _own_content(message: Message) -> JsonObject:
    """Fields of an earlier answer that OpenAI's shape has no place for, as Ollama sent them."""
    kept = message.provider_content or {}
    content = kept.get("content")
    if kept.get("format") != FORMAT or not isinstance(content, list):
        return {}
    return {name: value for part in content if isinstance(part, dict) for name, value in part.items()}


def _asked(place: int, found: JsonObject, names: dict[str, str]) -> JsonObject:
    """A tool call of an earlier turn: Ollama takes the arguments as an object."""
    try:
        function = found["function"]
        name, arguments = function["name"], function.get("arguments") or "{}"
        read = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise Refused(f"messages.{place}.tool_calls: not a call of a function with JSON arguments") from error
    names[str(found.get("id"))] = name
    return {"function": {"name": name, "arguments": read}}


def _content(call: Call, place: int, content: str | list[JsonObject] | None) -> tuple[str, list[str]]:
    """The text and the base64 images of a turn."""
    if not isinstance(content, list):
        return content or "", []
    texts: list[str] = []
    images: list[str] = []
    for part in content:
        kind = part.get("type")
        if kind in _TEXTS:
            texts.append(str(part.get(_TEXTS[kind]) or ""))
        elif kind == "image_url":
            images.append(_image(place, part.get("image_url")))
        else:
            _lack(call, f"messages.{place}.content.{kind}")
    return "\n".join(texts), images


def _image(place: int, found: object) -> str:
    url = found.get("url") if isinstance(found, dict) else found
    head, comma, data = str(url).partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise Refused(f"messages.{place}.content: ollama takes images only as base64 data URLs")
    return data
