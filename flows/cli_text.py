"""What commands say and read as text: durations, money, the one line under an answer."""

import re
import sys

import typer

from schemas.responses import Response

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Read a duration such as `500ms`, `60s`, `5m`, `1h`, `2d` or `30` (seconds).

    Raises:
        ValueError: If it isn't one.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write it as 500ms, 30s, 5m, 1h or 2d")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


def seconds_option(text: str) -> float:
    """`seconds` for an option of the command line: a bad one ends the command with a usage error."""
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def usd(amount_usd: float) -> str:
    """Money as people read it: `$0`, `$0.000123`, `$1.25`."""
    if amount_usd == 0:
        return "$0"
    return f"${amount_usd:.2f}" if amount_usd >= 1 else f"${amount_usd:.6f}"


def millis(length_ms: float) -> str:
    """A length of time as people read it: `850 ms`, `2.4 s`."""
    return f"{length_ms:.0f} ms" if length_ms < 1000 else f"{length_ms / 1000:.1f} s"


def receipt(response: Response) -> str:
    """The line under an answer: who answered, tokens, cost, time."""
    usage = response.usage
    tokens = f"{usage.input_tokens}+{usage.output_tokens}" if usage else str(response.tokens_used)
    route = f"{response.provider}:{response.model}" if response.provider else "no route"
    parts = [route, f"{tokens} tokens", usd(response.cost_usd), millis(response.latency.total_ms)]
    if len(response.attempts) > 1:
        parts.append(f"{len(response.attempts)} attempts")
    if response.unknown_outcome:
        parts.append("may have been paid twice (a worker died in a call)")
    return ", ".join(parts)


def failure(response: Response) -> str:
    """The line for a failed response: code, field, message."""
    error = response.error
    if error is None:
        return ""
    at = f" ({error.field})" if error.field else ""
    return f"{error.code}{at}: {error.message}"


def note(text: str) -> None:
    """A line for the person at the terminal; stdout stays clean."""
    print(text, file=sys.stderr, flush=True)


def ended(reason: str, *, code: int = 1) -> typer.Exit:
    """Say on stderr, in one line, why the command ends and what to do; raise what this returns."""
    note(f"weir: {reason}")
    return typer.Exit(code)
