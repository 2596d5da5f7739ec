"""The tools of a call to Claude, and whether they must be called."""

from typing import Any

import orjson
import pytest

from connectors.providers.anthropic import AnthropicCodec
from schemas.calls import Refused
from tests.support.calls import make_call, make_route

CODEC = AnthropicCodec()
TOOL = {"type": "function", "function": {"name": "f"}}


def sent(request: dict[str, Any], **settings: Any) -> dict[str, Any]:
    call = make_call({"prompt": "hi", **request}, route=make_route("anthropic", **settings))
    return orjson.loads(CODEC.encode(call).body)


def refusal(request: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(Refused) as caught:
        sent(request, **settings)
    return caught.value.reason


def test_tools_of_a_route_must_be_a_list_of_objects():
    assert "`tools`" in refusal({}, params={"tools": "all"})
    assert "tools.0" in refusal({}, params={"tools": ["all"]})


def test_tools_keep_what_is_anthropics_own():
    own = {"name": "g", "input_schema": {"type": "object"}}
    computer = {"type": "computer_20250124", "name": "computer"}
    function = {"name": "f", "description": "F.", "strict": True, "input_examples": [{}]}
    tool = {"type": "function", "function": function, "defer_loading": True}

    assert sent({"tools": [tool, own, computer]})["tools"] == [
        {
            "name": "f",
            "description": "F.",
            "input_schema": {"type": "object", "properties": {}},
            "strict": True,
            "input_examples": [{}],
            "defer_loading": True,
        },
        own,
        computer,
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "made"),
    [
        ({"type": "any"}, None, {"type": "any"}),
        (
            {"type": "tool", "name": "f"},
            False,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ),
        ("none", False, {"type": "none"}),
        ("required", True, {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
        (None, True, None),
    ],
)
def test_a_choice_of_tools_is_translated(choice: object, parallel: bool | None, made: object):
    fields = {"tools": [TOOL], "tool_choice": choice, "parallel_tool_calls": parallel}

    assert sent(fields).get("tool_choice") == made


@pytest.mark.parametrize("choice", ["sometimes", {"type": "allowed_tools"}, {"type": "function"}])
def test_a_choice_that_claude_lacks_is_refused_or_dropped(choice: object):
    assert "`tool_choice`" in refusal({"tools": [TOOL], "tool_choice": choice})
    assert "tool_choice" not in sent({"tools": [TOOL], "tool_choice": choice}, drop_params=True)
