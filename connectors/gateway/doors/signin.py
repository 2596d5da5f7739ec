"""Signing in and out at a browser: password or key against a cookie; tries are limited."""

import secrets
from collections.abc import Callable, Mapping

from connectors.gateway.doors import sessions
from connectors.gateway.doors.keeper import Doors, key_caller, retry_headers, user_caller
from connectors.gateway.doors.limits import Rates
from connectors.gateway.doors.users import Passwords
from connectors.gateway.doors.visits import address
from connectors.gateway.ports import Caller, Problem
from schemas.gateway import ApiKey, Session, User
from schemas.topics import GATEWAY_SESSIONS

TRIES_PER_NAME = 10
"""Most tries to sign in as one user, in a minute."""
TRIES_PER_ADDRESS = 30
"""Most tries from one address, in a minute."""
MAX_SESSIONS_EACH = 20
"""Most sessions of one user or key; the oldest ends when another begins."""


class SignIn:
    """Begins and ends sessions."""

    def __init__(self, doors: Doors, passwords: Passwords, clock_ms: Callable[[], int]) -> None:
        """Work on the store of the doors."""
        self._doors, self._passwords, self._clock_ms = doors, passwords, clock_ms
        self._tries = Rates()

    async def by_password(self, name: str, password: str, agent: str) -> tuple[Caller, str]:
        """Begin a session; the caller and the cookie's value.

        Raises:
            Problem: 401 `invalid_credentials`, the same for an unknown user; 429 after too many tries.
        """
        self._try(f"user {name}", TRIES_PER_NAME)
        self._try(f"address {address()}", TRIES_PER_ADDRESS)
        user = self._doors.store.book.users.get(name)
        right = await self._passwords.check(user.password_hash if user else None, password)
        if user is None or not right:
            await self._doors.trail.refused("signin.refused", {"user": name}, self._clock_ms())
            raise Problem(401, "invalid_credentials", "user or password is wrong")
        return user_caller(user), await self._begin(user, agent)

    async def by_key(self, text: str, agent: str) -> tuple[Caller, str]:
        """Begin a session that ends with the key; the caller and the cookie's value.

        Raises:
            Problem: 401 `invalid_api_key`; 429 after too many tries.
        """
        self._try(f"address {address()}", TRIES_PER_ADDRESS)
        key = self._doors.key(text)
        return key_caller(key), await self._begin(key, agent)

    async def end(self, session_id: str) -> None:
        """End a session; one that is over already is no error."""
        if session_id in self._doors.store.book.sessions:
            await self._doors.store.write(GATEWAY_SESSIONS, session_id, None)

    def all(self) -> list[Session]:
        """Sessions that are good, oldest first."""
        now_ms = self._clock_ms()
        return [each for each in self._doors.store.book.sessions.values() if sessions.alive(each, now_ms)]

    def of(self, headers: Mapping[str, str]) -> Session | None:
        """The session that a request comes with; `None` where it comes with none."""
        sid = sessions.sid_of(headers)
        return self._doors.store.book.sessions.get(sessions.session_id(sid)) if sid else None

    async def _begin(self, who: User | ApiKey, agent: str) -> str:
        sid, now_ms = secrets.token_urlsafe(32), self._clock_ms()
        session = Session(
            id=sessions.session_id(sid),
            user=who.name if isinstance(who, User) else None,
            key_id=who.id if isinstance(who, ApiKey) else None,
            created_ms=now_ms,
            seen_ms=now_ms,
            address=address(),
            agent=agent[:200],
        )
        book = self._doors.store.book
        same = [s for s in book.sessions.values() if (s.user, s.key_id) == (session.user, session.key_id)]
        for oldest in sorted(same, key=lambda s: s.created_ms)[: max(0, len(same) + 1 - MAX_SESSIONS_EACH)]:
            await self.end(oldest.id)
        await self._doors.store.write(GATEWAY_SESSIONS, session.id, session.to_bytes())
        return sid

    def _try(self, who: str, most: int) -> None:
        free, room = self._tries.take(who, most, self._clock_ms() / 1000)
        if not free:
            raise Problem(429, "rate_limited", "too many tries", headers=retry_headers(room.retry_s))
