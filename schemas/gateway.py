"""What the gateway keeps on topics of its own: keys, users, sessions, and who did what.

`gateway.keys` carries `ApiKey` and `SigningSecret`, `gateway.users` carries `User`, `gateway.sessions`
carries `Session` and `TicketUse`; the newest record of a key holds, one without a value removes it.
`gateway.audit` carries `Audit`. No record has a key, a password or a prompt in it, but hashes.
"""

from typing import Annotated

from annotated_types import Ge, MaxLen, MinLen
from pydantic import Field

from schemas.base import Event, JsonObject

Name = Annotated[str, MinLen(1), MaxLen(200)]


class ApiKey(Event):
    """A key that a program asks with. Key: its `id`.

    The key's own text is shown once, when it is made, and kept nowhere.
    """

    id: Annotated[str, MinLen(8), MaxLen(8)]
    """Public part of the key, by which it is found."""
    name: Name
    """What people call it."""
    tenant: Name
    """Who pays for what it asks."""
    scopes: Annotated[list[str], MinLen(1), MaxLen(16)]
    """What it may do: `llm:invoke`, `metrics:read`, `alerts:write`, `config:write`, `admin` (everything)."""
    models: Annotated[list[Name], MaxLen(1000)] | None = None
    """Model names it may ask for; absent for all."""
    requests_per_minute: Annotated[int, Ge(1)] | None = None
    """Most requests in any minute; absent for no limit. Enforced by the gateways."""
    tokens_per_minute: Annotated[int, Ge(1)] | None = None
    """Most tokens in any minute; absent for no limit. Kept, and not enforced yet: its stage comes later."""
    budget_usd: Annotated[float, Ge(0)] | None = None
    """Most dollars it may spend; absent for no limit. Kept, and not enforced yet: its stage comes later."""
    streams: Annotated[int, Ge(1)] | None = None
    """Most requests under way at once; absent for the gateway's own bound."""
    hash: Annotated[str, MinLen(64), MaxLen(64)]
    """SHA-256 of the whole key, or HMAC-SHA-256 with the gateways' pepper, in hexadecimal."""
    peppered: bool = False
    """Whether the hash was made with a pepper."""
    last4: Annotated[str, MinLen(4), MaxLen(4)]
    """Last characters of its secret part, to tell keys apart."""
    created_ms: Annotated[int, Ge(0)]
    """When it was made, Unix time in milliseconds."""
    created_by: str = ""
    """Who made it: id of a key, name of a user, or `command line`."""
    expires_ms: Annotated[int, Ge(0)] | None = None
    """From when on it is not good any more, Unix time in milliseconds; absent for never."""
    rotated_from: str | None = None
    """The key that it takes the place of; that one stays good until its own `expires_ms`, the grace."""
    revoked_ms: Annotated[int, Ge(0)] | None = None
    """When it was revoked, Unix time in milliseconds; absent while it is good."""


class SigningSecret(Event):
    """What all gateways sign tokens and tickets with. Key: `secret`.

    The first one on the topic holds. It is absent where `WEIR_GATEWAY_SECRET` is set. Whoever may read the
    topic could forge tokens with it, but no keys.
    """

    secret: Annotated[str, MinLen(43), MaxLen(44)]
    """256 random bits, base64."""
    created_ms: Annotated[int, Ge(0)]
    """When it was made, Unix time in milliseconds."""


class User(Event):
    """A person who signs in with a password. Key: `name`."""

    name: Name
    """What the person signs in as."""
    tenant: Name
    """Who pays for what the person asks."""
    scopes: Annotated[list[str], MinLen(1), MaxLen(16)]
    """What the person may do; the same names as of a key."""
    password_hash: str
    """Argon2id of the password, with its salt and parameters, as the reference implementation writes it."""
    password_ms: Annotated[int, Ge(0)]
    """When the password was set, Unix time in milliseconds; sessions from before are over."""
    created_ms: Annotated[int, Ge(0)]
    """When the user was made, Unix time in milliseconds."""


class Session(Event):
    """A browser that has signed in. Key: `id`; `seen/` and `id` for one that only says `seen_ms`."""

    id: Annotated[str, MinLen(64), MaxLen(64)]
    """SHA-256 of the cookie's value, in hexadecimal: the record doesn't let anybody in."""
    user: str | None = None
    """Who signed in with a password."""
    key_id: str | None = None
    """The key that was signed in with, where there is no user; the session ends with it."""
    created_ms: Annotated[int, Ge(0)]
    """When it began, Unix time in milliseconds."""
    seen_ms: Annotated[int, Ge(0)]
    """When it was last used, Unix time in milliseconds, give or take 5 minutes."""
    address: str = ""
    """Network address it began at."""
    agent: Annotated[str, MaxLen(200)] = ""
    """What the browser calls itself, cut."""


class TicketUse(Event):
    """A one-use ticket that was handed in. Key: `ticket/` and the nonce. The first record of a nonce wins."""

    nonce: str
    """The ticket's random part."""
    use: str
    """The try that wrote it, random; tells who was first."""
    expires_ms: Annotated[int, Ge(0)]
    """When the ticket is too old anyway, Unix time in milliseconds."""


class Audit(Event):
    """One thing that somebody did, or was refused. Key: `caller`."""

    at_ms: Annotated[int, Ge(0)]
    """When, Unix time in milliseconds."""
    caller: str
    """Who: id of a key, `user:` and a name, `command line`, or `-` where nobody was recognised."""
    tenant: str = ""
    """The caller's tenant; empty where nobody was recognised."""
    action: Name
    """What: `key.create`, `session.begin`, `signin.refused`, ..."""
    address: str = ""
    """Network address it came from; empty for the command line."""
    details: JsonObject = Field(default_factory=dict[str, object])
    """What it was done to, and with what; never a key, a password or a prompt."""
