"""The doorkeeper: finds out who asks, and whether they may. What it knows stands in the book.

It says the same of a key that isn't there and of one whose secret is wrong; only who has the whole key is
told that it has expired.
"""

import math
from collections.abc import Callable, Mapping

from connectors.gateway.doors import keys, sessions, signing
from connectors.gateway.doors.audit import Trail
from connectors.gateway.doors.book import SEEN
from connectors.gateway.doors.limits import Busy, Rates
from connectors.gateway.doors.ports import Store
from connectors.gateway.doors.visits import visit
from connectors.gateway.ports import Caller, Problem
from schemas.base import JsonObject
from schemas.gateway import ApiKey, Session, User
from schemas.topics import GATEWAY_SESSIONS

STREAMS = 256
"""Most requests at once of a caller that has no bound of its own."""
USER = "user:"
"""What the ids of callers that are users begin with."""


class Doors:
    """A `Doorkeeper` and the `Tickets`; started and stopped as a `Part`."""

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int],
        *,
        pepper: bytes | None = None,
        gateways: int = 1,
        secret: bytes | None = None,
    ) -> None:
        """Let callers in by what the store says.

        Args:
            store: Keys, users and sessions.
            clock_ms: Unix time in milliseconds.
            pepper: What keys are hashed with; `None` for a bare hash.
            gateways: How many share the limits of requests a minute.
            secret: What tickets are signed with; needed before the first ticket.
        """
        self.store, self.trail = store, Trail(store)
        self._clock_ms, self._pepper, self._secret = clock_ms, pepper, secret
        self._rates, self._busy = Rates(gateways), Busy(STREAMS)
        self._counters = {"doors_admitted": 0, "doors_refused": 0, "doors_limited": 0}

    @property
    def ready(self) -> bool:
        """Whether the topics were read."""
        return self.store.ready

    async def start(self) -> None:
        """Read the topics, unless that is done.

        Raises:
            KafkaProblem: When they can't be read.
        """
        if not self.store.ready:
            await self.store.start()

    async def stop(self) -> None:
        """End threads and connections."""
        await self.store.stop()

    def counters(self) -> Mapping[str, int]:
        """Totals since the start."""
        return {**self._counters, "doors_audit_unwritten": self.trail.unwritten}

    def gauges(self) -> Mapping[str, float]:
        """Values of the moment."""
        book = self.store.book
        return {
            "doors_keys": len(book.keys),
            "doors_users": len(book.users),
            "doors_sessions": len(book.sessions),
            "doors_callers_busy": len(self._busy),
        }

    async def admit(self, headers: Mapping[str, str], scope: str, model: str | None = None) -> Caller:
        """Who is it, and may it. Within a visit it counts as under way until the visit ends.

        Raises:
            Problem: 401 `invalid_api_key`, 403 `forbidden`, 429 `rate_limited` with too much at once.
        """
        try:
            caller = await self.identify(headers)
            permit(caller, scope, model)
        except Problem as problem:
            self._counters["doors_refused"] += 1
            await self.trail.refused(f"door.{problem.code}", {"why": problem.message}, self._clock_ms())
            raise
        self._begin(caller)
        self._counters["doors_admitted"] += 1
        return caller

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Who is it, by key or by cookie.

        Raises:
            Problem: 401 `invalid_api_key`.
        """
        text = given_key(headers)
        if text is not None:
            return key_caller(self.key(text))
        sid = sessions.sid_of(headers)
        if sid is None:
            raise _stranger("no key: send `Authorization: Bearer KEY` or `x-api-key: KEY`")
        session = self.session(sid)
        await self._touch(session)
        return self.session_caller(session)

    def key(self, text: str) -> ApiKey:
        """The key that a text is.

        Raises:
            Problem: 401 `invalid_api_key`.
        """
        parsed = keys.parse(text)
        if parsed is None:
            raise _stranger("this is not a key of ours; is it whole?")
        found = self.store.book.keys.get(parsed.id)
        if found is None or not keys.matches(found, text, self._pepper):
            raise _stranger("this key is not known")
        if not keys.good(found, self._clock_ms()):
            raise _stranger(f"this key is {keys.state(found, self._clock_ms())}")
        return found

    def session(self, sid: str) -> Session:
        """The session of a cookie.

        Raises:
            Problem: 401 `invalid_api_key`.
        """
        session = self.store.book.sessions.get(sessions.session_id(sid))
        if session is None or not sessions.alive(session, self._clock_ms()):
            raise _stranger("the session is over: sign in again")
        return session

    def session_caller(self, session: Session) -> Caller:
        """Whose session it is.

        Raises:
            Problem: 401 `invalid_api_key`: the user or the key is gone, or has changed.
        """
        book = self.store.book
        if session.key_id is not None:
            key = book.keys.get(session.key_id)
            if key is not None and keys.good(key, self._clock_ms()):
                return key_caller(key)
        user = book.users.get(session.user or "")
        if user is None or not sessions.belongs(session, user):
            raise _stranger("the session is over: sign in again")
        return user_caller(user)

    def charge(self, caller: Caller) -> Mapping[str, tuple[int, int, float]]:
        """Count one request: `{"requests": (limit, remaining, reset_s)}`; empty where there is no limit.

        Raises:
            Problem: 429 `rate_limited`, with `retry-after` and `retry-after-ms`.
        """
        if caller.requests_per_minute is None:
            return {}
        free, room = self._rates.take(caller.id, caller.requests_per_minute, self._clock_ms() / 1000)
        if free:
            return {"requests": (room.limit, room.remaining, room.reset_s)}
        self._counters["doors_limited"] += 1
        text = f"over {room.limit} requests a minute; try again in {math.ceil(room.retry_s)} s"
        raise Problem(429, "rate_limited", text, headers=retry_headers(room.retry_s))

    async def note(self, caller: Caller | None, action: str, details: JsonObject) -> None:
        """Write to the audit trail; keys and prompts in the details are left out."""
        await self.trail.did(caller, action, details, self._clock_ms())

    def ticket(self, headers: Mapping[str, str]) -> tuple[str, int]:
        """A ticket for whoever these headers let in, and when it is too old.

        Raises:
            Problem: 401 `invalid_api_key`.
        """
        text = given_key(headers)
        holder = f"key:{self.key(text).id}" if text is not None else None
        if holder is None:
            holder = f"session:{self.session(sessions.sid_of(headers) or '').id}"
        return signing.new_ticket(self._signing(), holder, self._clock_ms())

    async def redeem(self, ticket: str) -> Caller:
        """Whose ticket it is; it is used up then, at every gateway.

        Raises:
            Problem: 401 `invalid_ticket`: forged, too old, or used.
        """
        found = signing.unseal(self._signing(), ticket, self._clock_ms())
        if found is None or not await signing.use_up(self.store, found):
            raise Problem(401, "invalid_ticket", "this ticket is not good: it is used once, within 30 s")
        kind, _, name = found.holder.partition(":")
        book = self.store.book
        session = book.sessions.get(name) if kind == "session" else None
        if session is not None and sessions.alive(session, self._clock_ms()):
            caller = self.session_caller(session)
        elif kind == "key" and name in book.keys and keys.good(book.keys[name], self._clock_ms()):
            caller = key_caller(book.keys[name])
        else:
            raise Problem(401, "invalid_ticket", "who got this ticket may not come in any more")
        self._begin(caller)
        return caller

    def leave(self, caller: Caller) -> None:
        """A visit that this caller was admitted to has ended."""
        self._busy.leave(caller.id)

    def _begin(self, caller: Caller) -> None:
        here = visit.get()
        if here is None or here.caller is not None:
            return
        if not self._busy.enter(caller.id, caller.streams):
            self._counters["doors_limited"] += 1
            raise Problem(429, "rate_limited", "too many requests at once", headers=retry_headers(1.0))
        here.caller = caller

    def _signing(self) -> bytes:
        if self._secret is None:
            raise Problem(503, "overloaded", "not ready yet; try again", headers=retry_headers(1.0))
        return self._secret

    async def _touch(self, session: Session) -> None:
        now_ms = self._clock_ms()
        if now_ms - session.seen_ms < sessions.TOUCH_MS:
            return
        seen = session.model_copy(update={"seen_ms": now_ms})
        self.store.book.sessions[session.id] = seen  # at once, so that requests beside it don't write, too
        try:
            await self.store.write(GATEWAY_SESSIONS, SEEN + session.id, seen.to_bytes())
        except Problem:
            return  # Kafka is away: the session goes on here


def permit(caller: Caller, scope: str, model: str | None) -> None:
    """Return where the caller may do that with this model.

    Raises:
        Problem: 403 `forbidden`.
    """
    if not caller.may(scope):
        raise Problem(403, "forbidden", f"this needs the scope {scope}")
    if model is not None and caller.models is not None and model not in caller.models:
        raise Problem(403, "forbidden", "this key may not ask for that model", param="model")


def given_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings; `None` where it brings none."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key") or (value or kind or None)


def key_caller(key: ApiKey) -> Caller:
    """The caller that a key stands for."""
    models = None if key.models is None else tuple(key.models)
    scopes = frozenset(key.scopes)
    return Caller(key.id, key.tenant, scopes, models, key.requests_per_minute, key.streams)


def user_caller(user: User) -> Caller:
    """The caller that a user is."""
    return Caller(USER + user.name, user.tenant, frozenset(user.scopes))


def retry_headers(after_s: float) -> dict[str, str]:
    """When to come again, in the ways that clients read."""
    return {"retry-after": str(math.ceil(after_s)), "retry-after-ms": str(math.ceil(after_s * 1000))}


def _stranger(message: str) -> Problem:
    return Problem(401, "invalid_api_key", message, headers={"www-authenticate": "Bearer"})
