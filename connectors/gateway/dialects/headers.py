"""Headers of answers: who answered, ids, and what is left of the caller's limits. Pure.

x-request-id, request-id             the request, for OpenAI's clients and Anthropic's
x-client-request-id                  the caller's own `x-request-id`, handed back
x-weir-model, -provider              who answered
x-weir-attempts, -fallbacks          tries, and how many routes beside the first were among them
x-weir-cost-usd, -cache              what all tries together cost; `hit`, `miss` or `off`
ratelimit-policy, ratelimit          the IETF's draft 11
x-ratelimit-{limit,remaining,reset}-{requests,tokens}           on OpenAI's routes
anthropic-ratelimit-{requests,...}-{limit,remaining,reset}      on Anthropic's; the reset as a moment

A stream's headers leave before anybody has answered: what they can't say stands in its last event (`weir`).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from urllib.parse import quote

from connectors.gateway.dialects.dialect import Style
from schemas.base import JsonObject
from schemas.responses import Response

WINDOW_S = 60
"""The window of the caller's limits, in seconds."""
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")

Limits = Mapping[str, tuple[int, int, float]]
"""By name (`requests`, `tokens`): limit, what remains, seconds until it is whole again."""


def id_headers(request_id: str, asked: Mapping[str, str]) -> dict[str, str]:
    """The ids of an answer; `asked` are the headers of the request, in lower case."""
    made = {"x-request-id": request_id, "request-id": request_id}
    own = asked.get("x-request-id", "")
    if _CLIENT_ID.fullmatch(own):
        made["x-client-request-id"] = own
    return made


def trace_of(asked: Mapping[str, str]) -> str | None:
    """The caller's trace context, where it sent a sound one."""
    found = asked.get("traceparent", "")
    return found if _TRACEPARENT.fullmatch(found) else None


def weir_headers(response: Response) -> dict[str, str]:
    """Who answered, after how much, and what it cost."""
    facts = weir_facts(response)
    return {f"x-weir-{name.replace('_', '-')}": _shown(value) for name, value in facts.items()}


def weir_facts(response: Response) -> JsonObject:
    """The same as JSON, for the last event of a stream."""
    routes = {attempt.route for attempt in response.attempts}
    facts: JsonObject = {
        "model": response.model,
        "provider": response.provider,
        "attempts": len(response.attempts),
        "fallbacks": max(0, len(routes) - 1),
        "cost_usd": round(response.cost_usd, 10),
        "cache": response.cache,
    }
    return {name: value for name, value in facts.items() if value is not None}


def limit_headers(limits: Limits, style: Style, now_s: float) -> dict[str, str]:
    """What is left of the caller's limits, in the words of an API and the IETF's; `now_s` is Unix time."""
    made: dict[str, str] = {}
    if limits:
        made["ratelimit-policy"] = ", ".join(
            f'"{n}";q={limit};w={WINDOW_S}' for n, (limit, _, _) in limits.items()
        )
        made["ratelimit"] = ", ".join(
            f'"{n}";r={left};t={ceil(reset)}' for n, (_, left, reset) in limits.items()
        )
    for name, (limit, left, reset_s) in limits.items():
        if style == "anthropic":
            moment = datetime.fromtimestamp(ceil(now_s + reset_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            values = {"limit": str(limit), "remaining": str(left), "reset": moment}
            made |= {f"anthropic-ratelimit-{name.replace('_', '-')}-{word}": v for word, v in values.items()}
        else:
            values = {"limit": str(limit), "remaining": str(left), "reset": f"{reset_s:.3f}s"}
            made |= {f"x-ratelimit-{word}-{name}": value for word, value in values.items()}
    return made


def _shown(value: object) -> str:
    """A value that may stand in a header."""
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    return quote(str(value), safe=_SAFE)
