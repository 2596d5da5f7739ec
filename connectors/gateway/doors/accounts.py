"""What can be done with keys and users, for the admin API and the commands alike: make, change, rotate, end.

Nothing here asks who may: the callers do. The text of a key leaves here once and is kept nowhere.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from connectors.gateway.doors import keys
from connectors.gateway.doors.book import MAX_KEYS, MAX_USERS, Book
from connectors.gateway.doors.ports import Store
from connectors.gateway.doors.users import Passwords
from connectors.gateway.ports import ADMIN, SCOPES, Problem
from schemas.gateway import ApiKey, User
from schemas.topics import GATEWAY_KEYS, GATEWAY_USERS

GRACE = timedelta(hours=24)
"""How long a rotated key stays good unless said otherwise."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What a key is made from."""

    name: str
    """What people call it."""
    tenant: str = "default"
    """Who pays."""
    scopes: tuple[str, ...] = ("llm:invoke",)
    """What it may do."""
    models: tuple[str, ...] | None = None
    """Models it may ask for; `None` for all."""
    requests_per_minute: int | None = None
    """Most requests in a minute."""
    tokens_per_minute: int | None = None
    """Most tokens in a minute; kept, not enforced yet."""
    budget_usd: float | None = None
    """Most dollars; kept, not enforced yet."""
    streams: int | None = None
    """Most requests at once."""
    expires_ms: int | None = None
    """From when on it is no good, Unix time in milliseconds."""


