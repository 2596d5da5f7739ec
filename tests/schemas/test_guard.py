"""The guard: a breach names its field in one line; near-misses are spotted, foreign names let through."""

from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsBase
from hypothesis import given
from hypothesis import strategies as st
from ollama._types import ChatRequest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.base import Event
from schemas.control import Cancel
from schemas.guard import MAX_NAMES, misspelt, violation
from schemas.names import PASSED_ON, nearest
from schemas.requests import Request
from schemas.responses import Response


class Inner(Event):
    """Holds what no event of Weir has."""

    pair: tuple[int, str] | None = None
    """A pair of a number and a text."""
    below: float | None = None
    """A number, bounded in the tests."""


class Outer(Event):
    """Holds an event in a choice."""

    inner: list[Inner | int]
    """Events or numbers, mixed."""


def breach(model: type[BaseModel], body: object) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    return violation(caught.value)


@pytest.mark.parametrize(
    ("body", "field", "line"),
    [
        ([], "value", "`value` must be a JSON object, not a list"),
        ({}, "prompt", "`prompt` is not valid: give either `prompt`, `messages` or `input`"),
        ({"prompt": ""}, "prompt", "`prompt` must have 1 or more characters"),
        ({"prompt": "\ud800"}, "prompt", "`prompt` must be valid Unicode text"),
        ({"prompt": None, "messages": []}, "messages", "`messages` must have 1 or more entries"),
        ({"messages": [3]}, "messages.0", "`messages.0` must be a JSON object, not 3"),
        ({"messages": [{"content": "a"}]}, "messages.0.role", "`messages.0.role` is missing"),
        (
            {"messages": [{"role": "user", "content": 3}]},
            "messages.0.content",
            "`messages.0.content` must be text or a list, not 3",
        ),
        (
            {"messages": [{"role": "user", "content": [{}, 3]}]},
            "messages.0.content.1",
            "`messages.0.content.1` must be a JSON object, not 3",
        ),
        ({"prompt": "a", "stop": [1]}, "stop.0", "`stop.0` must be text, not 1"),
        (
            {"prompt": "a", "tool_choice": []},
            "tool_choice",
            "`tool_choice` must be text or a JSON object, not a list",
        ),
        (
            {"prompt": "a", "metadata": None, "stream": None},
            "stream",
            "`stream` must be true or false, not null",
        ),
        ({"prompt": "a", "stream": "maybe"}, "stream", "`stream` must be true or false, not 'maybe'"),
        (
            {"prompt": "a", "max_tokens": "many"},
            "max_tokens",
            "`max_tokens` must be a whole number, not 'many'",
        ),
        ({"prompt": "a", "max_tokens": 1.5}, "max_tokens", "`max_tokens` must be a whole number, not 1.5"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens", "`max_tokens` must be over 0, not 0"),
        (
            {"prompt": "a", "max_tokens": {}},
            "max_tokens",
            "`max_tokens` must be a whole number, not a JSON object",
        ),
        (
            {"prompt": "a", "max_tokens": -(10**50)},
            "max_tokens",
            "`max_tokens` must be over 0, not a number of that size",
        ),
        ({"prompt": "a", "temperature": 3}, "temperature", "`temperature` must be 2 or less, not 3"),
        ({"prompt": "a", "temperature": -1}, "temperature", "`temperature` must be 0 or more, not -1"),
        ({"prompt": "a", "model": b"x" * 300}, "model", "`model` must have at most 200 characters"),
        ({"prompt": "a", "context_id": "zz"}, "context_id", "`context_id` must be a UUID, not 'zz'"),
        (
            {"prompt": "a", "context_id": "z" * 41},
            "context_id",
            "`context_id` must be a UUID, not text of 41 characters",
        ),
        ({"prompt": "a", "tenant": object()}, "tenant", "`tenant` must be text, not a object"),
        (
            {"prompt": "a", "priority": "urgent"},
            "priority",
            "`priority` must be 'interactive', 'standard' or 'bulk', not 'urgent'",
        ),
    ],
)
def test_a_breach_of_a_request_names_its_field_and_says_what_is_wrong(body: Any, field: str, line: str):
    assert breach(Request, body) == (field, line)


def test_an_unknown_name_comes_with_the_nearest_known_one():
    assert breach(Cancel, {"request_id": "r", "tennant": "t"}) == (
        "tennant",
        "`tennant` is not a known field; did you mean `tenant`?",
    )
    assert breach(Cancel, {"request_id": "r", "colour": 1})[1] == "`colour` is not a known field"


def test_an_unknown_name_deep_inside_is_compared_with_the_names_there():
    latency = {"queue_ms": 1, "routing_ms": 1, "provider_ms": 1, "total_ms": 1, "totl_ms": 1}

    assert breach(Response, {"request_id": "r", "tenant": "t", "latency": latency}) == (
        "latency.totl_ms",
        "`latency.totl_ms` is not a known field; did you mean `total_ms`?",
    )


def test_a_choice_between_an_event_and_a_number_names_the_place_inside_the_event():
    assert breach(Outer, {"inner": [1, {"below": "x"}]})[0] == "inner.1.below"


def test_a_fault_that_has_no_line_of_its_own_keeps_the_reason():
    field, line = breach(Inner, {"pair": {}})

    assert field == "pair"
    assert line.startswith("`pair` is not valid: Input should be a valid tuple")


def test_models_that_are_no_events_are_named_by_their_own_paths():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"a": "x"})

    assert violation(caught.value) == ("a", "`a` must be a whole number, not 'x'")


