"""From Gemini's errors to ours, by whose fault it is. Pure.

`{"error": {"code", "message", "status", "details"}}`, also in a list of one. The reason of an `ErrorInfo` in
`details` goes before the `status`, and that before the HTTP status. `RetryInfo` is read as a `retry-after`
header, which goes before it where there is one.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting and
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto.
"""

from collections.abc import Iterator, Mapping

from connectors.providers.errors import duration_s, failure
from connectors.providers.wire import error_json, server_message
from schemas.base import JsonObject
from schemas.calls import Malformed, Missing, ProviderError, Refused, Throttled, Unavailable

_BY_REASON: dict[str, type[ProviderError]] = {
    "API_KEY_INVALID": Missing,
    "API_KEY_EXPIRED": Missing,
    "API_KEY_SERVICE_BLOCKED": Missing,
    "API_KEY_IP_ADDRESS_BLOCKED": Missing,
    "SERVICE_DISABLED": Missing,
    "BILLING_DISABLED": Missing,
    "CONSUMER_SUSPENDED": Missing,
    "RATE_LIMIT_EXCEEDED": Throttled,
}
_BY_STATUS: dict[str, tuple[type[ProviderError], int]] = {
    "INVALID_ARGUMENT": (Refused, 400),
    "OUT_OF_RANGE": (Refused, 400),
    "FAILED_PRECONDITION": (Missing, 400),
    "UNAUTHENTICATED": (Missing, 401),
    "PERMISSION_DENIED": (Missing, 403),
    "NOT_FOUND": (Missing, 404),
    "ALREADY_EXISTS": (Unavailable, 409),
    "ABORTED": (Unavailable, 409),
    "RESOURCE_EXHAUSTED": (Throttled, 429),
    "CANCELLED": (Unavailable, 499),
    "INTERNAL": (Unavailable, 500),
    "UNKNOWN": (Unavailable, 500),
    "DATA_LOSS": (Unavailable, 500),
    "UNIMPLEMENTED": (Missing, 501),
    "UNAVAILABLE": (Unavailable, 503),
    "DEADLINE_EXCEEDED": (Unavailable, 504),
}


def error_of_reply(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error of a reply with a bad status; `headers` is case-insensitive or in lower case."""
    found = error_in(body)
    if found is None:
        return failure(status, headers, server_message(body)[0])
    return error_of(found, status, headers)


def error_of(
    found: JsonObject, status: int | None = None, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error that an `error` object tells; without a `status` it is the object's own."""
    name = found.get("status")
    leaf, usual = _BY_STATUS.get(name if isinstance(name, str) else "", (None, None))
    details = list(_details(found.get("details")))
    leaf = next((_BY_REASON[why] for each in details if (why := str(each.get("reason"))) in _BY_REASON), leaf)
    code = found.get("code")
    if status is None:
        status = code if isinstance(code, int) and 400 <= code <= 599 else usual or 500
    error = failure(status, _with_retry(headers or {}, details), str(found.get("message") or ""))
    if leaf is None or isinstance(error, leaf | Throttled | Malformed):
        return error
    return leaf(error.reason, status=status, retry_after_s=error.retry_after_s)


def error_in(body: bytes) -> JsonObject | None:
    """The `error` object of a body, in a list or not; `None` where it has none."""
    value = error_json(body)
    found = value[0] if isinstance(value, list) and value else value
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else None


def _details(found: object) -> Iterator[JsonObject]:
    if isinstance(found, list):
        yield from (each for each in found if isinstance(each, dict))


def _with_retry(headers: Mapping[str, str], details: list[JsonObject]) -> Mapping[str, str]:
    """The headers, with what `RetryInfo` says where they say nothing."""
    if "retry-after" in headers or "retry-after-ms" in headers:
        return headers
    for each in details:
        wait_s = duration_s(str(each.get("retryDelay", "")))
        if wait_s is not None:
            return {**{name.lower(): value for name, value in headers.items()}, "retry-after": f"{wait_s:f}"}
    return headers