class Accounts:
    """Keys and users."""

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int],
        passwords: Passwords,
        pepper: bytes | None = None,
    ) -> None:
        """Work on this store; with a pepper, new keys are hashed with it."""
        self._store, self._clock_ms = store, clock_ms
        self._passwords, self._pepper = passwords, pepper

    @property
    def book(self) -> Book:
        """What there is."""
        return self._store.book

    async def create_key(
        self, spec: KeySpec, by: str, rotated_from: str | None = None
    ) -> tuple[ApiKey, keys.KeyText]:
        """Make a key; its text is in the answer and nowhere else.

        Raises:
            Problem: 400 for an unknown scope; 409 `too_many`; 503 when Kafka is away.
        """
        known_scopes(spec.scopes)
        await self._make_room()
        text = keys.make(secrets.token_bytes(keys.ENTROPY_BYTES))
        key = ApiKey(
            id=text.id,
            name=spec.name,
            tenant=spec.tenant,
            scopes=list(spec.scopes),
            models=None if spec.models is None else list(spec.models),
            requests_per_minute=spec.requests_per_minute,
            tokens_per_minute=spec.tokens_per_minute,
            budget_usd=spec.budget_usd,
            streams=spec.streams,
            hash=keys.digest(text.text, self._pepper),
            peppered=self._pepper is not None,
            last4=text.last4,
            created_ms=self._clock_ms(),
            created_by=by,
            expires_ms=spec.expires_ms,
            rotated_from=rotated_from,
        )
        return await self._save(key), text

    async def first_key(self) -> keys.KeyText | None:
        """The admin key of a new installation; `None` where there are keys already.

        Of several gateways that start at once each may make one; all are good, and the list shows them.
        """
        if self.book.keys:
            return None
        return (await self.create_key(KeySpec("first admin key", scopes=(ADMIN,)), "first start"))[1]

    async def change_key(self, key_id: str, changes: Mapping[str, object]) -> ApiKey:
        """Give a key other settings, by the names of its fields.

        Raises:
            Problem: 404 for an unknown key; 409 for a revoked one; 400 for an unknown scope.
        """
        key = self.find_key(key_id)
        if key.revoked_ms is not None:
            raise Problem(409, "conflict", "a revoked key can't be changed")
        changed = ApiKey.model_validate(key.model_dump() | dict(changes))
        known_scopes(changed.scopes)
        return await self._save(changed)

    async def revoke_key(self, key_id: str) -> ApiKey:
        """End a key for good, at every gateway within moments; one that is revoked stays as it is.

        Raises:
            Problem: 404 for an unknown key.
        """
        key = self.find_key(key_id)
        if key.revoked_ms is not None:
            return key
        return await self._save(key.model_copy(update={"revoked_ms": self._clock_ms()}))

    async def rotate_key(self, key_id: str, by: str, grace: timedelta = GRACE) -> tuple[ApiKey, keys.KeyText]:
        """Make a key that takes the place of another, which stays good for the grace.

        Raises:
            Problem: 404 for an unknown key; 409 for one that is revoked or expired.
        """
        old, now_ms = self.find_key(key_id), self._clock_ms()
        if not keys.good(old, now_ms):
            raise Problem(409, "conflict", f"this key is {keys.state(old, now_ms)}; make a new one")
        names = KeySpec.__dataclass_fields__
        spec = KeySpec(**{name: value for name, value in old.model_dump().items() if name in names})
        made = await self.create_key(spec, by, rotated_from=old.id)
        ends_ms = now_ms + round(grace.total_seconds() * 1000)
        if old.expires_ms is None or ends_ms < old.expires_ms:
            await self._save(old.model_copy(update={"expires_ms": ends_ms}))
        return made

    def find_key(self, key_id: str) -> ApiKey:
        """A key by its id.

        Raises:
            Problem: 404.
        """
        found = self.book.keys.get(key_id)
        if found is None:
            raise Problem(404, "not_found", "there is no such key")
        return found

    async def create_user(self, name: str, password: str, tenant: str, scopes: tuple[str, ...]) -> User:
        """Make a user.

        Raises:
            Problem: 400 for an unknown scope or a bad password; 409 where there is one of that name.
        """
        known_scopes(scopes)
        if name in self.book.users:
            raise Problem(409, "conflict", "there is a user of that name", param="name")
        if len(self.book.users) >= MAX_USERS:
            raise Problem(409, "too_many", f"there are {MAX_USERS} users already")
        now_ms = self._clock_ms()
        hashed = await self._passwords.hash(password)
        user = User(
            name=name,
            tenant=tenant,
            scopes=list(scopes),
            password_hash=hashed,
            password_ms=now_ms,
            created_ms=now_ms,
        )
        await self._store.write(GATEWAY_USERS, name, user.to_bytes())
        return user

    async def set_password(self, name: str, password: str) -> User:
        """Give a user another password, which ends the sessions.

        Raises:
            Problem: 404 for an unknown user; 400 for a bad password.
        """
        user = self.find_user(name)
        changes = {"password_hash": await self._passwords.hash(password), "password_ms": self._clock_ms()}
        changed = user.model_copy(update=changes)
        await self._store.write(GATEWAY_USERS, name, changed.to_bytes())
        return changed

    async def remove_user(self, name: str) -> None:
        """Remove a user, which ends the sessions.

        Raises:
            Problem: 404 for an unknown user.
        """
        self.find_user(name)
        await self._store.write(GATEWAY_USERS, name, None)

    def find_user(self, name: str) -> User:
        """A user by name.

        Raises:
            Problem: 404.
        """
        found = self.book.users.get(name)
        if found is None:
            raise Problem(404, "not_found", "there is no such user")
        return found

    async def _save(self, key: ApiKey) -> ApiKey:
        await self._store.write(GATEWAY_KEYS, key.id, key.to_bytes())
        kept = self.book.keys.get(key.id, key)
        if kept.revoked_ms != key.revoked_ms:
            # revoked meanwhile, and ours is the newest record now: compaction must keep the revoked one
            await self._store.write(GATEWAY_KEYS, key.id, kept.to_bytes())
        return kept

    async def _make_room(self) -> None:
        """Forget the oldest key that is no good, where there are as many as may be."""
        if len(self.book.keys) < MAX_KEYS:
            return
        now_ms = self._clock_ms()
        spent = [key for key in self.book.keys.values() if not keys.good(key, now_ms)]
        if not spent:
            raise Problem(409, "too_many", f"there are {MAX_KEYS} good keys already; revoke some")
        oldest = min(spent, key=lambda key: key.created_ms)
        await self._store.write(GATEWAY_KEYS, oldest.id, None)


def known_scopes(scopes: tuple[str, ...] | list[str]) -> None:
    """Return where all scopes exist.

    Raises:
        Problem: 400, with the names that there are.
    """
    for scope in scopes:
        if scope not in SCOPES:
            text = f"there is no such scope; there are {', '.join(SCOPES)}"
            raise Problem(400, "invalid_request", text, param="scopes")