def test_an_unknown_name_in_a_model_that_is_no_event_has_no_suggestion():
    class Closed(BaseModel, extra="forbid"):
        known: int = 0

    assert breach(Closed, {"knwn": 1}) == ("knwn", "`knwn` is not a known field")


def test_a_hostile_name_does_not_fill_the_message():
    field, line = breach(Cancel, {"request_id": "r", "x" * 10_000: 1})

    assert len(field) == 200
    assert len(line) < 300


@given(st.sampled_from(sorted(Request.model_fields)), st.sampled_from([[object()], object(), {1: 2}, -0.5]))
def test_whatever_stands_there_the_field_is_named(field: str, value: object):
    try:
        Request.model_validate({"prompt": "a", field: value})
    except ValidationError as error:
        named, line = violation(error)
        assert named.split(".")[0] == field or named == "prompt"
        assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_token", "max_tokens"),
        ("maxTokens", "max_tokens"),
        ("promt", "prompt"),
        ("prmopt", "prompt"),
        ("contextid", "context_id"),
        ("timeout", "timeout_ms"),
        ("timeout_s", "timeout_ms"),
        ("timeout-seconds", "timeout_ms"),
        ("deadline", "deadline_ms"),
        ("requestId", "request_id"),
        ("message", "messages"),
        ("temprature", "temperature"),
        ("reply_topik", "reply_topic"),
        ("corelation_idd", "correlation_id"),
        ("stops", "stop"),
        ("Tenant", "tenant"),
    ],
)
def test_a_near_miss_of_our_own_names_is_spotted(name: str, meant: str):
    assert misspelt(["user", name]) == (
        name,
        f"`{name}` is not a field of a request; did you mean `{meant}`?",
    )


@pytest.mark.parametrize(
    "name",
    [
        "step",
        "n",
        "",
        "_",
        "colour",
        "customer_segment",
        "max_output_tokens",
        "contents",
        "ptompts_of",
        "x" * 61,
    ],
)
def test_names_that_resemble_none_of_ours_are_let_through(name: str):
    assert misspelt([name]) is None


def test_every_parameter_of_the_official_clients_is_let_through():
    theirs = {
        *CompletionCreateParamsBase.__annotations__,
        *MessageCreateParamsBase.__annotations__,
        *ChatRequest.model_fields,
    }

    assert len(theirs) > 50
    assert [name for name in theirs - set(Request.model_fields) if misspelt([name])] == []


def test_what_is_passed_on_is_no_field_of_ours():
    assert PASSED_ON & set(Request.model_fields) == set()


def test_a_hostile_body_is_looked_at_up_to_a_bound():
    many = [f"foreign_{number}" for number in range(MAX_NAMES)]

    assert misspelt([*many[1:], "promt"]) is not None
    assert misspelt([*many, "promt"]) is None


@given(st.sampled_from(sorted(Request.model_fields)))
def test_a_name_that_is_known_is_nearest_to_itself(field: str):
    assert nearest(field, Request.model_fields) == field
    assert nearest(field.upper(), Request.model_fields) == field


def test_of_two_near_names_the_nearer_one_is_meant():
    assert nearest("reply_partitoin", ["reply_portition", "reply_partition"]) == "reply_partition"
    assert (
        nearest("correlation_i", ["correlation_xx", "correlation_id", "correlation_xy"]) == "correlation_id"
    )
