"""Who may open a socket or a stream, and what others are told. Pure.

A browser sends cookies to any server it is led to, so a socket with an `origin` must come from this gateway's
own page or from a page on the list. Other clients send no origin, and a key in a header.
"""

from collections.abc import Collection, Iterable, Mapping

from starlette.responses import JSONResponse

from connectors.gateway.doors.sessions import same_origin
from connectors.gateway.ports import Caller, Problem
from schemas.requests import Request

GIVEN_BY_GATEWAY = ("request_id", "tenant", "reply_topic", "reply_partition", "correlation_id")
"""Fields of a request that a client can't set here."""


def check_origin(headers: Mapping[str, str], scheme: str, allowed: Collection[str]) -> None:
    """Let through what comes from here, from the list, or from no browser.

    Raises:
        Problem: 403 `forbidden`.
    """
    by_key = "authorization" in headers or "x-api-key" in headers
    if "origin" not in headers and (by_key or "cookie" not in headers):
        return
    if "origin" in headers and same_origin(headers, scheme, allowed):
        return
    raise Problem(403, "forbidden", "this page's origin is not on the gateway's list")


def check_request(request: Request, given: Iterable[str], caller: Caller) -> None:
    """Whether a caller may ask this.

    Raises:
        Problem: 400 `invalid_request`, 403 `forbidden`; each names the parameter.
    """
    names = set(given)
    for name in GIVEN_BY_GATEWAY:
        if name in names:
            raise Problem(400, "invalid_request", f"`{name}` is set by the gateway", param=name)
    if caller.models is None:
        return
    for model in (request.model, *(request.fallbacks or ())):
        if model not in caller.models:
            raise Problem(403, "forbidden", f"this key may not ask for the model {model}", param="model")


def refusal(problem: Problem) -> JSONResponse:
    """The reply of a problem, before anything else was sent."""
    error = {"code": problem.code, "message": problem.message, "param": problem.param}
    return JSONResponse({"error": error}, problem.status, headers=problem.headers)
