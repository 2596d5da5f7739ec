"""Resume tokens: a signed place in the reply log. Pure.

`base64url(JSON + HMAC-SHA-256)`. What is in it is not secret, but only gateways of this installation can make
it, so what it says of the tenant and the place can be relied on.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Annotated

from annotated_types import Ge, MaxLen
from pydantic import BaseModel, ConfigDict, ValidationError

MAX_CHARS = 2000
"""Longest token that is looked at."""
_DIGEST = sha256().digest_size
_Count = Annotated[int, Ge(0)]


class Place(BaseModel):
    """Where a reader is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_id: Annotated[str, MaxLen(200)]
    """The request."""
    tenant: Annotated[str, MaxLen(200)]
    """Whose it is."""
    partition: _Count
    """Partition of the reply topic."""
    offset: _Count
    """The next record to look at."""
    streamed: bool
    """Whether pieces were asked for."""
    attempt: _Count
    """Attempt whose pieces were shown."""
    seq: Annotated[int, Ge(-1)]
    """Last piece that was shown."""
    whole: bool
    """Whether that was the attempt's last."""
    ended: bool = False
    """Whether the end was given: there is nothing more."""
    deadline_ms: _Count
    """Until when an answer is waited for, Unix time in milliseconds."""
    asked_ms: _Count
    """When it was asked, Unix time in milliseconds."""
    home: _Count
    """Partition number of the request, and of its response."""


def sign(place: Place, secret: bytes) -> str:
    """The token of a place."""
    body = place.model_dump_json().encode()
    return urlsafe_b64encode(body + _mac(body, secret)).decode().rstrip("=")


def read(token: str, secret: bytes) -> Place | None:
    """The place that a token names; `None` where it isn't one of ours."""
    if len(token) > MAX_CHARS or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    body, mac = raw[:-_DIGEST], raw[-_DIGEST:]
    if not hmac.compare_digest(mac, _mac(body, secret)):
        return None
    try:
        return Place.model_validate_json(body)
    except ValidationError:
        return None


def _mac(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"weir stream token 1\0" + body, "sha256")
