"""The turns of a call to Claude: roles, parts, media, calls of tools and their results."""

import re
from itertools import pairwise
from typing import Any

import orjson
import pytest
from anthropic.types.beta import BetaContentBlockParam
from anthropic.types.message_content_param import MessageContentParam
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.anthropic import AnthropicCodec
from connectors.providers.anthropic_turns import NATIVE_BLOCKS
from schemas.calls import Refused
from tests.support.calls import make_call, make_route

CODEC = AnthropicCodec()
HI = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral"}


def body(*turns: dict[str, Any], drop_params: bool = False) -> dict[str, Any]:
    call = make_call({"messages": list(turns)}, route=make_route("anthropic", drop_params=drop_params))
    return orjson.loads(CODEC.encode(call).body)


def content(*parts: dict[str, Any], drop_params: bool = False) -> Any:
    turn = {"role": "user", "content": [{"type": "text", "text": "a"}, *parts]}
    return body(turn, drop_params=drop_params)["messages"][0]["content"][1:]


def refusal(*turns: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(Refused) as caught:
        body(*turns, **settings)
    return caught.value.reason


def types(found: Any) -> set[str]:
    """The values that the `type` of a union's members may have."""
    names: set[str] = set()
    for member in getattr(found, "__args__", ()):
        names |= types(member)
    kind = getattr(found, "__annotations__", {}).get("type")
    return names | set(re.findall(r"['\"](\w+)['\"]", str(getattr(kind, "__forward_arg__", kind))))


def test_the_blocks_that_pass_are_those_of_the_sdk():
    known = types(MessageContentParam) | types(BetaContentBlockParam)

    assert known - {"text"} == NATIVE_BLOCKS


@pytest.mark.parametrize("kind", sorted(NATIVE_BLOCKS))
def test_a_block_of_their_own_passes_unread(kind: str):
    block = {"type": kind, "anything": [1]}

    assert content(block) == [block]


def test_system_turns_are_one_text_wherever_they_stand():
    found = body(
        {"role": "system", "content": "a"}, HI, {"role": "developer", "content": "b"},
        {"role": "system", "content": ""},
    )  # fmt: skip

    assert (found["system"], found["messages"]) == ("a\n\nb", [HI])
    assert "system" not in body({"role": "system", "content": None}, HI)
    assert "system" not in body({"role": "system", "content": []}, HI)


def test_a_marked_system_turn_makes_blocks_of_all():
    found = body(
        {"role": "system", "content": "a", "cache_control": MARK}, {"role": "system", "content": "b"}, HI
    )

    assert found["system"] == [
        {"type": "text", "text": "a", "cache_control": MARK},
        {"type": "text", "text": "b"},
    ]


def test_empty_turns_and_parts_are_left_out_and_neighbours_join():
    found = body(
        HI,
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": [{"type": "text", "text": ""}, {"type": "refusal", "refusal": ""}]},
        {"role": "user", "content": [{"type": "input_text", "text": "there"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": None, "refusal": "Never."},
    )

    assert found["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "No."}, {"type": "text", "text": "Never."}],
        },
    ]


def test_a_call_without_a_turn_is_refused():
    assert "a turn of the user" in refusal({"role": "system", "content": "a"})


def test_a_mark_on_a_turn_stands_on_its_last_block():
    turn = {
        "role": "user",
        "cache_control": MARK,
        "content": [{"type": "text", "text": "a"}, {"type": "image"}],
    }

    assert body(turn)["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image", "cache_control": MARK},
    ]
    assert "a turn of the user" in refusal({"role": "user", "content": "", "cache_control": MARK})


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"id": "a"}, "not a call of a function"),
        ({"id": "a", "function": "f"}, "not a call of a function"),
        ({"id": "a", "function": {"arguments": "{}"}}, "not a call of a function"),
        ({"id": "a", "function": {"name": "f", "arguments": "{"}}, "not a call of a function"),
        ({"id": "a", "function": {"name": "f", "arguments": "[1]"}}, "must be a JSON object"),
        ({"id": "a", "function": {"name": "f", "arguments": 5}}, "must be a JSON object"),
    ],
)
def test_a_call_of_a_tool_without_sense_is_refused(call: dict[str, Any], reason: str):
    found = refusal(HI, {"role": "assistant", "content": None, "tool_calls": [call]})

    assert found.startswith("messages.1.tool_calls: ")
    assert reason in found


def test_a_call_of_a_tool_alone_needs_no_text_and_keeps_its_mark():
    call = {"id": "a", "function": {"name": "f", "arguments": {"b": 1}}, "cache_control": MARK}

    assert body(HI, {"role": "assistant", "content": None, "tool_calls": [call]})["messages"][1][
        "content"
    ] == [{"type": "tool_use", "id": "a", "name": "f", "input": {"b": 1}, "cache_control": MARK}]


