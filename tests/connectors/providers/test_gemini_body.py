"""The body of a call to Gemini: parameters, tools, choices."""

from typing import Any

import orjson
import pytest

from connectors.providers.gemini import GeminiCodec
from schemas.calls import Refused
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire_json

CODEC = GeminiCodec()
FUNCTION: dict[str, Any] = {
    "name": "f",
    "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
}
TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}
LOOSE: dict[str, Any] = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}


def sent(request: dict[str, Any] | None = None, model: str = "gemini-2.5-flash", **settings: Any) -> Any:
    limit = settings.pop("max_tokens", None)
    route = make_route("gemini", model=model, **settings)
    call = make_call({"prompt": "hi", **(request or {})}, route=route, max_tokens=limit)
    return orjson.loads(CODEC.encode(call).body)


def config(request: dict[str, Any] | None = None, **settings: Any) -> Any:
    return sent(request, **settings).get("generationConfig", {})


def test_a_body_holds_every_parameter_and_none_of_weirs_own_fields():
    route = make_route("gemini", model="gemini-2.5-flash")
    body = orjson.loads(CODEC.encode(make_call(wire_json("full.request.json"), route=route)).body)

    assert body == wire_json("gemini_full.body.json")


def test_a_bare_prompt_is_one_turn_and_nothing_else():
    assert sent() == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 1},
            {"temperature": 0.5, "topP": 0.9, "topK": 3, "seed": 1},
        ),
        ({"presence_penalty": 1, "frequency_penalty": -1}, {"presencePenalty": 1, "frequencyPenalty": -1}),
        ({"stop": "a"}, {"stopSequences": ["a"]}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"max_tokens": 7}, {"maxOutputTokens": 7}),
        ({"n": 1, "candidateCount": 1}, {}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
        ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        (
            {
                "user": "u",
                "store": True,
                "stream_options": {},
                "safety_identifier": "x",
                "prompt_cache_key": "k",
            },
            {},
        ),
        ({"parallel_tool_calls": True, "service_tier": "auto"}, {}),
        ({"reasoning_effort": None, "made_up": None}, {}),
        ({"generation_config": {"top_k": 5, "candidateCount": 1, "x": 1}}, {"topK": 5, "x": 1}),
        ({"mediaResolution": "MEDIA_RESOLUTION_LOW"}, {"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
        ({"thinking_config": {"thinkingBudget": 5}}, {"thinkingConfig": {"thinkingBudget": 5}}),
    ],
)
def test_a_parameter_has_its_place(request_: dict[str, Any], expected: dict[str, Any]):
    assert config(request_) == expected


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-pro", "high", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("models/gemini-3.5-flash", "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-10-pro", "low", {"thinkingLevel": "LOW", "includeThoughts": True}),
    ],
)
def test_an_effort_is_a_level_or_a_budget(model: str, effort: str, expected: dict[str, Any]):
    assert config({"reasoning_effort": effort}, model=model) == {"thinkingConfig": expected}


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, {"thinkingBudget": 2000, "includeThoughts": True}),
        ({"type": "adaptive"}, {"thinkingBudget": -1, "includeThoughts": True}),
        ({"type": "disabled"}, {"thinkingBudget": 0}),
    ],
)
def test_thinking_in_anthropics_words_is_a_budget(thinking: dict[str, Any], expected: dict[str, Any]):
    assert config({"thinking": thinking}) == {"thinkingConfig": expected}


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        ({"type": "text"}, {}),
        ({"type": "json_object"}, {"responseMimeType": "application/json"}),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": FUNCTION["parameters"]}},
            {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            },
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": LOOSE}},
            {"responseMimeType": "application/json", "responseJsonSchema": LOOSE},
        ),
    ],
)
def test_a_response_format_is_a_type_and_a_schema(format_: dict[str, Any], expected: dict[str, Any]):
    before = {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string"}}}}

    assert config({"response_format": format_}, params=before) == expected


@pytest.mark.parametrize(
    ("request_", "model", "name"),
    [
        ({"n": 2}, "gemini-2.5-flash", "`n`"),
        ({"generationConfig": {"candidateCount": 2}}, "gemini-2.5-flash", "`n`"),
        ({"logit_bias": {"1": 1}}, "gemini-2.5-flash", "`logit_bias`"),
        ({"made_up": 1}, "gemini-2.5-flash", "`made_up`"),
        ({"parallel_tool_calls": False}, "gemini-2.5-flash", "`parallel_tool_calls`"),
        ({"service_tier": "scale"}, "gemini-2.5-flash", "`service_tier`"),
        ({"reasoning_effort": "max"}, "gemini-2.5-flash", "`reasoning_effort: max`"),
        ({"reasoning_effort": "none"}, "gemini-3-pro", "`reasoning_effort: none`"),
        ({"thinking": {"type": "disabled"}}, "gemini-3-pro", "`thinking.type: disabled`"),
        ({"thinking": {"type": "deep"}}, "gemini-2.5-flash", "`thinking.type: deep`"),
        ({"response_format": {"type": "grammar"}}, "gemini-2.5-flash", "`response_format`"),
    ],
)
def test_what_gemini_lacks_is_refused_by_name_or_dropped(request_: dict[str, Any], model: str, name: str):
    with pytest.raises(Refused, match=name):
        sent(request_, model=model)

    assert sent(request_, model=model, drop_params=True) == sent()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"logprobs": 5}, "`logprobs` must be true or false"),
        ({"modalities": "text"}, "`modalities` must be a list"),
        ({"thinking": "much"}, "`thinking` must be an object"),
        ({"generationConfig": 5}, "`generationConfig` must be an object"),
        ({"toolConfig": 5}, "`toolConfig` must be an object"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": 5}},
            "`response_format.json_schema` must",
        ),
        ({"tools": [{"type": "function"}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0"),
        ({"tools": [{}]}, "tools.0"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}, "function `f`"),
        ({"tool_choice": "required"}, "`tool_choice` needs a function"),
        ({"tools": [TOOL], "tool_choice": "some"}, "`tool_choice` is none"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "`tool_choice` is none"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "must name a function"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "`tool_choice` is none"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [5]}}},
            "must name a function",
        ),
    ],
)
def test_a_parameter_of_a_wrong_shape_is_refused(request_: dict[str, Any], reason: str):
    with pytest.raises(Refused, match=reason):
        sent(request_, drop_params=True)


