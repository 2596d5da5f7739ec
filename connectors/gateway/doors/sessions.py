"""Sessions of browsers: the cookie, how long it is good, and where a request with it may come from. Pure.

The cookie holds 256 random bits and nothing else; what belongs to it stands in the book, under its hash. Over
HTTPS it is `__Host-sid` (Secure, no domain, path /); over plain HTTP on loopback, for development, `sid`.
Whoever has it may do what its user may, so a request with it that changes something must say an `Origin` of
ours: other sites' pages can't.
"""

import hashlib
import ipaddress
import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from schemas.gateway import Session, User

IDLE_MS = 12 * 60 * 60 * 1000
"""A session that nobody uses for this long is over."""
ABSOLUTE_MS = 7 * 24 * 60 * 60 * 1000
"""A session is over after this long, used or not."""
TOUCH_MS = 5 * 60 * 1000
"""A use is written down when the last that was is this old."""
SECURE_COOKIE = "__Host-sid"
PLAIN_COOKIE = "sid"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_SID = re.compile(r"[A-Za-z0-9_-]{43}")


def session_id(sid: str) -> str:
    """What a session with this cookie is known by."""
    return hashlib.sha256(sid.encode()).hexdigest()


def alive(session: Session, now_ms: int) -> bool:
    """Whether a session is neither idle nor old."""
    return now_ms - session.seen_ms < IDLE_MS and now_ms - session.created_ms < ABSOLUTE_MS


def belongs(session: Session, user: User | None) -> bool:
    """Whether a session is still its user's: the user is there, and has set no new password since."""
    return user is not None and user.name == session.user and user.password_ms <= session.created_ms


def set_cookie(sid: str, *, secure: bool) -> str:
    """The `set-cookie` header that begins a session."""
    if secure:
        return (
            f"{SECURE_COOKIE}={sid}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={ABSOLUTE_MS // 1000}"
        )
    return f"{PLAIN_COOKIE}={sid}; Path=/; HttpOnly; SameSite=Strict; Max-Age={ABSOLUTE_MS // 1000}"


def clear_cookie(*, secure: bool) -> str:
    """The `set-cookie` header that ends it."""
    if secure:
        return f"{SECURE_COOKIE}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0"
    return f"{PLAIN_COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"


def sid_of(headers: Mapping[str, str]) -> str | None:
    """The cookie's value; the plain one counts on loopback only. `None` where there is none."""
    text = headers.get("cookie")
    if not text or "sid=" not in text:
        return None
    pairs = [each.strip().partition("=") for each in text.split(";")]
    cookies = {name: value for name, _, value in pairs}
    names = [SECURE_COOKIE, *([PLAIN_COOKIE] if is_loopback(host_of(headers)) else [])]
    found = next((cookies[name] for name in names if name in cookies), None)
    return found if found is not None and _SID.fullmatch(found) else None


def host_of(headers: Mapping[str, str]) -> str:
    """The host that the client asked, without port and brackets."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_origin(headers: Mapping[str, str], scheme: str, allowed: Collection[str] = ()) -> bool:
    """Whether a request comes from a page of ours: its `Origin` is this host, or one that is allowed.

    A request without `Origin` is from a page of ours only where the browser says so (`Sec-Fetch-Site`).
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") in ("same-origin", "none")
    scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return origin == f"{scheme}://{headers.get('host', '')}" or origin in allowed


def forged(method: str, headers: Mapping[str, str], scheme: str, allowed: Collection[str] = ()) -> bool:
    """Whether a request is to be refused: it acts, without a key, from elsewhere. Signing in counts, too."""
    if method in SAFE_METHODS or "authorization" in headers or "x-api-key" in headers:
        return False
    if sid_of(headers) is None and "origin" not in headers:
        return False
    return not same_origin(headers, scheme, allowed)
