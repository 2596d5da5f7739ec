"""API keys: `lk_<8 id>_<43 secret>_<6 check>`, all letters and digits. Pure; chance and time are arguments.

The secret has 256 bits, so it can't be guessed and a fast hash is enough: SHA-256 of the whole text, or
HMAC-SHA-256 where the gateways share a pepper. The check digits tell a mistyped key from a wrong one without
looking it up, and let scanners of source code recognise a key.
"""

import hashlib
import hmac
import re
import zlib
from typing import NamedTuple

from schemas.gateway import ApiKey

ENTROPY_BYTES = 38
"""Random bytes that one key takes: 6 for the id, 32 for the secret."""
PREFIX = "lk"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(r"lk_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})")
_ANY = re.compile(r"\blk_([0-9A-Za-z]{8})_[0-9A-Za-z_-]+")


class KeyText(NamedTuple):
    """A key as its holder has it. Never log it."""

    id: str
    """Its public part."""
    secret: str
    """Its secret part."""
    text: str
    """The whole."""

    def __repr__(self) -> str:
        """The public part only."""
        return f"KeyText({self.id})"

    @property
    def last4(self) -> str:
        """Last characters of the secret, which may be shown."""
        return self.secret[-4:]


def make(entropy: bytes) -> KeyText:
    """A new key from `ENTROPY_BYTES` random bytes."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key takes {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    key_id = _digits(int.from_bytes(entropy[:6], "big") % 62**8, 8)
    secret = _digits(int.from_bytes(entropy[6:], "big"), 43)
    body = f"{PREFIX}_{key_id}_{secret}"
    return KeyText(key_id, secret, f"{body}_{_check(body)}")


def parse(text: str) -> KeyText | None:
    """Read a key; `None` where it is none, or mistyped."""
    found = _FORM.fullmatch(text)
    if found is None or _check(text[:-7]) != found[3]:
        return None
    return KeyText(found[1], found[2], text)


def digest(text: str, pepper: bytes | None) -> str:
    """What is stored of a key, in hexadecimal."""
    if pepper is None:
        return hashlib.sha256(text.encode()).hexdigest()
    return hmac.new(pepper, text.encode(), hashlib.sha256).hexdigest()


def matches(key: ApiKey, text: str, pepper: bytes | None) -> bool:
    """Whether the text is this key's, compared in constant time; a peppered one needs the pepper."""
    return hmac.compare_digest(key.hash, digest(text, pepper if key.peppered else None))


def good(key: ApiKey, now_ms: int) -> bool:
    """Whether a key is neither revoked nor expired."""
    return key.revoked_ms is None and (key.expires_ms is None or now_ms < key.expires_ms)


def state(key: ApiKey, now_ms: int) -> str:
    """The same in a word: `good`, `revoked` or `expired`."""
    if key.revoked_ms is not None:
        return "revoked"
    return "good" if good(key, now_ms) else "expired"


def redact(text: str) -> str:
    """A text without the secrets of the keys in it; well or ill formed, the id stays."""
    return _ANY.sub(r"lk_\1_...", text)


def _digits(number: int, length: int) -> str:
    found: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        found.append(_ALPHABET[digit])
    return "".join(reversed(found))


def _check(body: str) -> str:
    return _digits(zlib.crc32(body.encode()), 6)