def test_a_route_with_tools_of_a_wrong_type_is_refused():
    with pytest.raises(Refused, match="`tools` must be a list"):
        sent(params={"tools": 5})


def test_geminis_own_fields_go_out_as_they_are():
    own: dict[str, Any] = {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cachedContent": "cachedContents/1",
        "labels": {"team": "a"},
        "toolConfig": {"retrievalConfig": {"languageCode": "de"}},
        "tools": [{"googleSearch": {}}, {"codeExecution": {}}],
    }

    assert sent(own) == {**sent(), **own}
    assert sent({"safety_settings": own["safetySettings"], "cached_content": "cachedContents/1"}) == {
        **sent(),
        "safetySettings": own["safetySettings"],
        "cachedContent": "cachedContents/1",
    }
    assert sent({"service_tier": "flex"})["serviceTier"] == "flex"


def test_functions_are_declared_together_and_before_geminis_own_tools():
    bare = {
        "type": "function",
        "function": {"name": "g", "description": "d", "parameters": {"type": "object", "properties": {}}},
    }
    loose = {"type": "function", "function": {"name": "h", "parameters": LOOSE}}

    assert sent({"tools": [{"googleSearch": {}}, TOOL, bare, loose]})["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
                {"name": "g", "description": "d"},
                {"name": "h", "parametersJsonSchema": LOOSE},
            ]
        },
        {"googleSearch": {}},
    ]


STRICT = {"type": "function", "function": {**FUNCTION, "strict": True}}
NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("tool", "choice", "expected"),
    [
        (TOOL, None, None),
        (TOOL, "auto", {"mode": "AUTO"}),
        (TOOL, "none", {"mode": "NONE"}),
        (TOOL, "required", {"mode": "ANY"}),
        (TOOL, NAMED, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            TOOL,
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
        (
            TOOL,
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (STRICT, None, {"mode": "VALIDATED"}),
        (STRICT, "auto", {"mode": "VALIDATED"}),
        (STRICT, "required", {"mode": "ANY"}),
        (STRICT, "none", {"mode": "NONE"}),
    ],
)
def test_a_choice_is_a_mode(tool: dict[str, Any], choice: Any, expected: dict[str, Any] | None):
    body = sent({"tools": [tool], "tool_choice": choice})

    assert body.get("toolConfig") == (expected and {"functionCallingConfig": expected})


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_among_no_functions_says_nothing(choice: str):
    assert "toolConfig" not in sent({"tool_choice": choice})


def test_the_routes_parameters_fill_gaps_only():
    params = {"temperature": 0.9, "top_p": 0.5, "stream": True, "extra_headers": {"a": "b"}, "tools": [TOOL]}
    body = sent({"temperature": 0.1, "tools": [{"googleSearch": {}}]}, params=params)

    assert body["generationConfig"] == {"temperature": 0.1, "topP": 0.5}
    assert body["tools"] == [{"googleSearch": {}}]


def test_a_request_s_thinking_stands_for_the_routes_whatever_it_is_called():
    body = config({"thinking": {"type": "disabled"}}, params={"reasoning_effort": "high"})

    assert body == {"thinkingConfig": {"thinkingBudget": 0}}


@pytest.mark.parametrize(
    ("limit", "params", "expected"),
    [
        (None, {"max_tokens": 50}, 50),
        (None, {"max_tokens": 50, "max_completion_tokens": 60}, 60),
        (9, {"max_tokens": 50}, 9),
        (9, {"generationConfig": {"maxOutputTokens": 100}}, 9),
    ],
)
def test_the_calls_limit_goes_before_every_other(limit: int | None, params: dict[str, Any], expected: int):
    assert config(max_tokens=limit, params=params) == {"maxOutputTokens": expected}
