"""What the compacted topics say, held in memory: keys, users, sessions, used tickets, the last audit entries.

The same records in the same order give the same book in every gateway. The newest record of a key holds and
one without a value removes it. Of the signing secret and of a ticket's uses the first record holds, and a
revoked key stays revoked. Bounded: keys and users over the bound are not taken (and counted), of sessions
and uses the oldest go.
"""

import base64
import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from schemas.gateway import ApiKey, Audit, Session, SigningSecret, TicketUse, User
from schemas.topics import GATEWAY_AUDIT, GATEWAY_KEYS, GATEWAY_SESSIONS, GATEWAY_USERS

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

MAX_KEYS = 10_000
MAX_USERS = 10_000
MAX_SESSIONS = 20_000
MAX_USES = 20_000
MAX_AUDIT = 1_000
"""Audit entries that are kept at hand, for the tail."""
SECRET = "secret"
"""Record key of the signing secret."""
TICKET = "ticket/"
"""What record keys of ticket uses begin with."""
SEEN = "seen/"
"""What record keys of sessions' uses begin with: apart, so that none brings an ended one back."""


class Book:
    """The state that all gateways share. Its fields are its whole state; read them, change none."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.keys: dict[str, ApiKey] = {}
        self.users: dict[str, User] = {}
        self.sessions: dict[str, Session] = {}
        self.uses: dict[str, TicketUse] = {}
        self.audit: deque[Audit] = deque(maxlen=MAX_AUDIT)
        self.secret: bytes | None = None
        self.skipped = 0
        """Records that could not be read, or were over a bound."""
        self._of: dict[str, Callable[[str, bytes | None], None]] = {
            GATEWAY_KEYS.name: self._key,
            GATEWAY_USERS.name: self._user,
            GATEWAY_SESSIONS.name: self._session,
            GATEWAY_AUDIT.name: self._audit,
        }

    def apply(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take one record of a topic, by the topic's name without prefix, in the order of the log."""
        try:
            self._of[topic]((key or b"").decode(), value)
        except (ValidationError, UnicodeDecodeError) as error:
            self.skipped += 1
            _log.warning("a record of %s can't be read: %s", topic, type(error).__name__)

    def _key(self, name: str, value: bytes | None) -> None:
        if name == SECRET:
            if value is not None and self.secret is None:
                self.secret = base64.b64decode(SigningSecret.model_validate_json(value).secret)
        elif value is None:
            self.keys.pop(name, None)
        else:
            key, known = ApiKey.model_validate_json(value), self.keys.get(name)
            if known is not None and known.revoked_ms is not None:  # it stays revoked, whoever wrote at once
                key = key.model_copy(update={"revoked_ms": known.revoked_ms})
            self._put(self.keys, name, key, MAX_KEYS)

    def _user(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.users.pop(name, None)
        else:
            self._put(self.users, name, User.model_validate_json(value), MAX_USERS)

    def _session(self, name: str, value: bytes | None) -> None:
        if name.startswith(TICKET):
            if value is not None:
                self.uses.setdefault(name.removeprefix(TICKET), TicketUse.model_validate_json(value))
                _shorten(self.uses, MAX_USES)
        elif name.startswith(SEEN):
            known = self.sessions.get(name.removeprefix(SEEN))
            if value is not None and known is not None:
                seen_ms = Session.model_validate_json(value).seen_ms
                self.sessions[known.id] = known.model_copy(update={"seen_ms": seen_ms})
        elif value is None:
            self.sessions.pop(name, None)
        else:
            self.sessions[name] = Session.model_validate_json(value)
            _shorten(self.sessions, MAX_SESSIONS)

    def _audit(self, _: str, value: bytes | None) -> None:
        if value is not None:
            self.audit.append(Audit.model_validate_json(value))

    def _put(self, shelf: dict[str, _T], name: str, value: _T, most: int) -> None:
        if name not in shelf and len(shelf) >= most:
            self.skipped += 1
            _log.warning("there are more than %d of these: %s is not taken", most, type(value).__name__)
            return
        shelf[name] = value


def _shorten(shelf: dict[str, _T], most: int) -> None:
    while len(shelf) > most:
        del shelf[next(iter(shelf))]
