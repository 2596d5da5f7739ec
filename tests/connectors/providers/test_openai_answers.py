"""What answers of OpenAI's format say beside their text: thinking, log-probabilities, own content."""

from typing import Any

import orjson
import pytest

from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_quirks import QUIRKS
from schemas.calls import Answer, Malformed, Piece, Unavailable
from tests.support.fixtures import wire, wire_json
from tests.support.oracle import fed

CODEC = OpenAICodec()


def read(message: dict[str, Any], choice: dict[str, Any] | None = None, **reply: Any) -> Answer:
    made = {"choices": [{"message": {"role": "assistant", **message}, **(choice or {})}], **reply}
    return CODEC.decode(200, {}, orjson.dumps(made))


def streamed(*deltas: dict[str, Any], **choice: Any) -> tuple[list[Piece], Answer]:
    events = [{"choices": [{"index": 0, "delta": delta, **choice}]} for delta in deltas]
    lines = [b"data: %b\n\n" % orjson.dumps(event) for event in events]
    return fed(CODEC, [*lines, b"data: [DONE]\n\n"])


THINKING = [
    ({"content": "a", "reasoning_content": "Hm."}, "Hm."),
    ({"content": "a", "reasoning": "Hm."}, "Hm."),
    ({"content": "a", "reasoning_content": "Hm.", "reasoning": "Hm."}, "Hm."),
    ({"content": "a", "reasoning_content": None, "reasoning": "Hm."}, "Hm."),
    ({"content": "a", "reasoning_content": "", "reasoning": None}, ""),
    ({"content": "a", "reasoning": {"effort": "high"}}, ""),
    ({"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "a"}]}, "Hm."),
    ({"content": [{"type": "thinking", "thinking": [{"text": "Hm"}, {"text": "."}]}, {"text": "a"}]}, "Hm."),
]


@pytest.mark.parametrize(("message", "reasoning"), THINKING)
def test_thinking_is_read_wherever_it_stands(message: dict[str, Any], reasoning: str):
    pieces, answer = streamed(message)

    assert (read(message).text, read(message).reasoning) == ("a", reasoning)
    assert (answer.text, answer.reasoning) == ("a", reasoning)
    assert pieces == [Piece("a", (), reasoning)]


def test_streamed_thinking_comes_before_the_text_and_piece_by_piece():
    pieces, answer = streamed({"reasoning": "H"}, {"reasoning": "m."}, {"content": "a"}, {})

    assert pieces == [Piece(reasoning="H"), Piece(reasoning="m."), Piece("a")]
    assert (answer.reasoning, answer.provider_content) == ("Hm.", None)


def test_streamed_log_probabilities_come_with_their_text_and_as_a_whole():
    pieces, answer = fed(CODEC, wire("openai_logprobs.stream.sse").splitlines(keepends=True))
    whole = CODEC.decode(200, {}, wire("openai_logprobs.reply.json"))

    assert [[found["token"] for found in piece.logprobs] for piece in pieces] == [["Grü"], ["ße"]]
    assert answer.logprobs is not None
    assert whole.logprobs is not None
    assert answer.logprobs["content"] == whole.logprobs["content"]


def test_log_probabilities_of_a_refusal_come_with_it():
    pieces, answer = fed(CODEC, [wire("openai_refusal.stream.sse")])

    assert [found["token"] for found in pieces[0].logprobs] == ["I can't", " do that."]
    assert answer.logprobs is not None
    assert [found["token"] for found in answer.logprobs["refusal"]] == ["I can't", " do that."]


@pytest.mark.parametrize(
    ("choice", "raw"),
    [
        ({"finish_reason": "stop"}, "stop"),
        ({"finish_reason": "stop", "native_finish_reason": "end_turn"}, "end_turn"),
        ({"finish_reason": "stop", "native_finish_reason": None}, "stop"),
        ({"finish_reason": "eos"}, "eos"),
        ({"finish_reason": None}, None),
        ({"finish_reason": ""}, None),
    ],
)
def test_the_servers_own_word_for_the_end_is_kept(choice: dict[str, Any], raw: str | None):
    assert read({"content": "a"}, choice).finish_reason_raw == raw
    assert streamed({"content": "a"}, **choice)[1].finish_reason_raw == raw


@pytest.mark.parametrize("reason", [None, ""])
def test_calls_without_a_reason_end_with_tool_calls(reason: str | None):
    calls = [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]

    assert read({"tool_calls": calls}, {"finish_reason": reason}).finish_reason == "tool_calls"
    assert streamed({"tool_calls": calls}, finish_reason=reason)[1].finish_reason == "tool_calls"


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_the_server_gave_up_is_none(reason: str):
    with pytest.raises(Unavailable, match=reason):
        read({"content": "a"}, {"finish_reason": reason})
    with pytest.raises(Unavailable, match=reason):
        streamed({"content": "a"}, finish_reason=reason)


def test_an_error_of_a_choice_is_an_error():
    choice = {"error": {"code": 502, "message": "upstream"}, "finish_reason": "error"}

    with pytest.raises(Unavailable, match="502: upstream"):
        read({"content": "a"}, choice)
    with pytest.raises(Unavailable, match="502: upstream"):
        streamed({"content": "a"}, **choice)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "a", "annotations": [], "audio": None, "refusal": None, "function_call": None},
        {"content": "a", "reasoning": "Hm.", "tool_calls": [{"id": "a", "function": {}}]},
        {"content": [{"type": "text", "text": "a"}, {"text": "b"}]},
        {"content": None, "refusal": "I can't."},
    ],
)
def test_own_content_is_kept_only_where_something_would_be_lost(message: dict[str, Any]):
    assert read(message).provider_content is None