def test_a_result_may_be_an_error_and_have_a_mark():
    found = body(
        {"role": "tool", "tool_call_id": "a", "content": "x", "is_error": True, "cache_control": MARK}
    )

    assert found["messages"][0]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": "x",
            "is_error": True,
            "cache_control": MARK,
        }
    ]


def test_an_empty_result_is_one_all_the_same():
    found = body(HI, {"role": "tool", "tool_call_id": "a", "content": ""})

    assert found["messages"][0]["content"][1] == {"type": "tool_result", "tool_use_id": "a"}


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        ({"role": "tool", "content": "x"}, "messages.1.tool_call_id"),
        ({"role": "function", "name": "f", "content": "x"}, "messages.1.role"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f"}}, "messages.1.function_call"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages.1.content"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "ftp://x"}]}, "messages.1.content"),
        ({"role": "user", "content": [{"type": "file", "file": "a"}]}, "messages.1.content.file"),
        ({"role": "user", "content": [{"type": "file", "file": {"filename": "a"}}]}, "messages.1.content"),
    ],
)
def test_a_turn_that_nobody_takes_is_refused_by_its_place(turn: dict[str, Any], name: str):
    assert name in refusal(HI, turn)
    assert name in refusal(HI, turn, drop_params=True)


@pytest.mark.parametrize("kind", ["input_audio", "video_url", None])
def test_a_part_that_claude_lacks_is_refused_or_dropped(kind: str | None):
    part = {"type": kind, kind or "x": {}}

    assert f"`messages.0.content.{kind}`" in refusal({"role": "user", "content": [part]})
    assert content(part, drop_params=True) == []


def test_own_content_of_another_provider_does_not_count():
    for own in (
        {"format": "gemini", "content": [{"x": 1}]}, {"format": "anthropic"},
        {"format": "anthropic", "content": "x"},
    ):  # fmt: skip
        found = body(
            HI, {"role": "assistant", "content": "a", "reasoning_content": "r", "provider_content": own}
        )
        assert found["messages"][1]["content"] == "a"


def file(data: str, **fields: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **fields}}


def test_a_data_url_is_what_its_type_says_whatever_part_it_stands_in():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AA=="}}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}}

    assert content(file("data:image/gif;base64,AA==", filename="a.gif")) == [image]
    assert content({"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AA=="}}) == [pdf]
    assert content({"type": "image_url", "image_url": "http://x/a.png", "cache_control": MARK}) == [
        {"type": "image", "source": {"type": "url", "url": "http://x/a.png"}, "cache_control": MARK}
    ]


def test_a_file_may_be_one_that_was_uploaded():
    source = {"type": "file", "file_id": "f-1"}

    assert content({"type": "file", "file": {"file_id": "f-1"}}) == [{"type": "document", "source": source}]


def test_text_in_a_data_url_is_a_document_packed_or_not():
    source = {"type": "text", "media_type": "text/plain", "data": "a ü"}

    for data in ("data:text/csv;charset=utf-8;base64,YSDDvA==", "data:text/plain,a%20%C3%BC"):
        assert content(file(data, filename="t")) == [{"type": "document", "source": source, "title": "t"}]


@pytest.mark.parametrize(
    "data",
    [
        "AA==",
        "data:application/pdf;base64",
        "data:application/pdf,AA",
        "data:image/png,AA",
        "data:application/zip;base64,AA==",
        "data:text/plain;base64,!",
        "data:text/plain;base64,/w==",
        "data:text/plain,%FF",
        "data:,x",
    ],
)
def test_a_data_url_that_claude_cannot_take_is_refused(data: str):
    assert refusal({"role": "user", "content": [file(data)]}).startswith("messages.0.content: ")


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


@given(st.lists(st.tuples(ROLES, st.text(min_size=1, max_size=5)), max_size=8))
def test_speakers_alternate_and_every_word_goes_out_in_order(said: list[tuple[str, str]]):
    turns: list[dict[str, Any]] = [{"role": "user", "content": "first"}]
    for role, text in said:
        turns.append({"role": role, "content": text} | ({"tool_call_id": "t"} if role == "tool" else {}))

    found = body(*turns)

    spoken: list[tuple[str, str]] = []
    for turn in found["messages"]:
        blocks = turn["content"]
        for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
            role = "tool" if block["type"] == "tool_result" else turn["role"]
            spoken.append((role, block["content"] if role == "tool" else block["text"]))
    roles = [turn["role"] for turn in found["messages"]]
    assert all(one != other for one, other in pairwise(roles))
    assert spoken == [("user", "first"), *((role, text) for role, text in said if role != "system")]
    assert found.get("system", "") == "\n\n".join(text for role, text in said if role == "system")
