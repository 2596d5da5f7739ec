"""Bodies that are wrong anywhere: the readers say so, and never break."""

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from itertools import product
from typing import Any

import orjson
import pytest

from connectors.gateway.dialects.anthropic_counting import input_tokens
from connectors.gateway.dialects.table import DIALECTS
from connectors.gateway.ports import Problem
from tests.support.anthropic_calls import IMAGE, MARK

TOOL: dict[str, Any] = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
BODIES: Mapping[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        "tools": [{"type": "function", "function": TOOL}], "tool_choice": "auto", "n": 1, "stop": ["a"],
        "stream_options": {"include_usage": True}, "modalities": ["text"], "stream": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a"}}, "fallbacks": ["a"],
    },
    "/v1/completions": {
        "model": "m", "prompt": ["a"], "n": 1, "best_of": 1, "stream_options": {}, "echo": False,
    },
    "/v1/embeddings": {"model": "m", "input": [[1, 2], [3]], "dimensions": 2, "encoding_format": "float"},
    "/v1/responses": {
        "model": "m", "instructions": "a", "include": ["reasoning.encrypted_content"], "store": False,
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://x/a.png"},
                                         {"type": "input_file", "file_id": "a"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}],
             "encrypted_content": "e30=", "content": [{"type": "reasoning_text", "text": "a"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]},
        ],
        "tools": [{"type": "function", **TOOL}], "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}},
        "top_logprobs": 2, "max_output_tokens": 9, "metadata": {"a": "b"}, "truncation": "disabled",
    },
    "/v1/messages": {
        "model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "a", "cache_control": MARK}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "a", "signature": "b"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}]},
                {"type": "document", "title": "a",
                 "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"},
        "stop_sequences": ["a"], "metadata": {"user_id": "u"}, "service_tier": "standard_only",
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 3,
    },
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def replaced(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = deepcopy(body)
    owner: Any = made
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    return made


WRONG: list[Any] = [
    None, 0, -1, 2**64 - 1, 1.5, True, "", "a", "\x00", [], [[]], {}, [1], ["a"], {"a": 1}, [None], [{}],
]  # fmt: skip


@pytest.mark.parametrize("path", BODIES)
def test_the_bodies_to_start_from_are_good(path: str):
    assert DIALECTS[path].read(deepcopy(BODIES[path]), {}).request


@pytest.mark.parametrize("path", BODIES)
def test_a_body_that_is_wrong_anywhere_is_read_or_refused(path: str):
    met: Counter[str] = Counter()
    for place, value in product(places(BODIES[path])[1:], WRONG):
        try:
            request = DIALECTS[path].read(replaced(BODIES[path], place, value), {}).request
        except Problem as problem:
            met[f"{problem.status} {problem.code}"] += 1
        else:
            met["read"] += 1
            assert orjson.loads(request.to_bytes())
            assert input_tokens(request, len) > 0

    assert met.keys() == {"read", "400 invalid_request"}
