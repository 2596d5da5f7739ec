"""Chooses the routes of a call and their order.

Rules that hold here:
- First the routes of the model that was asked for, in configured order, then those of its fallbacks: the
  request's list where it has one (an empty one means none), else the configured one. For vectors only the
  request's own words count, and `auto` is none: those of two models can't be compared.
- Routes that are unhealthy come after all that are healthy.
- A window takes input and wanted output together; the input counts with its upper bound, by what is known of
  each model. Where that is too much for the first route the request's `overflow` decides: `reject` fails,
  `upgrade` goes to the first route that it fits, `compress` leaves it to the step of that name. Routes whose
  provider can be asked for its own count stay in the plan while it may still fit there.
- The last resort of `auto` doesn't save a request that is too long for every model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flows.stages.catalogue import AUTO, LAST_RESORT, Catalogue, distinct
from flows.stages.count import family_of, flat_tokens_of
from flows.stages.estimates import AsCounted, Estimates
from flows.stages.jobs import NEAR_RATIO, CallPlan, Failed, Job, PlannedRoute
from flows.stages.pictures import Family
from flows.stages.window import LEAST_BUDGET_TOKENS, Fit, TooLarge, decide, place
from schemas.calls import Route
from schemas.codes import Code
from schemas.requests import Overflow, Request

STAGE = "route"
ASKED = frozenset({"anthropic", "gemini"})
"""Providers that tell how many tokens a call has, for nothing."""
AS_COUNTED = AsCounted()
_LEAST_RATIO, _LEAST_CALIBRATED_RATIO = 0.75, 0.97
"""Share of an estimate that a provider's own count may well be."""


class Healthy(Protocol):
    """Says which routes may come first; see `flows.stages.health.Health`."""

    def healthy(self, route: str, now_ms: int) -> bool:
        """Whether the route of this name may be chosen first."""
        ...


@dataclass(frozen=True, slots=True)
class Windows:
    """What decides about windows."""

    estimates: Estimates = AS_COUNTED
    """How many tokens each model will count."""
    asked: frozenset[str] = frozenset()
    """Providers that are asked for their own count where it matters."""


ALONE = Windows()
"""Our own count holds, and nobody is asked."""


def route(
    job: Job, catalogue: Catalogue, health: Healthy, now_ms: int, windows: Windows = ALONE
) -> CallPlan | Failed:
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
    ordered = sorted(candidates, key=lambda found: not health.healthy(found.name, now_ms))
    serious = [found for found in ordered if _serious(found, request, others)] or ordered
    fits = {found.name: _place(job, found, windows) for found in ordered}
    policy = _policy(request)
    tried = [fits[found.name] for found in serious]
    if policy is Overflow.COMPRESS:
        tried = [fit for fit in tried if _stays(fit, policy)] or tried
    decided = decide(tried, policy)
    if isinstance(decided, TooLarge):
        return Failed(Code.TOKEN_LIMIT_EXCEEDED, decided.message, STAGE)
    fitting = [found for found in ordered if _stays(fits[found.name], policy)]
    planned = tuple(_planned(fits[found.name], wanted_tokens(request, found)) for found in fitting)
    return CallPlan(planned, _reason(request.model, catalogue, candidates[0], fitting[0]))


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


def _policy(request: Request) -> Overflow:
    """What becomes of what is too long. Texts to be embedded are never compressed."""
    if request.input is not None and request.overflow is Overflow.COMPRESS:
        return Overflow.UPGRADE
    return request.overflow


def _place(job: Job, found: Route, windows: Windows) -> Fit:
    """The job's place in a route's window, by the upper bound of its input there."""
    family = family_of(found.provider)
    flat_tokens = job.measured.flat_tokens if family is Family.OPENAI else flat_tokens_of(job, family)
    measured = job.measured.with_flat(flat_tokens)
    surely = place(found, measured.most_tokens, wanted_tokens(job.request, found))
    if surely.budget_tokens is None or surely.input_tokens <= NEAR_RATIO * surely.budget_tokens:
        return surely  # far from full, whatever the tokenizer
    estimate = windows.estimates.of(found, measured)
    least_ratio = _LEAST_CALIBRATED_RATIO if estimate.kind == "calibrated" else _LEAST_RATIO
    may_fit = found.provider in windows.asked and estimate.tokens * least_ratio <= surely.budget_tokens
    return place(found, estimate.upper_tokens, wanted_tokens(job.request, found), may_fit=may_fit)


def _stays(fit: Fit, policy: Overflow) -> bool:
    """Whether a route stays in the plan."""
    if fit.fits or policy is not Overflow.COMPRESS:
        return fit.fits
    return (fit.budget_tokens or 0) >= LEAST_BUDGET_TOKENS


def _planned(fit: Fit, max_tokens: int | None) -> PlannedRoute:
    return PlannedRoute(fit.route, max_tokens, fit.budget_tokens, fit.input_tokens)


def _serious(found: Route, request: Request, others: Sequence[Route]) -> bool:
    """Whether a route is more than the last resort that `auto` brings along."""
    return request.model != AUTO or found.provider != LAST_RESORT or found in others


def _reason(model: str, catalogue: Catalogue, wished: Route, first: Route) -> str:
    """Why the first route is first, in words."""
    if model == AUTO:
        return "first healthy"
    if first is not wished:
        return f"{wished.name} is unhealthy or too small"
    return "named" if catalogue.canonical(model) == model else f"alias {model}"
