"""The audit trail: who did what, when, from where. Details are cleaned before they are written.

What somebody did is written with the answer; a record that Kafka doesn't take is logged instead, and what
was done stands. Of refusals at the door at most `REFUSALS_PER_MINUTE` are written, so that nobody fills the
topic by knocking; the rest is counted.
"""

import logging

from connectors.gateway.doors.keys import redact
from connectors.gateway.doors.limits import Rates
from connectors.gateway.doors.ports import Store
from connectors.gateway.doors.visits import address
from connectors.gateway.ports import Caller, Problem
from schemas.base import JsonObject
from schemas.gateway import Audit
from schemas.topics import GATEWAY_AUDIT

_log = logging.getLogger("weir.gateway.audit")

REFUSALS_PER_MINUTE = 120
NOBODY = "-"
COMMAND_LINE = "command line"
MAX_CHARS = 200
MAX_ENTRIES = 32
MAX_DEPTH = 3
HIDDEN = frozenset(
    {"authorization", "body", "content", "cookie", "hash", "input", "key", "messages", "password"}
    | {"password_hash", "prompt", "secret", "system", "text", "ticket", "token"}
)
"""Names whose values are never written."""


def clean(details: JsonObject, depth: int = 0) -> JsonObject:
    """Details without secrets and prompts: by name, by form of a key; shortened. Pure."""
    return {
        redact(name)[:MAX_CHARS]: "[hidden]" if name.lower() in HIDDEN else _cleaned(value, depth)
        for name, value in list(details.items())[:MAX_ENTRIES]
    }


def _cleaned(value: object, depth: int) -> object:
    if isinstance(value, str):
        return redact(value)[:MAX_CHARS]
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return clean({str(name): each for name, each in value.items()}, depth + 1)
    if isinstance(value, list | tuple):
        return [_cleaned(each, depth + 1) for each in list(value)[:MAX_ENTRIES]]
    return type(value).__name__


class Trail:
    """Writes the trail."""

    def __init__(self, store: Store) -> None:
        """Write to this store."""
        self._store = store
        self._refusals = Rates()
        self.unwritten = 0
        """Entries that were only logged, or only counted."""

    async def did(self, caller: Caller | str | None, action: str, details: JsonObject, now_ms: int) -> None:
        """Write what somebody did; a text is the name of somebody who isn't a caller."""
        known = caller if isinstance(caller, Caller) else None
        entry = Audit(
            at_ms=now_ms,
            caller=known.id if known else (caller if isinstance(caller, str) else NOBODY),
            tenant=known.tenant if known else "",
            action=action,
            address=address(),
            details=clean(details),
        )
        try:
            await self._store.write(GATEWAY_AUDIT, entry.caller, entry.to_bytes())
        except Problem as problem:
            self.unwritten += 1
            _log.error("not on the trail (%s): %s", problem.message, entry.to_bytes().decode())

    async def refused(self, action: str, details: JsonObject, now_ms: int) -> None:
        """Write that somebody was not let in, unless that happened too often in the last minute."""
        if self._refusals.take(NOBODY, REFUSALS_PER_MINUTE, now_ms / 1000)[0]:
            await self.did(None, action, details, now_ms)
        else:
            self.unwritten += 1
