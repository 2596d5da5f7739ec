"""A provider's limits on us, as the headers of its replies tell them. Pure; one reading for all providers.

anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}   reset: RFC 3339
x-ratelimit-{limit,remaining,reset}-{requests,tokens}                        reset: `1m30s`, `20ms`, seconds

Source: https://platform.claude.com/docs/en/api/rate-limits and
https://platform.openai.com/docs/guides/rate-limits. A value that can't be read is `None`, never an error.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.providers.errors import duration_s, http_date
from schemas.calls import RateLimit

_NAMES = ("requests", "tokens", "input_tokens", "output_tokens")
_COUNT = re.compile(r"\d{1,15}")


def rate_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """All limits that a reply's headers tell, in a fixed order; none where they tell nothing.

    `headers` is case-insensitive or in lower case. A moment of reset is counted from the reply's own `date`
    header, which spares us the difference between the two clocks; without one `reset_s` is `None`.
    """
    if "ratelimit" not in " ".join(headers).lower():
        return ()
    found: list[RateLimit] = []
    for name in _NAMES:
        limit = _anthropic(headers, name) or _openai(headers, name)
        if limit is not None:
            found.append(limit)
    return tuple(found)


def _anthropic(headers: Mapping[str, str], name: str) -> RateLimit | None:
    prefix = f"anthropic-ratelimit-{name.replace('_', '-')}"
    limit, remaining = headers.get(f"{prefix}-limit"), headers.get(f"{prefix}-remaining")
    reset = headers.get(f"{prefix}-reset")
    if limit is None and remaining is None and reset is None:
        return None
    return RateLimit(name, _count(limit), _count(remaining), _until_s(reset, headers.get("date")))


def _openai(headers: Mapping[str, str], name: str) -> RateLimit | None:
    limit, remaining, reset = (
        headers.get(f"x-ratelimit-{part}-{name}") for part in ("limit", "remaining", "reset")
    )
    if limit is None and remaining is None and reset is None:
        return None
    wait_s = duration_s(reset or "")
    return RateLimit(name, _count(limit), _count(remaining), None if wait_s is None else _bounded(wait_s))


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and _COUNT.fullmatch(text.strip()) else None


def _until_s(reset: str | None, date: str | None) -> float | None:
    """Seconds from the reply's date until a moment; 0 where it is over."""
    now = http_date(date or "")
    if reset is None or now is None:
        return None
    try:
        moment = datetime.fromisoformat(reset.strip())
        wait_s = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(wait_s, 0.0)


def _bounded(wait_s: float) -> float | None:
    return max(wait_s, 0.0) if math.isfinite(wait_s) else None
