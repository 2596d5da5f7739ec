"""From an HTTP status and its headers to the error that says what to do next. Pure.

429                                  Throttled      after `retry_after_s`, where the server tells
503 with a retry header              Throttled
408, 409, 425, every other 5xx       Unavailable
401, 402, 403, 404, 405, 410, 3xx    Missing        our key, address or model is not good there
400, 413, 422 and every other 4xx    Refused
anything else                        Malformed

A reason quotes the server, in one line and at most 300 characters, never a key and never the prompt.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from schemas.calls import Malformed, Missing, ProviderError, Refused, Throttled, Unavailable

MAX_RETRY_AFTER_S = 3600.0
"""No server makes us wait longer than this."""
MAX_REASON_CHARS = 300
"""Longest reason."""

_BY_STATUS: dict[int, type[ProviderError]] = {
    401: Missing,
    402: Missing,
    403: Missing,
    404: Missing,
    405: Missing,
    408: Unavailable,
    409: Unavailable,
    410: Missing,
    425: Unavailable,
    429: Throttled,
}
_BY_HUNDRED: dict[int, type[ProviderError]] = {3: Missing, 4: Refused, 5: Unavailable}
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_LIMITS = ("requests", "tokens")
_KEY_CHARS = 6
_ECHO_CHARS = 16
_ECHO_STEP = 8
_PROMPT_SCAN_CHARS = 65536


def failure(
    status: int, headers: Mapping[str, str], message: str, now: datetime | None = None
) -> ProviderError:
    """The error of a reply that is no answer.

    `headers` is case-insensitive or in lower case. Without `now` the reply's own `date` header stands in,
    which spares us the difference between the two clocks.
    """
    reason = one_line(f"{status}: {message}" if message else f"{status} without a message")
    wait_s = retry_after_s(headers, now or http_date(headers.get("date", "")), with_resets=status == 429)
    if status == 503 and wait_s is not None:
        return Throttled(reason, status=status, retry_after_s=wait_s)
    leaf = _BY_STATUS.get(status) or _BY_HUNDRED.get(status // 100)
    if leaf is None:
        return Malformed(reason, status=status)
    return leaf(reason, status=status, retry_after_s=wait_s if leaf in (Throttled, Unavailable) else None)


def retry_after_s(headers: Mapping[str, str], now: datetime | None, with_resets: bool = True) -> float | None:
    """Seconds that the server asks us to wait: 0 to 3600; `None` where it does not say.

    Read in this order: `retry-after-ms`, `retry-after` (seconds, or a date, which needs `now`), and
    `with_resets` OpenAI's `x-ratelimit-reset-*` of the limits that are used up (of all, where none says so).
    """
    wait_s = _number(headers.get("retry-after-ms", ""))
    if wait_s is not None:
        return _bounded(wait_s / 1000)
    text = headers.get("retry-after", "")
    wait_s = _number(text)
    if wait_s is None and now is not None and (then := http_date(text)) is not None:
        wait_s = (then - now).total_seconds()
    if wait_s is None and with_resets:
        wait_s = _reset_s(headers)
    return None if wait_s is None else _bounded(wait_s)


def duration_s(text: str) -> float | None:
    """Seconds of a duration such as `1m30s`, `6ms` or `0.5s`; `None` where it is none."""
    pairs = _DURATION.findall(text)
    if not pairs or "".join(number + unit for number, unit in pairs) != text:
        return _number(text)
    return sum(float(number) * _UNIT_S[unit] for number, unit in pairs)


def http_date(text: str) -> datetime | None:
    """The moment of an HTTP date (RFC 9110, 5.6.7); `None` where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def one_line(text: str) -> str:
    """The text without line breaks and control characters, at most 300 characters long."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in text[:4096]).split())
    return shown if len(shown) <= MAX_REASON_CHARS else shown[: MAX_REASON_CHARS - 1] + "…"


def conceal(error: ProviderError, key: str | None, prompt: Iterable[str]) -> None:
    """Take the key and what the server echoed of the prompt out of an error's reason.

    An echo is found when 24 characters or more of a turn's first or last 64 Ki characters came back; a
    short turn when all of it did. A key of fewer than 6 characters is a dummy and no secret.
    """
    reason = error.reason.replace(key, "[key]") if key and len(key) >= _KEY_CHARS else error.reason
    for text in prompt:
        if _ECHO_STEP <= len(text) <= MAX_REASON_CHARS:
            reason = reason.replace(text, "[prompt]")
        reason = _without_echo(reason, text[:_PROMPT_SCAN_CHARS])
        if len(text) > _PROMPT_SCAN_CHARS:
            reason = _without_echo(reason, text[-_PROMPT_SCAN_CHARS:])
    error.reason = reason
    error.args = (reason,)


def _without_echo(reason: str, text: str) -> str:
    start = 0
    while start + _ECHO_CHARS <= len(reason):
        end = start + _ECHO_CHARS
        if reason[start:end] not in text:
            start += _ECHO_STEP
            continue
        while start > 0 and reason[start - 1 : end] in text:
            start -= 1
        while end < len(reason) and reason[start : end + 1] in text:
            end += 1
        reason = f"{reason[:start]}[prompt]{reason[end:]}"
        start += len("[prompt]")
    return reason


def _reset_s(headers: Mapping[str, str]) -> float | None:
    waits = {name: duration_s(headers.get(f"x-ratelimit-reset-{name}", "")) for name in _LIMITS}
    known = {name: wait for name, wait in waits.items() if wait is not None}
    used_up = [known[name] for name in known if headers.get(f"x-ratelimit-remaining-{name}") == "0"]
    return max(used_up or known.values(), default=None)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _bounded(wait_s: float) -> float:
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(wait_s) else MAX_RETRY_AFTER_S
