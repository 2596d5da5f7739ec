"""Sessions: whose cookie counts where, how long it is good, and which pages may ask with it."""

import pytest

from connectors.gateway.doors import sessions
from schemas.gateway import Session, User

SID = "a" * 43
HOUR_MS = 3_600_000


def session(**fields: object) -> Session:
    return Session.model_validate({"id": "0" * 64, "user": "u", "created_ms": 0, "seen_ms": 0, **fields})


def test_a_session_is_over_when_it_is_idle_or_old():
    assert sessions.alive(session(), 12 * HOUR_MS - 1)
    assert not sessions.alive(session(), 12 * HOUR_MS)
    assert sessions.alive(session(seen_ms=167 * HOUR_MS), 168 * HOUR_MS - 1)
    assert not sessions.alive(session(seen_ms=167 * HOUR_MS), 168 * HOUR_MS)


def test_a_session_belongs_to_its_user_until_the_password_changes():
    user = User(name="u", tenant="t", scopes=["admin"], password_hash="h", password_ms=5, created_ms=1)

    assert sessions.belongs(session(created_ms=5), user)
    assert not sessions.belongs(session(created_ms=4), user)
    assert not sessions.belongs(session(created_ms=5, user="v"), user)
    assert not sessions.belongs(session(), None)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites():
    secure, plain = sessions.set_cookie(SID, secure=True), sessions.set_cookie(SID, secure=False)

    assert secure == f"__Host-sid={SID}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=604800"
    assert plain == f"sid={SID}; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800"
    assert sessions.clear_cookie(secure=True) == (
        "__Host-sid=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0"
    )
    assert sessions.clear_cookie(secure=False) == "sid=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"


@pytest.mark.parametrize(
    ("host", "cookie", "found"),
    [
        ("weir.example", f"__Host-sid={SID}", SID),
        ("weir.example", f"sid={SID}", None),
        ("127.0.0.1:8080", f"a=b; sid={SID}", SID),
        ("[::1]:8080", f"sid={SID}", SID),
        ("localhost", f"sid={SID}; __Host-sid={'b' * 43}", "b" * 43),
        ("localhost", "sid=short", None),
        ("localhost", "other=sidx", None),
        ("localhost", "a b=c; sid=\x01", None),
        ("localhost", "", None),
        ("[::1", f"sid={SID}", None),
    ],
)
def test_the_plain_cookie_counts_on_loopback_only(host: str, cookie: str, found: str | None):
    assert sessions.sid_of({"host": host, "cookie": cookie}) == found


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_is_recognised(host: str):
    assert sessions.is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", "weir.example"])
def test_what_leaves_the_machine_is_no_loopback(host: str):
    assert not sessions.is_loopback(host)


@pytest.mark.parametrize(
    ("method", "headers", "is_forged"),
    [
        ("POST", {"cookie": f"__Host-sid={SID}", "origin": "https://weir.example"}, False),
        ("POST", {"cookie": f"__Host-sid={SID}", "origin": "https://evil.example"}, True),
        ("POST", {"cookie": f"__Host-sid={SID}", "origin": "http://weir.example"}, True),
        ("POST", {"cookie": f"__Host-sid={SID}", "origin": "null"}, True),
        ("DELETE", {"cookie": f"__Host-sid={SID}"}, True),
        ("DELETE", {"cookie": f"__Host-sid={SID}", "sec-fetch-site": "same-origin"}, False),
        ("DELETE", {"cookie": f"__Host-sid={SID}", "sec-fetch-site": "same-site"}, True),
        ("POST", {"cookie": f"__Host-sid={SID}", "origin": "https://ok.example"}, False),
        ("GET", {"cookie": f"__Host-sid={SID}", "origin": "https://evil.example"}, False),
        ("POST", {"origin": "https://evil.example"}, True),
        ("POST", {}, False),
        ("POST", {"origin": "https://evil.example", "x-api-key": "k"}, False),
        ("POST", {"origin": "https://evil.example", "authorization": "Bearer k"}, False),
    ],
)
def test_pages_of_other_sites_can_not_act_with_our_cookie(
    method: str, headers: dict[str, str], is_forged: bool
):
    asked = {"host": "weir.example", **headers}

    assert sessions.forged(method, asked, "https", ["https://ok.example"]) == is_forged


def test_a_socket_has_the_origin_of_its_page():
    headers = {"host": "weir.example:8443", "origin": "https://weir.example:8443"}

    assert sessions.same_origin(headers, "wss")
    assert not sessions.same_origin(headers, "ws")
