"""The protocol of `/ws`, version 1: JSON objects in text messages, each with a `type`. Pure.

A socket asks models and watches topics. `id` is the client's own name (1 to 64 characters) for a stream or a
subscription; it may be used again when that has ended. Fields that are not listed here are refused.

| from | type | further fields | meaning |
|---|---|---|---|
| client | hello | version | first message; nothing else is taken before it |
| server | hello | version, caller {id, tenant, scopes}, topics, limits | who you are, what you may watch |
| client | submit | id, request | ask; an event as in `llm.requests`, `{"prompt": "hi"}` is enough |
| client | follow | id, token | go on with an answer after a cut, from the place the token names |
| server | submitted | id, request_id, token | it is durable; `token` is for `follow`: the answer's start |
| server | chunk | id, attempt, seq, delta, ... | as on `llm.chunks`; a higher attempt: drop what you have |
| server | response | id, response | the end: the answer or its failure, as on `llm.responses` |
| client | cancel | id | stop it; the `response` still comes, with code `cancelled` if it was in time |
| client | subscribe | id, topic, filter?, since?, epoch? | watch; see below |
| server | snapshot | id, topic, epoch, seq, rows, dropped | replaces what you have |
| server | delta | id, after, seq, rows | adds to it; `after` is the `seq` you were told last |
| server | paused | id | you read too slowly; rows wait, and go when their ring is full |
| client | unsubscribe | id | no more |
| server | unsubscribed | id | the last message of the subscription |
| client | ping | id? | are you there |
| server | pong | id? | yes |
| server | error | id?, code, message, param? | not acted on; or the stream has ended without an answer |

**Watching.** `topic` is one of those in the server's hello: `metrics`, `logs`, `alerts`, `requests`,
`responses`, `usage`, `dead-letters`. A row is `{seq, at_ms, key, value}`; prompts and answers are not in
it, only their sizes. `filter` is `{field: value or [values]}`, at most 8 fields of `value`, dotted where
nested; a row passes when each is equal to one of its values. Rows of other tenants are left out, unless the
scope is `admin`. `seq` counts the rows of the topic in this gateway, without gaps before filters, and
`epoch` names the count: subscribing with the last `seq` as `since` and its `epoch` goes on with a delta
where the rows are still held, and with a snapshot where not. Rows come at most four times a second.
`dropped` says how many rows (before filters) you never got.

**Slow readers.** Pieces of answers are never dropped: reading them waits, and the log holds them. Rows are
dropped: `paused`, then a delta where the ring still has what you missed, or a snapshot with `dropped`.

**Bounds** are in the server's hello: bytes of a message, subscriptions, streams under way, messages a
second, bytes queued. A message over the rate is answered with `rate_limited`. The socket is closed with
4400 (not this protocol), 4401 (key revoked, session over), 4408 (no hello, or open too long: come again),
4429 (far over the rate), 1009 (message too large), 1011 (a fault of the gateway's own), 1012 (the gateway
stops: come again).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Literal, TypeAlias

import orjson
from annotated_types import Ge, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.gateway.ports import Caller
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.guard import violation
from schemas.responses import Response

VERSION = 1
TOPICS = ("metrics", "logs", "alerts", "requests", "responses", "usage", "dead-letters")
"""What can be watched."""

BAD_PROTOCOL, BAD_KEY, COME_AGAIN, TOO_FAST, TOO_LARGE, BROKEN = 4400, 4401, 4408, 4429, 1009, 1011
"""Codes that a socket is closed with."""

Ref: TypeAlias = Annotated[str, MinLen(1), MaxLen(64)]
Scalar: TypeAlias = str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one socket; told to the client in the server's hello."""

    message_bytes: int = 1024 * 1024
    """Largest message from the client; a larger request goes over HTTP."""
    subscriptions: int = 16
    """Most topics watched at once."""
    streams: int = 8
    """Most answers under way at once."""
    messages_per_s: int = 20
    """Most messages from the client a second, on average; twice as many may come at once."""
    queue_bytes: int = 1024 * 1024
    """Bytes that wait to be sent, beyond which no answer is read on; rows stop at a quarter of it."""
    rows: int = 100
    """Most rows of a snapshot or a delta."""


class _FromClient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hello(_FromClient):
    """The first message."""

    type: Literal["hello"]
    version: int


