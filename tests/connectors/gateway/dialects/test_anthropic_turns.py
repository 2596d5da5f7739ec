"""Bodies of Anthropic's API on their way through Weir: what comes out at Claude is what came in."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.gateway.dialects.anthropic_messages import AnthropicMessages
from connectors.gateway.ports import Problem
from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.anthropic_body import HEADERS
from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from schemas.base import JsonObject
from schemas.calls import HttpRequest
from schemas.requests import Request
from tests.support.anthropic_calls import CALLS, IMAGE, MARK, MODEL, PDF, OracleCall
from tests.support.calls import make_call, make_route

READ = AnthropicMessages().read
PLACED_BY_THE_SDK = frozenset({"extra_body", "extra_headers", "betas", "user_profile_id", "workspace_id"})


def sent(request: Request) -> HttpRequest:
    """What our codec makes of a request that went over the topic."""
    wire = orjson.loads(request.to_bytes())
    return AnthropicCodec().encode(make_call(wire, route=make_route("anthropic", model=MODEL)))


def through(body: JsonObject, headers: dict[str, str] | None = None) -> JsonObject:
    return orjson.loads(sent(READ(body, headers or {}).request).body)


def as_sent(case: OracleCall) -> tuple[JsonObject, dict[str, str]]:
    """Body and headers, as the SDK puts its arguments on the wire."""
    body: JsonObject = {name: value for name, value in case.sdk.items() if name not in PLACED_BY_THE_SDK}
    body |= case.sdk.get("extra_body") or {}
    headers = {
        header: ",".join(case.sdk[name]) if name == "betas" else case.sdk[name]
        for name, header in HEADERS.items()
        if name in case.sdk
    }
    return {"model": MODEL, **orjson.loads(orjson.dumps(body, default=list))}, headers


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_every_call_that_the_sdk_makes_comes_out_as_it_went_in(case: OracleCall):
    body, headers = as_sent(case)

    made = sent(READ(body, headers).request)

    assert orjson.loads(made.body) == body
    assert {name: value for name, value in made.headers.items() if name in HEADERS.values()} == headers


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
MARKS: st.SearchStrategy[JsonObject] = st.sampled_from([{}, {"cache_control": MARK}])
TEXTS = st.builds(lambda words, mark: {"type": "text", "text": words, **mark}, WORDS, MARKS)
PICTURES = st.builds(lambda mark: {**IMAGE, **mark}, MARKS)
LINKS = st.just({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})
UPLOADS = st.just({"type": "image", "source": {"type": "file", "file_id": "file_1"}})
TITLES: st.SearchStrategy[JsonObject] = st.sampled_from(
    [{}, {"title": "a.pdf"}, {"citations": {"enabled": True}}]
)
SOURCES: st.SearchStrategy[JsonObject] = st.sampled_from(
    [
        {"type": "base64", "media_type": "application/pdf", "data": PDF},
        {"type": "text", "media_type": "text/plain", "data": "Grüße"},
        {"type": "file", "file_id": "file_1"},
        {"type": "url", "url": "https://example.com/b.pdf"},
        {"type": "content", "content": "Grüße"},
    ]
)
DOCUMENTS = st.builds(
    lambda source, title, mark: {"type": "document", "source": source, **title, **mark},
    SOURCES,
    TITLES,
    MARKS,
)
PARTS = st.one_of(TEXTS, PICTURES, LINKS, UPLOADS, DOCUMENTS)
RESULTS = st.builds(
    lambda held, error, mark: {"type": "tool_result", "tool_use_id": "toolu_1", **held, **error, **mark},
    st.one_of(st.just({}), WORDS.map(lambda w: {"content": w}),
              st.lists(PARTS, min_size=1, max_size=2).map(lambda p: {"content": p})),
    st.sampled_from([{}, {"is_error": True}, {"is_error": False}]),
    MARKS,
)  # fmt: skip
USES = st.builds(
    lambda name, given, mark: {"type": "tool_use", "id": "toolu_1", "name": name, "input": given, **mark},
    WORDS, st.dictionaries(WORDS, st.one_of(st.integers(-9, 9), st.floats(-9, 9), WORDS), max_size=2), MARKS,
)  # fmt: skip
THOUGHTS = st.one_of(
    st.builds(lambda words: {"type": "thinking", "thinking": words, "signature": "EqQB"}, WORDS),
    st.just({"type": "redacted_thinking", "data": "xyz"}),
    st.just({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}),
)
HEARD = st.one_of(WORDS, st.lists(st.one_of(PARTS, RESULTS), min_size=1, max_size=4))
SAID = st.one_of(WORDS, st.lists(st.one_of(TEXTS, USES, THOUGHTS), min_size=1, max_size=4))
TURNS = st.lists(st.tuples(HEARD, SAID), min_size=1, max_size=3).map(
    lambda pairs: [
        {"role": role, "content": content}
        for pair in pairs
        for role, content in zip(("user", "assistant"), pair, strict=True)
    ]
)
TOOL = st.builds(
    lambda name, more, mark: {"name": name, "input_schema": {"type": "object"}, **more, **mark},
    WORDS, st.sampled_from([{}, {"description": "Now."}, {"strict": True}, {"defer_loading": True}]), MARKS,
)  # fmt: skip
CHOICES: list[JsonObject] = [
    {"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "get_weather"}, {"type": "none"},
    {"type": "any", "disable_parallel_tool_use": True},
]  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "system": st.one_of(WORDS, st.lists(TEXTS, min_size=1, max_size=2)),
        "stop_sequences": st.lists(WORDS, max_size=2),
        "metadata": st.just({"user_id": "u-1"}),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "thinking": st.just({"type": "enabled", "budget_tokens": 2048}),
        "temperature": st.floats(0, 1),
        "top_k": st.integers(1, 9),
        "output_config": st.sampled_from(
            [{"effort": "high"}, {"format": {"type": "json_schema", "schema": {"type": "object"}}},
             {"effort": "low", "task_budget": {"type": "tokens", "total": 20000}}]
        ),
    },
)  # fmt: skip


@settings(deadline=None)
@given(TURNS, OPTIONS, st.lists(TOOL, min_size=1, max_size=2), st.sampled_from([None, *CHOICES]))
def test_any_body_comes_out_as_it_went_in(
    turns: list[JsonObject], options: JsonObject, tools: list[JsonObject], choice: JsonObject | None
):
    body: JsonObject = {"model": MODEL, "max_tokens": 4000, "messages": turns, **options}
    if choice is not None:
        body |= {"tools": tools, "tool_choice": choice}

    assert through(body) == body


def test_thinking_without_a_signature_is_not_sent_back_to_claude_but_kept_for_others():
    said = [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "Hi."}]
    hi = {"role": "user", "content": "Hi."}
    body: JsonObject = {
        "model": MODEL,
        "max_tokens": 9,
        "messages": [hi, {"role": "assistant", "content": said}, hi],
    }

    asked = READ(body, {}).request

    assert asked.messages is not None
    assert asked.messages[1].reasoning_content == "Hm."
    assert orjson.loads(sent(asked).body)["messages"][1]["content"] == said[1:]


def test_a_body_with_tools_can_be_asked_of_other_providers():
    body: JsonObject = {
        "model": "any", "max_tokens": 9, "system": "Be brief.", "stop_sequences": ["\n"],
        "tools": [{"type": "custom", "name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What?"}, IMAGE]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "12"}]},
        ],
    }  # fmt: skip

    asked = orjson.loads(READ(body, {}).request.to_bytes())
    openai = orjson.loads(OpenAICodec().encode(make_call(asked, max_tokens=9)).body)
    del asked["tool_choice"]  # Ollama refuses it by name
    local = make_call(asked, route=make_route("ollama"), max_tokens=9)
    ollama = orjson.loads(OllamaCodec().encode(local).body)

    assert [turn["role"] for turn in openai["messages"]] == ["system", "user", "assistant", "tool"]
    assert openai["messages"][1]["content"][1]["type"] == "image_url"
    assert openai["messages"][2]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert openai["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert (openai["stop"], openai["parallel_tool_calls"]) == (["\n"], False)
    assert ollama["messages"][1]["images"] == [IMAGE["source"]["data"]]


HI: JsonObject = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "Hi."}, "messages"),
        ({"messages": ["Hi."]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "Hi."}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": []}]}]}, "messages.0.content.input"),
        ({"prompt": "Hi."}, "prompt"),
        ({"system": 1}, "system"),
        ({"tools": [{"name": "f"}]}, "tools.0"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"metadata": "u-1"}, "metadata"),
        ({"request_id": "mine"}, "request_id"),
        ({"max_token": 9}, "max_token"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(fields: JsonObject, param: str):
    with pytest.raises(Problem) as caught:
        READ({**HI, **fields}, {})

    assert (caught.value.status, caught.value.param) == (400, param)
    assert param in caught.value.message


def test_turns_of_the_system_and_empty_ones_are_taken():
    asked = READ({**HI, "system": [], "messages": [
        {"role": "user", "content": []},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi."},
    ]}, {}).request  # fmt: skip

    assert [turn.role for turn in asked.messages or ()] == ["user", "system", "user"]
    assert orjson.loads(sent(asked).body)["system"] == "Be brief."


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "text/html", "data": "x"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png;a", "data": "x"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x", "more": 1}},
        {"type": "image", "source": {"type": "url", "url": "ftp://example.com/a.png"}},
        {"type": "image", "source": "x"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}, "more": 1},
        {"type": "document", "source": {"type": "base64", "media_type": "image/png", "data": "x"}},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "x"},
            "title": "",
        },
        {"type": "tool_result", "tool_use_id": "t", "content": "x", "more": 1},
    ],
)
def test_a_block_that_would_not_come_back_the_same_stays_as_it_is(block: JsonObject):
    body: JsonObject = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}

    asked = READ(body, {}).request

    assert asked.messages is not None
    assert asked.messages[0].content == [block]
    assert through(body) == body
