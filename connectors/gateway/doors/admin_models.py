"""What the admin API takes and gives; its OpenAPI document is made from these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from connectors.gateway.doors import keys
from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.sessions import ABSOLUTE_MS, IDLE_MS
from connectors.gateway.doors.users import MAX_PASSWORD_CHARS
from connectors.gateway.ports import Caller
from schemas.gateway import ApiKey, Audit, Session, User

Scope = Literal["llm:invoke", "metrics:read", "alerts:write", "config:write", "admin"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{8}$")]
Count = Annotated[int, Field(ge=1, le=10**9)]
Usd = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Moment = Annotated[int, Field(ge=0, le=2**53)]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=16)]
Password = Annotated[SecretStr, Field(min_length=1, max_length=MAX_PASSWORD_CHARS)]


class Shape(BaseModel):
    """Closed to unknown fields; a docstring under a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ErrorInfo(Shape):
    """What went wrong."""

    message: str
    """In one line, with what to do."""
    type: str
    """Kind of error, as OpenAI names them."""
    param: str | None
    """The parameter at fault, where one is."""
    code: str
    """Stable name."""


class ErrorBody(Shape):
    """Every answer that is no success."""

    error: ErrorInfo
    """What went wrong."""


class SignInBody(Shape):
    """Either a user with a password, or a key."""

    user: Text | None = None
    """Who signs in."""
    password: Password | None = None
    """The user's password."""
    key: Annotated[SecretStr, Field(max_length=200)] | None = None
    """A key to sign in with instead; the session ends with it."""


class Me(Shape):
    """Who asks."""

    id: str
    """Id of the key, or `user:` and the name."""
    tenant: str
    """Who pays."""
    scopes: list[str]
    """What it may do."""
    models: list[str] | None
    """Models it may ask for; null for all."""


class KeyLimits(Shape):
    """What a key may ask for."""

    models: Annotated[list[Text], Field(max_length=1000)] | None = None
    """Models it may ask for; null for all."""
    requests_per_minute: Count | None = None
    """Most requests in any minute."""
    tokens_per_minute: Count | None = None
    """Most tokens in any minute; kept, not enforced yet."""
    budget_usd: Usd | None = None
    """Most dollars it may spend; kept, not enforced yet."""
    streams: Count | None = None
    """Most requests under way at once."""
    expires_ms: Moment | None = None
    """From when on it is no good, Unix time in milliseconds."""


class KeyIn(KeyLimits):
    """A key to be made."""

    name: Text
    """What people call it."""
    tenant: Text = "default"
    """Who pays for what it asks."""
    scopes: Scopes = ["llm:invoke"]
    """What it may do."""


class KeyChange(KeyLimits):
    """What is to be changed of a key; null takes a limit away, what is absent stays."""

    name: Text = ""
    """What people call it."""
    scopes: Scopes = ["llm:invoke"]
    """What it may do."""


class Rotation(Shape):
    """How a key is rotated."""

    grace_s: Annotated[int, Field(ge=0, le=30 * 24 * 3600)] = 24 * 3600
    """How long the old key stays good, in seconds."""


class KeyOut(Shape):
    """A key without its secret."""

    id: str
    """Public part of the key."""
    name: str
    """What people call it."""
    tenant: str
    """Who pays for what it asks."""
    scopes: list[str]
    """What it may do."""
    models: list[str] | None
    """Models it may ask for; null for all."""
    requests_per_minute: int | None
    """Most requests in any minute."""
    tokens_per_minute: int | None
    """Most tokens in any minute; kept, not enforced yet."""
    budget_usd: float | None
    """Most dollars it may spend; kept, not enforced yet."""
    streams: int | None
    """Most requests under way at once."""
    last4: str
    """Last characters of its secret."""
    created_ms: int
    """When it was made, Unix time in milliseconds."""
    created_by: str
    """Who made it."""
    expires_ms: int | None
    """From when on it is no good, Unix time in milliseconds."""
    rotated_from: str | None
    """The key that it takes the place of."""
    revoked_ms: int | None
    """When it was revoked, Unix time in milliseconds."""
    state: Literal["good", "expired", "revoked"]
    """Whether it lets anybody in now."""


class KeyMade(Shape):
    """A new key; the only time that its text is shown."""

    key: str
    """The whole key: keep it, it can't be shown again."""
    made: KeyOut
    """What it is."""


class Keys(Shape):
    """All keys, oldest first."""

    keys: list[KeyOut]
    """The keys."""


class UserIn(Shape):
    """A user to be made."""

    name: UserName
    """What the person signs in as."""
    password: Password
    """12 or more characters."""
    tenant: Text = "default"
    """Who pays for what the person asks."""
    scopes: Scopes = ["llm:invoke", "metrics:read"]
    """What the person may do."""


class NewPassword(Shape):
    """Another password; the user's sessions end."""

    password: Password
    """12 or more characters."""


class UserOut(Shape):
    """A user."""

    name: str
    """What the person signs in as."""
    tenant: str
    """Who pays for what the person asks."""
    scopes: list[str]
    """What the person may do."""
    created_ms: int
    """When the user was made, Unix time in milliseconds."""
    password_ms: int
    """When the password was set, Unix time in milliseconds."""


class Users(Shape):
    """All users, by name."""

    users: list[UserOut]
    """The users."""


class SessionOut(Shape):
    """A browser that has signed in."""

    id: str
    """By which it is ended."""
    user: str | None
    """Who signed in; null for a key."""
    key_id: str | None
    """The key that was signed in with; null for a user."""
    created_ms: int
    """When it began, Unix time in milliseconds."""
    seen_ms: int
    """When it was last used, give or take 5 minutes, Unix time in milliseconds."""
    ends_ms: int
    """When it is over at the latest if nobody uses it, Unix time in milliseconds."""
    address: str
    """Network address it began at."""
    agent: str
    """What the browser calls itself."""
    current: bool
    """Whether it is the one that asks."""


class Sessions(Shape):
    """Sessions, oldest first: one's own, an admin's listing has all."""

    sessions: list[SessionOut]
    """The sessions."""


class Ticket(Shape):
    """A ticket for one WebSocket."""

    ticket: str
    """To be handed in as `?ticket=`, once."""
    expires_ms: int
    """When it is too old, Unix time in milliseconds."""


class Entries(Shape):
    """The end of the audit trail, newest first."""

    entries: list[Audit]
    """What was done."""


def key_spec(body: KeyIn) -> KeySpec:
    """What a key is to be made from."""
    fields: dict[str, Any] = body.model_dump()
    fields["scopes"] = tuple(body.scopes)
    fields["models"] = None if body.models is None else tuple(body.models)
    return KeySpec(**fields)


def key_out(key: ApiKey, now_ms: int) -> KeyOut:
    """A key as it is shown."""
    fields = key.model_dump(exclude={"hash", "peppered"})
    return KeyOut.model_validate({**fields, "state": keys.state(key, now_ms)})


def user_out(user: User) -> UserOut:
    """A user as it is shown."""
    return UserOut.model_validate(user.model_dump(exclude={"password_hash"}))


def session_out(session: Session, current: str | None) -> SessionOut:
    """A session as it is shown."""
    ends_ms = min(session.seen_ms + IDLE_MS, session.created_ms + ABSOLUTE_MS)
    return SessionOut.model_validate(
        {**session.model_dump(), "ends_ms": ends_ms, "current": session.id == current}
    )


def me(caller: Caller) -> Me:
    """A caller as it is shown."""
    models = None if caller.models is None else list(caller.models)
    return Me(id=caller.id, tenant=caller.tenant, scopes=sorted(caller.scopes), models=models)
