"""Items of OpenAI's Responses API as turns of a chat. Pure.

What the assistant said and asked for in a row is one turn. `encrypted_content` of a reasoning item is ours:
the `provider_content` of that turn, so that a provider gets its signed thinking back.
Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

import binascii
from base64 import b64decode, b64encode

import orjson

from connectors.gateway.dialects.bodies import a_text, objects
from connectors.gateway.dialects.errors import invalid
from schemas.base import JsonObject

_ROLES = ("user", "assistant", "system", "developer")


def sealed(provider_content: JsonObject) -> str:
    """A turn's own content, as `encrypted_content`."""
    return b64encode(orjson.dumps(provider_content)).decode()


def turns(found: object) -> list[JsonObject]:
    """The turns that an `input` is.

    Raises:
        Problem: 400, which names the place at fault.
    """
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    made: list[JsonObject] = []
    for place, item in enumerate(objects("input", found)):
        path, kind = f"input.{place}", item.get("type", "message")
        if kind == "message":
            _message(path, item, made)
        elif kind == "function_call":
            _asked(path, item, made)
        elif kind == "function_call_output":
            call_id = a_text(f"{path}.call_id", item.get("call_id"))
            output = item.get("output")
            content = output if isinstance(output, str) else _parts(f"{path}.output", output)
            made.append({"role": "tool", "tool_call_id": call_id, "content": content})
        elif kind == "reasoning":
            made.append(_thought(path, item))
        else:
            raise invalid(f"{path}.type", "must be message, function_call, function_call_output or reasoning")
    return made


def _message(path: str, item: JsonObject, made: list[JsonObject]) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise invalid(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
    read = content if isinstance(content, str) else _parts(f"{path}.content", content)
    last = made[-1] if made else {}
    if (
        role == "assistant"
        and last.get("role") == "assistant"
        and not last.keys() & {"content", "tool_calls"}
    ):
        last["content"] = read
    else:
        made.append({"role": role, "content": read})


def _asked(path: str, item: JsonObject, made: list[JsonObject]) -> None:
    """A call of a tool, in the turn of the assistant that stands before it."""
    name, arguments = a_text(f"{path}.name", item.get("name")), item.get("arguments") or "{}"
    function = {"name": name, "arguments": a_text(f"{path}.arguments", arguments)}
    call = {"id": a_text(f"{path}.call_id", item.get("call_id")), "type": "function", "function": function}
    if not made or made[-1]["role"] != "assistant":
        made.append({"role": "assistant"})
    made[-1].setdefault("tool_calls", []).append(call)


def _thought(path: str, item: JsonObject) -> JsonObject:
    """The begin of a turn of the assistant: what it thought."""
    made: JsonObject = {"role": "assistant"}
    shown = [*_told(path, item, "summary"), *_told(path, item, "content")]
    if text := "\n\n".join(str(part.get("text") or "") for part in shown):
        made["reasoning_content"] = text
    if item.get("encrypted_content") is not None:
        made["provider_content"] = _opened(path, item["encrypted_content"])
    return made


def _told(path: str, item: JsonObject, name: str) -> list[JsonObject]:
    return objects(f"{path}.{name}", item[name]) if item.get(name) else []


def _opened(path: str, text: object) -> JsonObject:
    try:
        found = orjson.loads(b64decode(text, validate=True)) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict):
        raise invalid(f"{path}.encrypted_content", "was not made here; leave the item out")
    return found


def _parts(path: str, found: object) -> list[JsonObject]:
    return [_part(f"{path}.{place}", part) for place, part in enumerate(objects(path, found))]


def _part(path: str, part: JsonObject) -> JsonObject:
    """A part of a message in the chat's shape."""
    match part.get("type"):
        case "input_text" | "output_text" | "text" | "summary_text":
            return {"type": "text", "text": a_text(f"{path}.text", part.get("text"))}
        case "refusal":
            return {"type": "refusal", "refusal": a_text(f"{path}.refusal", part.get("refusal"))}
        case "input_image" if isinstance(part.get("image_url"), str):
            detail = {"detail": part["detail"]} if part.get("detail") else {}
            return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
        case "input_file" if part.get("file_data") or part.get("file_id"):
            names = ("file_data", "file_id", "filename")
            return {"type": "file", "file": {name: part[name] for name in names if part.get(name)}}
        case "input_audio":
            return part
        case _:
            raise invalid(path, "must be text, an image by URL, a file by data or id, or audio")