class Submit(_FromClient):
    """Ask."""

    type: Literal["submit"]
    id: Ref
    request: JsonObject


class Follow(_FromClient):
    """Go on with an answer."""

    type: Literal["follow"]
    id: Ref
    token: Annotated[str, MinLen(1), MaxLen(2000)]


class Cancel(_FromClient):
    """Stop an answer."""

    type: Literal["cancel"]
    id: Ref


class Subscribe(_FromClient):
    """Watch a topic."""

    type: Literal["subscribe"]
    id: Ref
    topic: str
    filter: Annotated[dict[str, Scalar | Annotated[list[Scalar], MaxLen(32)]], MaxLen(8)] = {}
    since: Annotated[int, Ge(0)] | None = None
    epoch: Annotated[str, MaxLen(64)] | None = None


class Unsubscribe(_FromClient):
    """Watch no more."""

    type: Literal["unsubscribe"]
    id: Ref


class Ping(_FromClient):
    """Are you there."""

    type: Literal["ping"]
    id: Ref | None = None


AfterHello: TypeAlias = Submit | Follow | Cancel | Subscribe | Unsubscribe | Ping
FromClient: TypeAlias = Hello | AfterHello
_KINDS: Mapping[str, type[FromClient]] = {
    "hello": Hello,
    "submit": Submit,
    "follow": Follow,
    "cancel": Cancel,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "ping": Ping,
}


class NotUnderstoodError(Exception):
    """A message that the protocol doesn't have; `id` and `param` where they can be told."""

    def __init__(self, message: str, id_: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.id = id_
        self.param = param


def read(text: str) -> FromClient:
    """One message from the client.

    Raises:
        NotUnderstoodError: If it isn't one; the message says what is wrong, without quoting a value.
    """
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotUnderstoodError("the message is not JSON") from None
    if not isinstance(body, dict):
        raise NotUnderstoodError("the message is not a JSON object")
    ref = body.get("id")
    ref = ref if isinstance(ref, str) and 1 <= len(ref) <= 64 else None
    kind = body.get("type")
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise NotUnderstoodError(f"`type` must be one of {', '.join(_KINDS)}", ref, "type")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        field, message = violation(error)
        raise NotUnderstoodError(message, ref, field) from None


def hello(caller: Caller, topics: list[str], limits: Limits) -> bytes:
    """The server's first message."""
    who = {"id": caller.id, "tenant": caller.tenant, "scopes": sorted(caller.scopes)}
    return _message("hello", version=VERSION, caller=who, topics=topics, limits=asdict(limits))


def submitted(ref: str, request_id: str, token: str) -> bytes:
    """A request is durable, or is followed again."""
    return _message("submitted", id=ref, request_id=request_id, token=token)


def chunk(ref: str, piece: Chunk) -> bytes:
    """A piece of an answer."""
    return b'{"type":"chunk","id":' + orjson.dumps(ref) + b"," + piece.to_bytes()[1:]


def response(ref: str, whole: Response) -> bytes:
    """The end of an answer."""
    return b'{"type":"response","id":' + orjson.dumps(ref) + b',"response":' + whole.to_bytes() + b"}"


def error(code: str, message: str, ref: str | None = None, param: str | None = None) -> bytes:
    """A message was not acted on, or a stream ends without an answer."""
    return _message("error", id=ref, code=code, message=message, param=param)


def snapshot(ref: str, topic: str, at: tuple[str, int], rows: list[bytes], dropped: int) -> bytes:
    """What replaces what the client has; `at` is epoch and seq."""
    head = _message("snapshot", id=ref, topic=topic, epoch=at[0], seq=at[1], dropped=dropped)
    return _with_rows(head, rows)


def delta(ref: str, after: int, seq: int, rows: list[bytes]) -> bytes:
    """What is added to it."""
    return _with_rows(_message("delta", id=ref, after=after, seq=seq), rows)


def note(kind: Literal["paused", "unsubscribed", "pong"], ref: str | None) -> bytes:
    """A message without further fields."""
    return _message(kind, id=ref)


def _message(kind: str, **fields: object) -> bytes:
    return orjson.dumps({"type": kind} | {name: value for name, value in fields.items() if value is not None})


def _with_rows(head: bytes, rows: list[bytes]) -> bytes:
    return head[:-1] + b',"rows":[' + b",".join(rows) + b"]}"
