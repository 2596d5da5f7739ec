"""The turns of a call to Claude, from messages in the OpenAI shape. Pure.

Rules that hold here:
- System and developer turns go to `system`, in their order, wherever they stood.
- Turns of one speaker in a row become one; the answers of tools are turns of the user.
- A turn that brings its own `provider_content` of this format is sent as it is, signatures included.
- Blocks in Claude's own shape pass unread; thinking without its signature can't be sent and is left out.

Source: https://platform.claude.com/docs/en/api/messages.
"""

import orjson

from connectors.providers.anthropic_media import image, media
from connectors.providers.wire import as_object
from schemas.base import JsonObject
from schemas.calls import Call, Refused
from schemas.requests import Message

FORMAT = "anthropic"
"""Name of this format in `provider_content`."""
NATIVE_BLOCKS = frozenset(
    {
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "compaction",
        "container_upload",
        "document",
        "fallback",
        "image",
        "mcp_tool_listing",
        "mcp_tool_result",
        "mcp_tool_use",
        "redacted_thinking",
        "search_result",
        "server_tool_use",
        "text_editor_code_execution_tool_result",
        "thinking",
        "tool_addition",
        "tool_removal",
        "tool_result",
        "tool_search_tool_result",
        "tool_use",
        "web_fetch_tool_result",
        "web_search_tool_result",
    }
)
"""Types of blocks that go out as they are: those of the SDK's `MessageContentParam`, beta included."""
_SYSTEM = ("system", "developer")


def lack(call: Call, name: str, advice: str = "leave it out or set drop_params") -> None:
    """Refuse what Claude lacks by its name, or let it be left out where the route has `drop_params`."""
    if not call.route.drop_params:
        raise Refused(f"anthropic does not take the parameter `{name}`; {advice}")


def turns(call: Call) -> list[JsonObject]:
    """The turns of user and assistant, those of one speaker in a row as one.

    Raises:
        Refused: When a turn can't be said in Claude's shape, or none is left.
    """
    made: list[JsonObject] = []
    for place, message in enumerate(call.messages):
        if message.role in _SYSTEM:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content = _content(call, place, message)
        if not content:
            continue
        if made and made[-1]["role"] == role:
            made[-1]["content"] = [*_blocks(made[-1]["content"]), *_blocks(content)]
        else:
            made.append({"role": role, "content": content})
    if not made:
        raise Refused("messages: anthropic needs a turn of the user with content")
    return made


def system(call: Call) -> str | list[JsonObject] | None:
    """The system prompt: one text where all its turns are plain, else blocks; `None` where there is none."""
    found = [
        _parts(call, place, message) for place, message in enumerate(call.messages) if message.role in _SYSTEM
    ]
    texts = [content for content in found if isinstance(content, str) and content]
    if all(isinstance(content, str) for content in found):
        return "\n\n".join(texts) or None
    return [block for content in found for block in _blocks(content)] or None


def _content(call: Call, place: int, message: Message) -> str | list[JsonObject]:
    if message.role == "tool":
        return [_result(call, place, message)]
    if message.role == "assistant":
        return _said(call, place, message)
    if message.role == "function":
        raise Refused(f"messages.{place}.role: `function` names no call; use `tool` with `tool_call_id`")
    return _parts(call, place, message)


def _said(call: Call, place: int, message: Message) -> str | list[JsonObject]:
    """A turn of the assistant: its own content, or text and then the calls of tools."""
    own = message.provider_content or {}
    if own.get("format") == FORMAT and isinstance(own.get("content"), list):
        return own["content"]
    extra = message.model_extra or {}
    if extra.get("function_call"):
        raise Refused(f"messages.{place}.function_call: use `tool_calls`")
    content = _parts(call, place, message)
    if not content and isinstance(extra.get("refusal"), str):
        content = extra["refusal"]
    if not message.tool_calls:
        return content
    return [*_blocks(content), *(_asked(place, found) for found in message.tool_calls)]


def _asked(place: int, found: JsonObject) -> JsonObject:
    """A call of a tool; Claude takes the arguments as an object."""
    try:
        function = found["function"]
        name, arguments = function["name"], function.get("arguments") or "{}"
        read = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise Refused(f"messages.{place}.tool_calls: not a call of a function with JSON arguments") from error
    if not isinstance(read, dict):
        raise Refused(f"messages.{place}.tool_calls: the arguments must be a JSON object")
    made: JsonObject = {"type": "tool_use", "id": found.get("id"), "name": name, "input": read}
    return _marked(made, found)


def _result(call: Call, place: int, message: Message) -> JsonObject:
    """What a tool answered, text or parts; `is_error` and `cache_control` on the turn hold for the block."""
    if not message.tool_call_id:
        raise Refused(f"messages.{place}.tool_call_id: must name the call that this turn answers")
    made: JsonObject = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    extra = message.model_extra or {}
    if content := _parts(call, place, message, mark=False):
        made["content"] = content
    if extra.get("is_error") is not None:
        made["is_error"] = extra["is_error"]
    return _marked(made, extra)


def _parts(call: Call, place: int, message: Message, *, mark: bool = True) -> str | list[JsonObject]:
    """The content of a turn: a plain text, or blocks; a `cache_control` of the turn marks its last block."""
    content = message.content or ""
    mark = mark and bool((message.model_extra or {}).get("cache_control"))
    if isinstance(content, str) and not mark:
        return content
    blocks = _blocks(content) if isinstance(content, str) else _translated(call, place, content)
    if mark and blocks:
        blocks[-1] = _marked(blocks[-1], message.model_extra or {})
    return blocks


def _translated(call: Call, place: int, parts: list[JsonObject]) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    for part in parts:
        block = _block(call, f"messages.{place}.content", part)
        if block is not None:
            blocks.append(block)
    return blocks


def _block(call: Call, path: str, part: JsonObject) -> JsonObject | None:
    """One part in Claude's shape; `None` where nothing is left of it."""
    kind = part.get("type")
    if kind in NATIVE_BLOCKS:
        return part
    if kind in ("text", "input_text"):
        return {**part, "type": "text"} if part.get("text") else None
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]} if part.get("refusal") else None
    if kind == "image_url":
        return _marked(image(path, part.get("image_url")), part)
    if kind == "file":
        return _marked(media(path, as_object(f"{path}.file", part.get("file"))), part)
    lack(call, f"{path}.{kind}")
    return None


def _blocks(content: str | list[JsonObject]) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _marked(block: JsonObject, source: JsonObject) -> JsonObject:
    """The block with the `cache_control` of what it was made from."""
    mark = source.get("cache_control")
    return {**block, "cache_control": mark} if mark else block
