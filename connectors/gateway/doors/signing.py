"""What gateways sign: the shared secret, and one-use tickets for WebSockets.

A ticket is `nonce.expiry.caller.signature`, good for 30 seconds at any gateway. It is used up by a record on
`gateway.sessions`: of several uses the first record on the log wins, so two gateways never both let it in.
"""

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple

from connectors.gateway.doors.book import SECRET, TICKET
from connectors.gateway.doors.ports import Store
from schemas.gateway import SigningSecret, TicketUse
from schemas.topics import GATEWAY_KEYS, GATEWAY_SESSIONS

TICKET_MS = 30_000
"""How long a ticket is good."""
MIN_SECRET_CHARS = 32
"""Shortest text of `WEIR_GATEWAY_SECRET`."""
MAX_TICKET_CHARS = 600


class Ticket(NamedTuple):
    """What a ticket says."""

    nonce: str
    """Its random part."""
    expires_ms: int
    """When it is too old, Unix time in milliseconds."""
    holder: str
    """Whose it is: `key:ID` or `session:ID`."""


def derived(secret: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, so that what is signed for one is nothing to another."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).digest()


def seal(secret: bytes, ticket: Ticket) -> str:
    """The ticket as text."""
    body = f"{ticket.nonce}.{ticket.expires_ms}.{_base64(ticket.holder.encode())}"
    return f"{body}.{_signature(secret, body)}"


def unseal(secret: bytes, text: str, now_ms: int) -> Ticket | None:
    """Read a ticket; `None` where it is forged or too old."""
    if len(text) > MAX_TICKET_CHARS or not text.isascii():
        return None
    body, _, signature = text.rpartition(".")
    if not hmac.compare_digest(signature, _signature(secret, body)):
        return None
    nonce, expires, holder = body.split(".")
    ticket = Ticket(nonce, int(expires), base64.urlsafe_b64decode(holder + "==").decode())
    return ticket if now_ms < ticket.expires_ms else None


def new_ticket(secret: bytes, holder: str, now_ms: int) -> tuple[str, int]:
    """A fresh ticket as text, and when it is too old."""
    ticket = Ticket(secrets.token_urlsafe(16), now_ms + TICKET_MS, holder)
    return seal(secret, ticket), ticket.expires_ms


async def use_up(store: Store, ticket: Ticket) -> bool:
    """Use a ticket; whether this use was the first anywhere."""
    if ticket.nonce in store.book.uses:
        return False
    use = TicketUse(nonce=ticket.nonce, use=secrets.token_urlsafe(12), expires_ms=ticket.expires_ms)
    await store.write(GATEWAY_SESSIONS, TICKET + ticket.nonce, use.to_bytes())
    first = store.book.uses.get(ticket.nonce)
    return first is not None and first.use == use.use


async def shared_secret(store: Store, given: str | None, now_ms: int) -> bytes:
    """The 32 bytes that all gateways sign with: from `WEIR_GATEWAY_SECRET`, else from the topic, made once.

    Raises:
        ValueError: When the given one is too short.
    """
    if given is not None:
        if len(given) < MIN_SECRET_CHARS:
            raise ValueError(f"WEIR_GATEWAY_SECRET needs {MIN_SECRET_CHARS} or more random characters")
        return hashlib.sha256(given.encode()).digest()
    if store.book.secret is None:
        await _make_secret(store, now_ms)
    if store.book.secret is None:
        raise ValueError("the signing secret could not be kept")
    return store.book.secret


async def _make_secret(store: Store, now_ms: int) -> None:
    mine = secrets.token_bytes(32)
    await _write_secret(store, mine, now_ms)
    first = store.book.secret
    if first is not None and first != mine:  # another was first; compaction would keep ours, the last
        await _write_secret(store, first, now_ms)


async def _write_secret(store: Store, secret: bytes, now_ms: int) -> None:
    event = SigningSecret(secret=base64.b64encode(secret).decode(), created_ms=now_ms)
    await store.write(GATEWAY_KEYS, SECRET, event.to_bytes())


def _signature(secret: bytes, body: str) -> str:
    return _base64(hmac.new(derived(secret, "ticket"), body.encode(), hashlib.sha256).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
