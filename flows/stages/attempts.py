"""Entries of the ledger: what a try was, what it used and what it cost."""

from dataclasses import dataclass

from flows.stages.jobs import Job
from schemas.calls import Answer, ProviderError, Route
from schemas.records import Record
from schemas.responses import Attempt, Usage

UNKNOWN = "unknown"
"""Route and outcome of a try that a worker started which is gone."""
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Tried:
    """A try under way."""

    attempt: int
    """Its number."""
    route: Route
    """Where."""
    started_ms: int
    """When its first byte was allowed to leave, Unix time in milliseconds."""
    begun_s: float
    """The same on a clock that only goes forward, in seconds."""


def good_attempt(tried: Tried, answer: Answer, job: Job, timing: tuple[float, float | None]) -> Attempt:
    """The entry of a try that answered.

    Args:
        tried: The try.
        answer: Its answer.
        job: The job, for an estimate where the provider told no usage.
        timing: Now and the moment of the first piece, on the clock of `tried.begun_s`.
    """
    now_s, first_s = timing
    usage = answer.usage or estimated_usage(job, answer)
    return Attempt(
        attempt=tried.attempt,
        route=tried.route.name,
        provider=tried.route.provider,
        model=tried.route.model,
        outcome="ok",
        status=answer.status,
        started_ms=tried.started_ms,
        duration_ms=_ms(now_s - tried.begun_s),
        first_token_ms=None if first_s is None else _ms(first_s - tried.begun_s),
        between_tokens_ms=_between_ms(now_s, first_s, usage.output_tokens),
        usage=usage,
        usage_raw=answer.usage_raw,
        cost_usd=cost_usd(tried.route, usage),
    )


def failed_attempt(tried: Tried, error: ProviderError, now_s: float) -> Attempt:
    """The entry of a try that failed; `now_s` is on the clock of `tried.begun_s`."""
    return Attempt(
        attempt=tried.attempt,
        route=tried.route.name,
        provider=tried.route.provider,
        model=tried.route.model,
        outcome=error.outcome,
        status=error.status,
        reason=error.reason[:300],
        started_ms=tried.started_ms,
        duration_ms=_ms(now_s - tried.begun_s),
    )


def unknown_attempt(record: Record) -> Attempt:
    """The entry of the last try of a worker that is gone: it may have been paid, nobody knows."""
    return Attempt(
        attempt=max(1, record.attempts),
        route=UNKNOWN,
        provider=UNKNOWN,
        model=UNKNOWN,
        outcome=UNKNOWN,
        reason="started by a worker that was not heard of again",
        started_ms=max(0, record.timestamp_ms),
        duration_ms=0,
    )


def estimated_usage(job: Job, answer: Answer) -> Usage:
    """Usage where the provider told none: our own count of the input, a rough one of the output."""
    output = (len(answer.text) + _CHARS_PER_TOKEN - 1) // _CHARS_PER_TOKEN
    return Usage(input_tokens=job.input_tokens, output_tokens=output, counted_by="estimate")


def cost_usd(route: Route, usage: Usage) -> float:
    """Money for the tokens, by the route's prices; cached tokens have their own, where it has one."""
    usd = usage.input_tokens * route.input_cost_usd + usage.output_tokens * route.output_cost_usd
    for tokens, price_usd in (
        (usage.cached_tokens, route.cache_read_cost_usd),
        (usage.cache_write_tokens, route.cache_write_cost_usd),
    ):
        if tokens and price_usd is not None:
            usd += tokens * (price_usd - route.input_cost_usd)
    return max(0.0, usd)


def _between_ms(now_s: float, first_s: float | None, output_tokens: int) -> float | None:
    """Mean time between two tokens of a stream; the first one begins it."""
    return None if first_s is None or output_tokens < 2 else _ms((now_s - first_s) / (output_tokens - 1))


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)
