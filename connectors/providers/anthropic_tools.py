"""The tools of a call to Claude, and whether they must be called. Pure.

Tools in Anthropic's own shape (with an `input_schema`, or a server tool by its type) go out as they are.
Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview.
"""

from connectors.providers.anthropic_turns import lack
from schemas.base import JsonObject
from schemas.calls import Call, Refused

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_OWN_CHOICES = frozenset({"auto", "any", "none", "tool"})


def tools(found: object) -> list[JsonObject]:
    """The tools in Claude's shape; `cache_control` and Anthropic's other fields are kept.

    Raises:
        Refused: When one is not a function that can be called.
    """
    if found is None:
        return []
    if not isinstance(found, list):
        raise Refused("`tools` must be a list")
    return [_tool(place, tool) for place, tool in enumerate(found)]


def _tool(place: int, tool: object) -> JsonObject:
    if isinstance(tool, dict):
        function = tool.get("function")
        if isinstance(function, dict) and function.get("name"):
            made: JsonObject = {"name": function["name"]}
            if function.get("description") is not None:
                made["description"] = function["description"]
            made["input_schema"] = function.get("parameters") or {"type": "object", "properties": {}}
            if function.get("strict"):
                made["strict"] = True
            read = {"name", "description", "parameters", "strict"}
            made.update({name: value for name, value in function.items() if name not in read})
            made.update({name: value for name, value in tool.items() if name not in ("type", "function")})
            return made
        if "input_schema" in tool or tool.get("type") not in (None, "function", "custom"):
            return tool
    raise Refused(f"tools.{place}: neither a function with a name nor a tool of Anthropic's own")


def tool_choice(call: Call, choice: object, parallel: object, has_tools: bool) -> JsonObject | None:
    """The choice in Claude's shape; `parallel_tool_calls` false forbids more than one call at a time.

    Raises:
        Refused: When the choice is of a kind that Claude lacks.
    """
    made = _choice(call, choice)
    if not has_tools and (made is None or made["type"] in ("auto", "none")):
        return None
    if parallel is False and (made is None or made["type"] != "none"):
        made = {**(made or {"type": "auto"}), "disable_parallel_tool_use": True}
    return made


def _choice(call: Call, choice: object) -> JsonObject | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in _CHOICES:
        return {"type": _CHOICES[choice]}
    if isinstance(choice, dict):
        function = choice.get("function")
        if choice.get("type") == "function" and isinstance(function, dict) and function.get("name"):
            return {"type": "tool", "name": function["name"]}
        if choice.get("type") in _OWN_CHOICES:
            return choice
    lack(call, "tool_choice")
    return None
