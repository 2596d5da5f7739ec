"""Whether a request fits a model's window, and what becomes of one that doesn't.

A window takes input and wanted output together, as far as a route says one number for both; the input counts
with its upper bound, so that what is let through isn't turned back by the provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.stages.jobs import NEAR_RATIO
from schemas.calls import Route
from schemas.requests import Overflow

LEAST_BUDGET_TOKENS = 16
"""Least input that is worth compressing to."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A request's place in one route's window."""

    route: Route
    """The route."""
    input_tokens: int
    """Upper bound of the input."""
    output_tokens: int
    """Wanted for the answer, at most the model's limit."""
    may_fit: bool = False
    """Whether its provider will be asked for its own count, by which it may fit after all."""

    @property
    def window_tokens(self) -> int | None:
        """The window; `None` where it isn't known, and everything fits."""
        return self.route.max_input_tokens

    @property
    def budget_tokens(self) -> int | None:
        """Most input that leaves room for the answer; may be below zero."""
        window_tokens = self.route.max_input_tokens
        return None if window_tokens is None else window_tokens - self.output_tokens

    @property
    def fits(self) -> bool:
        """Whether input and answer fit, or still may."""
        budget_tokens = self.budget_tokens
        return budget_tokens is None or self.may_fit or self.input_tokens <= budget_tokens

    @property
    def near(self) -> bool:
        """Whether the provider's own count should decide: more than 0.9 of the room for input."""
        budget_tokens = self.budget_tokens
        return budget_tokens is not None and self.input_tokens > NEAR_RATIO * budget_tokens

    @property
    def message(self) -> str:
        """The numbers, in one line."""
        sum_tokens = self.input_tokens + self.output_tokens
        return (
            f"{self.input_tokens} input tokens and {self.output_tokens} wanted for the answer make "
            f"{sum_tokens}; the window of {self.route.name} is {self.window_tokens}"
        )


@dataclass(frozen=True, slots=True)
class Send:
    """The request goes to a route as it is."""

    fit: Fit
    """The route, and its place there."""
    upgraded: bool = False
    """Whether it was too large for an earlier one."""


@dataclass(frozen=True, slots=True)
class Compress:
    """The request goes to a route when its input is within a budget."""

    fit: Fit
    """The route, and what is too large for it."""
    budget_tokens: int
    """Most input tokens, by the provider's count."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The request can't be answered: `token_limit_exceeded`."""

    message: str
    """The numbers of the largest window tried, in one line that says what to do."""


def place(route: Route, input_upper_tokens: int, wanted_tokens: int | None, may_fit: bool = False) -> Fit:
    """A request's place in a route's window. Nothing wanted takes no room."""
    wanted = wanted_tokens or 0
    limit = route.max_output_tokens
    return Fit(route, input_upper_tokens, wanted if limit is None else min(wanted, limit), may_fit)


def decide(fits: Sequence[Fit], policy: Overflow) -> Send | Compress | TooLarge:
    """What becomes of a request, given its place in each route it may take, in the order they are tried.

    Raises:
        ValueError: When there is no route.
    """
    if not fits:
        raise ValueError("a request has at least one route")
    first = fits[0]
    if first.fits:
        return Send(first)
    if policy is Overflow.UPGRADE:
        larger = next((fit for fit in fits if fit.fits), None)
        return _too_large(fits) if larger is None else Send(larger, upgraded=True)
    budget = first.budget_tokens or 0
    if policy is Overflow.COMPRESS and budget >= LEAST_BUDGET_TOKENS:
        return Compress(first, budget)
    return _too_large(fits if policy is Overflow.COMPRESS else fits[:1])


def _too_large(fits: Sequence[Fit]) -> TooLarge:
    widest = max(fits, key=lambda fit: fit.budget_tokens or 0)
    room = widest.budget_tokens or 0
    hint = f"shorten the input by {widest.input_tokens - room}" if room > 0 else "lower `max_tokens`"
    return TooLarge(f"{widest.message}; {hint}, or name a model with a larger window")
