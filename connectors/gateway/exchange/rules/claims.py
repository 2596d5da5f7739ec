"""Which request an `Idempotency-Key` stands for, as every gateway reads it from one log. Pure.

Rules that hold here:
- A key belongs to a tenant and a caller. The first claim of a key in the log's order holds, for 24 hours.
- A later claim takes its place only where it names the request that holds as the one it `replaces`.
- A gateway whose claim lost writes the winner's again: compaction keeps the newest record of a key.
- Bounded: over the bound the oldest claims go, and their keys are as new.
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

import orjson

from schemas.claims import Claim
from schemas.requests import ADDRESS_FIELDS, Request

MAX_KEY_CHARS = 255
"""Longest `Idempotency-Key`."""
TTL_MS = 24 * 60 * 60 * 1000
"""How long a claim holds."""
RESEND_MS = 5 * 60 * 1000
"""How long the request of a claim may be sent again: well within the ten minutes in which workers know it."""
_NOT_ASKED = ADDRESS_FIELDS | {"request_id"}


def scope(tenant: str, caller: str, key: str) -> str:
    """The record key of a client's key; the key itself is kept nowhere."""
    return sha256(orjson.dumps([tenant, caller, key])).hexdigest()


def hash_of(request: Request) -> str:
    """What is asked, without who waits where and until when."""
    asked: Mapping[str, object] = request.model_dump(mode="json", exclude_none=True, exclude=set(_NOT_ASKED))
    return sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Claims:
    """The claims that hold, by key and by request."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._by_key: OrderedDict[str, Claim] = OrderedDict()
        self._by_request: dict[str, Claim] = {}
        self.dropped = 0
        """Claims that had to go before their time."""

    def __len__(self) -> int:
        return len(self._by_key)

    def apply(self, key: str, claim: Claim) -> None:
        """The next record of the log."""
        held = self._by_key.get(key)
        if held is not None and not supersedes(claim, held):
            return
        if held is not None:
            self._forget(key)
        self._by_key[key] = claim
        self._by_request[claim.request_id] = claim
        if len(self._by_key) > self._most:
            self._forget(next(iter(self._by_key)))
            self.dropped += 1

    def holder(self, key: str, now_ms: int) -> Claim | None:
        """The claim that holds for a key."""
        claim = self._by_key.get(key)
        return claim if claim is not None and now_ms - claim.asked_ms < TTL_MS else None

    def of_request(self, request_id: str, now_ms: int) -> Claim | None:
        """The claim of a request."""
        claim = self._by_request.get(request_id)
        return claim if claim is not None and now_ms - claim.asked_ms < TTL_MS else None

    def expire(self, now_ms: int) -> None:
        """Forget what does not hold any more; the oldest come first."""
        while self._by_key and now_ms - next(iter(self._by_key.values())).asked_ms >= TTL_MS:
            self._forget(next(iter(self._by_key)))

    def _forget(self, key: str) -> None:
        claim = self._by_key.pop(key)
        self._by_request.pop(claim.request_id, None)


def supersedes(claim: Claim, held: Claim) -> bool:
    """Whether a later claim takes the place of the one that holds."""
    return claim.replaces == held.request_id or claim.asked_ms - held.asked_ms >= TTL_MS
