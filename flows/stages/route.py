"""Chooses the routes of a call and their order.

Rules that hold here:
- First the routes of the model that was asked for, in configured order, then those of its fallbacks: the
  request's list where it has one (an empty one means none), else the configured one. For vectors only the
  request's own words count, and `auto` is none: those of two models can't be compared.
- Routes that are unhealthy come after all that are healthy.
- A route whose window doesn't fit is left out; a window takes input and wanted output together. The last
  resort of `auto` doesn't save a request that is too long for every model.
"""

from collections.abc import Sequence
from typing import Protocol

from flows.stages.catalogue import AUTO, LAST_RESORT, Catalogue, distinct
from flows.stages.jobs import CallPlan, Failed, Job, PlannedRoute
from schemas.calls import Route
from schemas.codes import Code
from schemas.requests import Request

STAGE = "route"


class Healthy(Protocol):
    """Says which routes may come first; see `flows.stages.health.Health`."""

    def healthy(self, route: str, now_ms: int) -> bool:
        """Whether the route of this name may be chosen first."""
        ...


def route(job: Job, catalogue: Catalogue, health: Healthy, now_ms: int) -> CallPlan | Failed:
    """The plan for a counted job, never empty; or why there is none.

    Failures: `model_unavailable` for an unknown model, `invalid_request` for an unknown fallback or vectors
    of any model, `token_limit_exceeded` when no window fits.
    """
    request = job.request
    if request.input is not None and request.model == AUTO:
        message = "`model` must be named with `input`: vectors of two models can't be compared"
        return Failed(Code.INVALID_REQUEST, message, STAGE, field="model", dead_letter=True)
    named = catalogue.find(request.model)
    if not named:
        message = f"no model is named {request.model!r}; known: {catalogue.known_names()}"
        return Failed(Code.MODEL_UNAVAILABLE, message, STAGE, field="model")
    fallbacks = request.fallbacks
    if fallbacks is None:
        fallbacks = () if request.input is not None else catalogue.configured_fallbacks(request.model)
    unknown = [name for name in fallbacks if not catalogue.find(name)]
    if unknown:
        message = f"`fallbacks`: no model is named {unknown[0]!r}; known: {catalogue.known_names()}"
        return Failed(Code.INVALID_REQUEST, message, STAGE, field="fallbacks", dead_letter=True)
    others = [found for name in fallbacks for found in catalogue.find(name)]
    candidates = distinct([*named, *others])
    fitting = [found for found in candidates if _fits(job, found)]
    if not _serious(fitting, request, others) and _serious(candidates, request, others):
        return _too_long(job, candidates)
    ordered = sorted(fitting, key=lambda found: not health.healthy(found.name, now_ms))
    planned = tuple(PlannedRoute(found, wanted_tokens(request, found)) for found in ordered)
    return CallPlan(planned, _reason(request.model, catalogue, candidates[0], ordered[0]))


def wanted_tokens(request: Request, found: Route) -> int | None:
    """Most tokens of the answer there: as asked, else as the route is set, capped by the model's limit.

    Vectors take none of the window.
    """
    if request.input is not None:
        return None
    set_there = found.params.get("max_completion_tokens") or found.params.get("max_tokens")
    wanted = request.output_limit_tokens or (set_there if isinstance(set_there, int) else None)
    if wanted is None or found.max_output_tokens is None:
        return wanted
    return min(wanted, found.max_output_tokens)


def _fits(job: Job, found: Route) -> bool:
    window = found.max_input_tokens
    return window is None or job.input_tokens + (wanted_tokens(job.request, found) or 0) <= window


def _serious(routes: Sequence[Route], request: Request, others: Sequence[Route]) -> bool:
    """Whether one of the routes is more than the last resort that `auto` brings along."""
    implied = request.model == AUTO
    return any(not (implied and each.provider == LAST_RESORT and each not in others) for each in routes)


def _too_long(job: Job, candidates: Sequence[Route]) -> Failed:
    widest = max(candidates, key=lambda found: found.max_input_tokens or 0)
    wanted = wanted_tokens(job.request, widest) or 0
    message = (
        f"{job.input_tokens} input tokens and {wanted} wanted for the answer make "
        f"{job.input_tokens + wanted}; the largest window is {widest.max_input_tokens} ({widest.name})"
    )
    return Failed(Code.TOKEN_LIMIT_EXCEEDED, message, STAGE)


def _reason(model: str, catalogue: Catalogue, wished: Route, first: Route) -> str:
    """Why the first route is first, in words."""
    if model == AUTO:
        return "first healthy"
    if first is not wished:
        return f"{wished.name} is unhealthy or too small"
    return "named" if catalogue.canonical(model) == model else f"alias {model}"
