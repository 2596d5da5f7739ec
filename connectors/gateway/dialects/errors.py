"""One `Problem`, in the shape of the API that was asked. Pure.

What a failed response becomes, so that the SDKs raise the right class and retry only what may help
(they retry 408, 409, 429 and 5xx unless `x-should-retry` says no):

code                   status  retry
invalid_request        400
token_limit_exceeded   400            OpenAI's code is `context_length_exceeded`
model_unavailable      503            an unknown model: 404 `model_not_found`
budget_exceeded        429     no     it lasts until the period is over
deadline_exceeded      504     no     nobody wants the answer any more
cancelled              499
refused                400
unknown_outcome        502     no     it may have been paid; to pay again is the caller's choice
crash_loop, internal   500     no     the same would happen again

At Anthropic's routes 503 is 529, `overloaded_error`, which its clients know.
Sources: https://platform.openai.com/docs/guides/error-codes, https://platform.claude.com/docs/en/api/errors.
"""

from collections.abc import Mapping
from types import MappingProxyType

from connectors.gateway.dialects.dialect import Style
from connectors.gateway.ports import Lost, Problem
from schemas.base import JsonObject
from schemas.codes import Code
from schemas.responses import ErrorInfo, Response

NO_RETRY: Mapping[str, str] = MappingProxyType({"x-should-retry": "false"})
"""Tells the SDKs to leave it."""
TOO_LONG = "prompt is too long: "
"""How Anthropic begins that message; its clients look for it."""

_FAILURES: Mapping[Code, tuple[int, str, bool]] = MappingProxyType(
    {
        Code.INVALID_REQUEST: (400, "invalid_request", True),
        Code.TOKEN_LIMIT_EXCEEDED: (400, "context_length_exceeded", True),
        Code.MODEL_UNAVAILABLE: (503, "model_unavailable", True),
        Code.BUDGET_EXCEEDED: (429, "budget_exceeded", False),
        Code.DEADLINE_EXCEEDED: (504, "deadline_exceeded", False),
        Code.CANCELLED: (499, "cancelled", True),
        Code.REFUSED: (400, "refused", True),
        Code.UNKNOWN_OUTCOME: (502, "unknown_outcome", False),
        Code.CRASH_LOOP: (500, "crash_loop", False),
        Code.INTERNAL: (500, "internal", False),
    }
)
"""Status, code, and whether the SDK may do as it usually does."""
_OPENAI_TYPES: Mapping[int, str] = MappingProxyType(
    {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        409: "conflict_error",
        429: "rate_limit_error",
    }
)
_ANTHROPIC_TYPES: Mapping[int, str] = MappingProxyType(
    {
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        409: "conflict_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)


def invalid(param: str, rule: str) -> Problem:
    """400: a parameter is at fault; `rule` goes on from its name."""
    return Problem(400, "invalid_request", f"`{param}` {rule}", param=param)


def problem_of(response: Response) -> Problem | None:
    """Why a response is no answer; `None` where it is one."""
    error = response.error
    if error is None:
        return None
    status, code, usual = _FAILURES[error.code]
    if error.code is Code.MODEL_UNAVAILABLE and error.field == "model":
        status, code = 404, "model_not_found"
    return Problem(status, code, error.message, param=_param(error), headers={} if usual else NO_RETRY)


def _param(error: ErrorInfo) -> str | None:
    return None if error.field == "value" else error.field


def problem_of_loss(lost: Lost) -> Problem:
    """502: the answer didn't come whole. A retry may pay again, so it is left to the caller."""
    return Problem(502, "answer_lost", lost.reason, headers=NO_RETRY)


def status_of(problem: Problem, style: Style) -> int:
    """The HTTP status in an API."""
    return 529 if style == "anthropic" and problem.status == 503 else problem.status


def error_body(problem: Problem, style: Style, request_id: str) -> JsonObject:
    """The error's JSON in the shape of an API."""
    if style == "anthropic":
        return {"type": "error", "error": anthropic_error(problem), "request_id": request_id}
    return {"error": openai_error(problem)}


def openai_error(problem: Problem) -> JsonObject:
    """The inner object of OpenAI's."""
    kind = _OPENAI_TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "api_error")
    if problem.code == "budget_exceeded":
        kind = "insufficient_quota"
    return {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code}


def anthropic_error(problem: Problem) -> JsonObject:
    """The inner object of Anthropic's; it has no place for a parameter, so the message names it."""
    status = status_of(problem, "anthropic")
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    message = problem.message
    if problem.code == "context_length_exceeded":
        message = TOO_LONG + message
    elif problem.param and problem.param not in message:
        message = f"{problem.param}: {message}"
    return {"type": kind, "message": message}