@pytest.mark.parametrize(
    "message",
    [
        {"content": "a", "annotations": [{"type": "url_citation"}]},
        {"content": "a", "audio": {"id": "x"}},
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"content": [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]},
    ],
)
def test_a_message_that_has_more_is_kept_as_it_came(message: dict[str, Any]):
    assert read(message).provider_content == {
        "format": "openai",
        "server": "openai",
        "content": [{"role": "assistant", **message}],
    }


def test_sources_beside_the_message_are_kept():
    codec = OpenAICodec(QUIRKS["perplexity"])
    _, answer = fed(codec, [wire("openai_perplexity.stream.sse")])

    assert answer.provider_content == {
        "format": "openai",
        "server": "perplexity",
        "content": [{"role": "assistant", "content": "12 °C"}],
        "reply": {
            "citations": ["https://a.example", "https://b.example"],
            "search_results": [{"title": "B", "url": "https://b.example"}],
        },
    }
    assert read({"content": "a"}, citations=[]).provider_content is None
    told = [{"choices": [{"delta": {"content": "a"}}], "citations": found} for found in (["b"], [])]
    _, answer = fed(CODEC, [b"data: %b\n\n" % orjson.dumps(event) for event in told] + [b"data: [DONE]\n\n"])
    assert (answer.provider_content or {})["reply"] == {"citations": ["b"]}
    assert (read({"content": "a"}, citations=["b"]).provider_content or {})["reply"] == {"citations": ["b"]}


def test_a_streamed_message_is_put_together_as_the_server_would_have_sent_it():
    _, answer = fed(OpenAICodec(QUIRKS["openrouter"]), [wire("openai_openrouter.stream.sse")])

    [details] = (answer.provider_content or {})["content"][0].pop("reasoning_details")
    assert details == {
        "type": "reasoning.text",
        "format": "anthropic-claude-v1",
        "index": 0,
        "text": "Look it up.",
        "signature": "c2ln",
    }
    assert (answer.provider_content or {})["content"] == [
        {
            "role": "assistant",
            "content": "12 °C",
            "reasoning": "Look it up.",
            "annotations": wire_json("openai_annotated.reply.json")["choices"][0]["message"]["annotations"],
        }
    ]


def test_streamed_parts_with_thinking_are_put_together():
    _, answer = fed(CODEC, [wire("openai_mistral.stream.sse")])

    assert (answer.text, answer.reasoning) == ("12 °C", "Look it up.")
    assert (answer.provider_content or {})["content"][0]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Look it up."}]},
        {"type": "text", "text": "12 °C"},
    ]


def test_a_streamed_message_with_more_keeps_its_refusal_and_its_calls():
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    _, answer = streamed({"refusal": "No."}, {"tool_calls": [call]}, {"images": [{"index": 0}]})

    assert (answer.provider_content or {})["content"] == [
        {
            "role": "assistant",
            "content": None,
            "refusal": "No.",
            "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}, "type": "function"}],
            "images": [{"index": 0}],
        }
    ]


def test_a_streamed_custom_call_is_put_together():
    first = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "run", "input": ""}}
    pieces, answer = streamed(
        {"tool_calls": [first]}, {"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]}
    )

    assert answer.tool_calls == ({"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls"}},)
    assert len(pieces) == 2


def test_what_a_streamed_call_has_beside_its_function_is_kept():
    extra = {"google": {"thought_signature": "c2ln"}}
    call = {"id": "a", "function": {"name": "f", "arguments": None}, "extra_content": extra}
    pieces, answer = streamed({"tool_calls": [call]}, {"tool_calls": [{"function": {"arguments": "{}"}}]})

    assert answer.tool_calls[0] == {
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": extra,
    }
    assert [part["index"] for piece in pieces for part in piece.tool_calls] == [0, 0]


@pytest.mark.parametrize(
    "delta",
    [
        "text",
        {"content": 5},
        {"refusal": 5},
        {"tool_calls": 5},
        {"tool_calls": ["a"]},
        {"tool_calls": [{"index": []}]},
        {"content": ["a"]},
    ],
)
def test_a_field_of_a_wrong_type_is_malformed(delta: Any):
    with pytest.raises(Malformed):
        streamed(delta)
    with pytest.raises(Malformed):
        CODEC.decode(200, {}, orjson.dumps({"choices": [delta]}))


def test_what_only_the_end_shows_to_be_wrong_is_malformed():
    call = {"tool_calls": [{"index": 0, "function": 5}]}

    with pytest.raises(Malformed):
        streamed(call)
    with pytest.raises(Malformed):
        streamed({"content": "a"}, logprobs=5)
