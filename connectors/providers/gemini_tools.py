"""Tools and their choice, from the OpenAI shape to Gemini's. Pure.

choice                       mode         allowedFunctionNames
(none given)                 AUTO, which is left out
auto                         AUTO
none                         NONE
required                     ANY
a function                   ANY          its name
allowed_tools, auto          VALIDATED    their names (AUTO would take any)
allowed_tools, required      ANY          their names

Where a function is `strict` and none is forced, VALIDATED stands for AUTO: calls then follow their schema.

Source: https://ai.google.dev/api/caching#Tool and #FunctionCallingConfig.
"""

from types import NoneType

from connectors.providers.gemini_schema import fit
from schemas.base import JsonObject
from schemas.calls import Refused

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def tools(found: object) -> tuple[list[JsonObject], list[JsonObject]]:
    """The functions in OpenAI's shape, and all tools in Gemini's.

    An entry without `type` is one of Gemini's own (`{"googleSearch": {}}`) and goes out as it is.

    Raises:
        Refused: When one isn't what it must be.
    """
    if not isinstance(found, (list, NoneType)):
        raise Refused("`tools` must be a list")
    functions: list[JsonObject] = []
    own: list[JsonObject] = []
    listed: list[object] = found or []
    for place, tool in enumerate(listed):
        function = _function(tool)
        if function is not None:
            functions.append(function)
        elif isinstance(tool, dict) and tool and "type" not in tool:
            own.append(tool)
        else:
            raise Refused(f"tools.{place}: neither a function nor a tool of gemini")
    if functions:
        own.insert(0, {"functionDeclarations": [_declared(function) for function in functions]})
    return functions, own


def _function(tool: object) -> JsonObject | None:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    return function if isinstance(function, dict) and function.get("name") else None


def _declared(function: JsonObject) -> JsonObject:
    made: JsonObject = {name: function[name] for name in ("name", "description") if function.get(name)}
    schema = function.get("parameters")
    if not isinstance(schema, (dict, NoneType)):
        raise Refused(f"the parameters of the function `{made['name']}` must be an object")
    if not schema or (schema.keys() <= {"type", "properties"} and not schema.get("properties")):
        return made
    said = fit(schema)
    made["parametersJsonSchema" if said is None else "parameters"] = said or schema
    return made


def tool_config(choice: object, functions: list[JsonObject]) -> JsonObject:
    """`toolConfig` for OpenAI's `tool_choice`; empty where there is nothing to say.

    Raises:
        Refused: When the choice can't be followed.
    """
    if not functions:
        if choice in (None, "auto", "none"):
            return {}
        raise Refused("`tool_choice` needs a function in `tools`")
    mode, names = _chosen(choice)
    if mode in (None, "AUTO") and any(function.get("strict") is True for function in functions):
        mode = "VALIDATED"
    if mode is None:
        return {}
    allowed = {"allowedFunctionNames": names} if names else {}
    return {"functionCallingConfig": {"mode": mode, **allowed}}


def _chosen(choice: object) -> tuple[str | None, list[str]]:
    if choice is None:
        return None, []
    if isinstance(choice, str) and choice in _MODES:
        return _MODES[choice], []
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and kind == "function":
        return "ANY", [_name(choice)]
    if isinstance(choice, dict) and kind == "allowed_tools":
        allowed = choice.get("allowed_tools")
        listed = allowed.get("tools") if isinstance(allowed, dict) else None
        if isinstance(allowed, dict) and isinstance(listed, list) and listed:
            names = [_name(tool) for tool in listed]
            return ("ANY" if allowed.get("mode") == "required" else "VALIDATED"), names
    raise Refused("`tool_choice` is none that gemini knows")


def _name(tool: object) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise Refused("`tool_choice` must name a function")
    return name
