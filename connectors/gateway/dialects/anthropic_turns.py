"""Turns of Anthropic's Messages API as messages in the OpenAI shape, for every provider. Pure.

What Weir's Anthropic codec makes of them is the body that came (but for what says nothing: an empty text, a
false `strict`). A turn of the assistant that the OpenAI shape would lose something of travels in
`provider_content`, too. Blocks without a counterpart go on as they are; providers that lack them refuse them.
Source: https://platform.claude.com/docs/en/api/messages.
"""

from base64 import b64encode

import orjson

from connectors.gateway.dialects.bodies import an_object, objects
from connectors.gateway.dialects.errors import invalid
from schemas.base import JsonObject

FORMAT = "anthropic"
"""Name of the format in `provider_content`."""
_DATA_KINDS = {"image": ("image/",), "document": ("application/pdf",)}
_RESULT = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
_USE = frozenset({"type", "id", "name", "input", "cache_control"})
_SIGNED = "signature"


def system_turns(found: object) -> list[JsonObject]:
    """The system prompt as a turn; none where it is empty."""
    if not found:
        return []
    content = found if isinstance(found, str) else _parts("system", objects("system", found))
    return [{"role": "system", "content": content}]


def turns(found: object) -> list[JsonObject]:
    """All turns, in order.

    Raises:
        Problem: 400, which names the place at fault.
    """
    made: list[JsonObject] = []
    for place, turn in enumerate(objects("messages", found)):
        role, content = turn.get("role"), turn.get("content")
        path = f"messages.{place}"
        if role not in ("user", "assistant", "system"):
            raise invalid(f"{path}.role", "must be user, assistant or system")
        if isinstance(content, str):
            made.append({"role": role, "content": content})
        elif role == "assistant":
            made.append(_said(f"{path}.content", objects(f"{path}.content", content)))
        else:
            made += _heard(f"{path}.content", str(role), objects(f"{path}.content", content))
    return made


def _heard(path: str, role: str, blocks: list[JsonObject]) -> list[JsonObject]:
    """A turn of the user: what tools answered are turns of their own, in their places."""
    made: list[JsonObject] = []
    for block in blocks:
        if block.get("type") == "tool_result" and block.keys() <= _RESULT and block.get("tool_use_id"):
            made.append(_result(path, block))
            continue
        part = _part(path, block)
        if made and made[-1]["role"] == role:
            made[-1]["content"].append(part)
        else:
            made.append({"role": role, "content": [part]})
    return made or [{"role": role, "content": []}]


def _result(path: str, block: JsonObject) -> JsonObject:
    content = block.get("content")
    if isinstance(content, list):
        content = _parts(f"{path}.content", objects(f"{path}.content", content))
    made: JsonObject = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}
    kept = ("is_error", "cache_control")
    return made | {name: block[name] for name in kept if block.get(name) is not None}


def _said(path: str, blocks: list[JsonObject]) -> JsonObject:
    """A turn of the assistant: text, calls, thinking; and the blocks themselves where that loses some."""
    made: JsonObject = {"role": "assistant"}
    texts = [block for block in blocks if block.get("type") == "text"]
    uses = [block for block in blocks if block.get("type") == "tool_use"]
    if texts:
        made["content"] = [{**block} for block in texts]
    if uses:
        made["tool_calls"] = [_call(path, use) for use in uses]
    if thoughts := "".join(str(block.get("thinking") or "") for block in blocks):
        made["reasoning_content"] = thoughts
    kept = [block for block in blocks if not _unsigned(block)]
    if not _plain([*texts, *uses], kept):
        made["provider_content"] = {"format": FORMAT, "content": kept}
    return made


def _unsigned(block: JsonObject) -> bool:
    """Thinking of another provider, which has no signature: Claude doesn't take it back."""
    return block.get("type") == "thinking" and not block.get(_SIGNED)


def _plain(said: list[JsonObject], kept: list[JsonObject]) -> bool:
    """Whether text and then calls of tools are all there is, in that order."""
    return said == kept and all(block["type"] == "text" or block.keys() <= _USE for block in kept)


def _call(path: str, use: JsonObject) -> JsonObject:
    if not isinstance(use.get("name"), str) or not isinstance(use.get("id"), str):
        raise invalid(path, "has a tool_use without id and name")
    arguments = orjson.dumps(an_object(f"{path}.input", use.get("input"))).decode()
    function = {"name": use["name"], "arguments": arguments}
    made: JsonObject = {"id": use["id"], "type": "function", "function": function}
    return made | {name: use[name] for name in ("cache_control",) if use.get(name) is not None}


def _parts(path: str, blocks: list[JsonObject]) -> list[JsonObject]:
    return [_part(path, block) for block in blocks]


def _part(path: str, block: JsonObject) -> JsonObject:
    """One block as a part in the OpenAI shape, where it has one; as it is otherwise."""
    kind = block.get("type")
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise invalid(path, "has a text block without text")
        return dict(block)
    source = block.get("source")
    if kind not in ("image", "document") or not isinstance(source, dict):
        return dict(block)
    made = _picture(block, source) if kind == "image" else _file(block, source)
    if made is None:
        return dict(block)
    mark = block.get("cache_control")
    return made | {"cache_control": mark} if mark else made


def _picture(block: JsonObject, source: JsonObject) -> JsonObject | None:
    if not block.keys() <= {"type", "source", "cache_control"}:
        return None
    if source.keys() == {"type", "url"} and str(source["url"]).startswith(("https://", "http://")):
        return {"type": "image_url", "image_url": {"url": source["url"]}}
    url = _data_url("image", source)
    return None if url is None else {"type": "image_url", "image_url": {"url": url}}


def _file(block: JsonObject, source: JsonObject) -> JsonObject | None:
    title = block.get("title")
    if not block.keys() <= {"type", "source", "cache_control", "title"} or title == "":
        return None
    file: JsonObject = {} if title is None else {"filename": title}
    if source.keys() == {"type", "file_id"}:
        return {"type": "file", "file": {"file_id": source["file_id"], **file}}
    if source.get("type") == "text" and source.get("media_type") == "text/plain":
        data = b64encode(str(source.get("data") or "").encode("utf-8", "surrogatepass")).decode()
        return {"type": "file", "file": {"file_data": f"data:text/plain;base64,{data}", **file}}
    url = _data_url("document", source)
    return None if url is None else {"type": "file", "file": {"file_data": url, **file}}


def _data_url(kind: str, source: JsonObject) -> str | None:
    """A data URL of what a source holds; `None` where it wouldn't come back the same."""
    media_type, held = source.get("media_type"), source.get("data")
    if source.keys() != {"type", "media_type", "data"} or source["type"] != "base64":
        return None
    if not isinstance(media_type, str) or not isinstance(held, str) or set(media_type) & set(";, "):
        return None
    return f"data:{media_type};base64,{held}" if media_type.startswith(_DATA_KINDS[kind]) else None
