"""What is shown of a record on a watched topic: never a prompt, an answer or original bytes. Pure.

A record that can't be read, and one that is not for people (fences, packed entries), is no row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from connectors.gateway.socket.feed import Row
from connectors.kafka.reading import Seen
from schemas.base import JsonObject
from schemas.topics import ALERTS, DEAD_LETTERS, LOGS, METRICS, REQUESTS, RESPONSES, USAGE, Topic

MAX_VALUE_BYTES = 16 * 1024
"""Largest value that is shown; of a larger one only its short fields."""
MAX_METRICS_BYTES = 256 * 1024
MAX_SERIES = 200
"""Most series of a process's snapshot that are shown: those with the most requests."""
_KEY_CHARS = 200

_REQUEST_FIELDS = (
    "request_id context_id model fallbacks max_tokens max_completion_tokens temperature stream priority "
    "timeout_ms deadline_ms tenant cache reply_topic correlation_id traceparent"
)
_RESPONSE_FIELDS = (
    "request_id context_id tenant finish_reason error tokens_used usage cost_usd model provider cache route "
    "compression latency unknown_outcome estimated_input_tokens correlation_id traceparent"
)
_DEAD_FIELDS = "request_id source code message stage cost_usd timestamp_ms"
_HEADERS = "request_id context_id tenant priority deadline_ms reply_topic replay origin"

Shown = Callable[[JsonObject, Seen], JsonObject]


@dataclass(frozen=True, slots=True)
class View:
    """How a topic is watched."""

    topic: Topic
    """Which one."""
    show: Shown
    """What is shown of a value."""
    max_bytes: int = MAX_VALUE_BYTES
    """Largest value that is shown whole."""
    private: bool = False
    """Whether it has no tenant that could be checked, so that only `admin` may see it."""


def row_of(view: View, seen: Seen) -> Row | None:
    """A record as a row; `None` where there is nothing to show."""
    if seen.value is None:
        return None
    try:
        value = orjson.loads(seen.value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    shown = view.show(value, seen)
    size = len(orjson.dumps(shown))
    if size > view.max_bytes:
        shown = _small(shown)
        size = len(orjson.dumps(shown))
    tenant = shown.get("tenant")
    key = (seen.key or b"").decode("utf-8", "replace")[:_KEY_CHARS]
    return Row(seen.timestamp_ms, key, shown, tenant if isinstance(tenant, str) else None, size + 200)


def _whole(value: JsonObject, _seen: Seen) -> JsonObject:
    return value


def _metrics(value: JsonObject, _seen: Seen) -> JsonObject:
    series = value.get("series")
    if not isinstance(series, list) or len(series) <= MAX_SERIES:
        return value
    busiest = sorted((one for one in series if isinstance(one, dict)), key=_requests, reverse=True)
    return value | {"series": busiest[:MAX_SERIES], "cut": True}


def _requests(series: JsonObject) -> int:
    count = series.get("requests")
    return count if isinstance(count, int) else 0


def _request(value: JsonObject, seen: Seen) -> JsonObject:
    """A request without what it says; a header beats the body, and `default` is the tenant of nobody else."""
    shown = _picked(value, _REQUEST_FIELDS)
    for name in _HEADERS.split():
        text = seen.header(name)
        if text is not None:
            shown[name] = text
    shown.setdefault("tenant", "default")
    messages = value.get("messages")
    if isinstance(messages, list):
        shown["messages"] = len(messages)
    return shown | {"bytes": len(seen.value or b""), "place": _place(seen)}


def _response(value: JsonObject, seen: Seen) -> JsonObject:
    shown = _picked(value, _RESPONSE_FIELDS)
    attempts = value.get("attempts")
    shown["attempts"] = len(attempts) if isinstance(attempts, list) else 0
    return shown | {"bytes": len(seen.value or b""), "place": _place(seen)}


def _dead_letter(value: JsonObject, seen: Seen) -> JsonObject:
    return _picked(value, _DEAD_FIELDS) | {"bytes": len(seen.value or b"")}


def _picked(value: JsonObject, names: str) -> JsonObject:
    return {name: value[name] for name in names.split() if value.get(name) is not None}


def _place(seen: Seen) -> str:
    return f"{seen.place.topic}/{seen.place.partition}/{seen.offset}"


def _small(value: JsonObject) -> JsonObject:
    """The short fields of a value that is too large, and that it was cut."""
    kept = {
        name: one
        for name, one in list(value.items())[:50]
        if len(name) <= _KEY_CHARS
        and (one is None or isinstance(one, bool | int | float) or (isinstance(one, str) and len(one) <= 200))
    }
    return kept | {"cut": True}


VIEWS: Mapping[str, View] = {
    "metrics": View(METRICS, _metrics, MAX_METRICS_BYTES),
    "logs": View(LOGS, _whole),
    "alerts": View(ALERTS, _whole),
    "requests": View(REQUESTS, _request),
    "responses": View(RESPONSES, _response),
    "usage": View(USAGE, _whole),
    "dead-letters": View(DEAD_LETTERS, _dead_letter, private=True),
}
"""The watched topics, by the names of the protocol."""
PRIVATE = frozenset(name for name, view in VIEWS.items() if view.private)
"""Those that only `admin` may watch."""
