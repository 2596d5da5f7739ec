"""Counting what is sent."""

from dataclasses import dataclass, field

import pytest

from flows.stages.count import (
    ANSWER_TOKENS,
    ENVELOPES,
    PART_TOKENS,
    TURN_TOKENS,
    RequestTokens,
    count,
    count_batch,
    count_request,
)
from flows.stages.jobs import Job
from flows.stages.pictures import LOW_DETAIL_TOKENS, UNKNOWN_TOKENS, Family
from flows.stages.recall import recall
from schemas.requests import Message
from tests.flows.stages.making import job


@dataclass
class Letters:
    """Counts letters; remembers what it was asked."""

    kind: str = "calibrated"
    asked: list[list[str]] = field(default_factory=list[list[str]])

    def count_many(self, texts: list[str]) -> list[int]:
        self.asked.append(texts)
        return [len(text) for text in texts]


def counted(**fields: object) -> Job:
    return count(recall(job(**fields)), Letters())


def test_text_and_envelope_are_counted():
    assert counted(prompt="12345").input_tokens == 5 + TURN_TOKENS + ANSWER_TOKENS


def test_context_is_counted_with_the_prompt():
    assert counted(prompt="1", context="x" * 100).input_tokens > 100


def test_names_tool_calls_tools_and_schema_are_counted():
    turn = {"role": "assistant", "name": "abc", "tool_calls": [{"id": 1}]}
    fields = {"tools": [{"a": 1}], "response_format": {"b": 22}}

    texts = len("abc") + len('{"id":1}') + len('{"a":1}') + len('{"b":22}')
    envelope = TURN_TOKENS + ANSWER_TOKENS + 12 + 7
    assert counted(messages=[turn], **fields).input_tokens == texts + envelope


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "text", "text": "abcd"}, 4),
        ({"type": "image_url", "image_url": {"url": "data:x"}}, PART_TOKENS),
        ({"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}, LOW_DETAIL_TOKENS),
        ({"type": "image_url", "image_url": "data:x"}, PART_TOKENS),
        ({"type": "input_audio", "input_audio": {"data": "x" * 99_999}}, PART_TOKENS),
    ],
)
def test_part_is_counted_by_its_kind(part: dict[str, object], tokens: int):
    turn = {"role": "user", "content": [part]}

    assert counted(messages=[turn]).input_tokens == tokens + TURN_TOKENS + ANSWER_TOKENS


def test_batch_is_counted_with_one_call_and_each_job_gets_its_own():
    letters = Letters()
    jobs = [recall(job(prompt=text)) for text in ("a", "bbb", "cc")]

    counts = [each.input_tokens - TURN_TOKENS - ANSWER_TOKENS for each in count_batch(jobs, letters)]
    assert counts == [1, 3, 2]
    assert letters.asked == [["a", "bbb", "cc"]]


@pytest.mark.parametrize(
    ("kind", "noted"), [("exact", "exact"), ("calibrated", "calibrated"), ("guess", "estimate")]
)
def test_trust_in_the_count_is_the_counters(kind: str, noted: str):
    assert count(recall(job()), Letters(kind)).estimate_kind == noted


@pytest.mark.parametrize(
    ("family", "envelope"),
    [("openai", 28), ("anthropic", 365), ("gemini", 24)],
)
def test_each_family_has_its_own_envelope_and_pictures(family: str, envelope: int):
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages = [
        Message(role="system", content="be brief"),
        Message(role="user", content=[{"type": "text", "text": "hi"}, picture]),
    ]
    found = count_request(messages, [{"a": 1}], Letters(), Family(family), response_format={"b": 2})

    assert found == RequestTokens(
        text_tokens=len('be briefhi{"a":1}{"b":2}'),
        envelope_tokens=envelope,
        part_tokens=UNKNOWN_TOKENS[Family(family)],
    )
    assert found.tokens == found.text_tokens + found.flat_tokens


def test_request_counts_with_openai_as_its_job_does():
    asked = recall(job(prompt="12345", context="x" * 50, tools=[{"a": 1}], response_format={"b": 2}))
    request = asked.request

    found = count_request(
        asked.messages, request.tools or (), Letters(), response_format=request.response_format
    )
    assert found.tokens == count(asked, Letters()).input_tokens


def test_nothing_is_told_about_tools_where_there_are_none():
    assert (
        count_request([], [], Letters(), Family.ANTHROPIC).tokens == ENVELOPES[Family.ANTHROPIC].answer_tokens
    )


@pytest.mark.parametrize(
    ("given", "tokens"),
    [("12345", 5), (["123", "45"], 5), ([1, 2, 3], 3), ([[1, 2], [3]], 3)],
)
def test_of_what_is_to_be_embedded_texts_are_counted_and_tokens_are_as_many_as_they_are(
    given: object, tokens: int
):
    assert counted(input=given).input_tokens == tokens
