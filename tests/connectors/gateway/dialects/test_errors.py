"""One problem in the shapes of the APIs, and what a failed response becomes."""

import pytest

from connectors.gateway.dialects.errors import (
    anthropic_error,
    error_body,
    invalid,
    openai_error,
    problem_of,
    problem_of_loss,
    status_of,
)
from connectors.gateway.ports import Lost, Problem
from schemas.codes import NOT_REMEMBERED, Code
from tests.connectors.gateway.dialects.serving import failure, response

RETRIED = frozenset({408, 409, 429})


def retried(problem: Problem) -> bool:
    """Whether the SDKs ask again by themselves."""
    usual = problem.status in RETRIED or problem.status >= 500
    return usual and problem.headers.get("x-should-retry") != "false"


@pytest.mark.parametrize("code", list(Code))
def test_every_failure_has_a_status_and_is_retried_only_where_a_repeat_is_a_new_request(code: Code):
    problem = problem_of(failure(code, "it is so", "seed"))

    assert problem is not None
    assert 400 <= problem.status < 600
    assert (problem.message, problem.param) == ("it is so", "seed")
    assert retried(problem) == (code is Code.MODEL_UNAVAILABLE)
    assert not retried(problem) or code in NOT_REMEMBERED


def test_an_answer_is_no_problem_and_a_fault_of_the_whole_names_no_parameter():
    problem = problem_of(failure(Code.INVALID_REQUEST, where="value"))

    assert problem_of(response("Hi")) is None
    assert problem is not None
    assert problem.param is None


def test_a_loss_is_left_to_the_caller():
    problem = problem_of_loss(Lost("a gap"))

    assert (problem.status, problem.message, retried(problem)) == (502, "a gap", False)


@pytest.mark.parametrize(
    ("status", "openai", "anthropic", "there"),
    [
        (400, "invalid_request_error", "invalid_request_error", 400),
        (401, "authentication_error", "authentication_error", 401),
        (403, "permission_error", "permission_error", 403),
        (404, "not_found_error", "not_found_error", 404),
        (409, "conflict_error", "conflict_error", 409),
        (413, "invalid_request_error", "request_too_large", 413),
        (422, "invalid_request_error", "invalid_request_error", 422),
        (429, "rate_limit_error", "rate_limit_error", 429),
        (500, "api_error", "api_error", 500),
        (503, "api_error", "overloaded_error", 529),
        (504, "api_error", "timeout_error", 504),
    ],
)
def test_the_type_follows_from_the_status(status: int, openai: str, anthropic: str, there: int):
    problem = Problem(status, "some_code", "why", param="n")

    assert error_body(problem, "openai", "req_1") == {
        "error": {"message": "why", "type": openai, "param": "n", "code": "some_code"}
    }
    assert error_body(problem, "anthropic", "req_1") == {
        "type": "error",
        "error": {"type": anthropic, "message": "n: why"},
        "request_id": "req_1",
    }
    assert (status_of(problem, "openai"), status_of(problem, "anthropic")) == (status, there)


def test_names_that_clients_look_for_are_there():
    budget = problem_of(failure(Code.BUDGET_EXCEEDED))
    long = problem_of(failure(Code.TOKEN_LIMIT_EXCEEDED, "9 > 8"))

    assert budget is not None
    assert long is not None
    assert openai_error(budget)["type"] == "insufficient_quota"
    assert openai_error(long)["code"] == "context_length_exceeded"
    assert anthropic_error(long)["message"] == "prompt is too long: 9 > 8"


def test_a_parameter_that_the_message_names_is_not_named_twice():
    assert anthropic_error(invalid("seed", "is wrong"))["message"] == "`seed` is wrong"
