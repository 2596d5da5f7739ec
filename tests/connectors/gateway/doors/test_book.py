"""The book says what the log says, in every gateway the same, and never grows without end."""

import base64

import pytest

from connectors.gateway.doors import book as module
from connectors.gateway.doors.book import Book
from schemas.base import Event
from schemas.gateway import ApiKey, Audit, Session, SigningSecret, TicketUse, User

KEYS, USERS, SESSIONS, AUDIT = "gateway.keys", "gateway.users", "gateway.sessions", "gateway.audit"
HASH = "0" * 64


def key(key_id: str, **fields: object) -> ApiKey:
    given = {"name": "n", "tenant": "t", "scopes": ["admin"], "hash": HASH, "last4": "abcd", "created_ms": 1}
    return ApiKey.model_validate({"id": key_id, **given, **fields})


def user(name: str) -> User:
    return User(name=name, tenant="t", scopes=["admin"], password_hash="h", password_ms=1, created_ms=1)


def session(number: int, seen_ms: int = 1) -> Session:
    return Session(id=f"{number:064}", user="u", created_ms=1, seen_ms=seen_ms)


def told(*records: tuple[str, str, Event | None]) -> Book:
    book = Book()
    for topic, name, event in records:
        book.apply(topic, name.encode(), None if event is None else event.to_bytes())
    return book


def test_the_newest_record_holds_and_one_without_a_value_removes():
    book = told(
        (KEYS, "aaaaaaaa", key("aaaaaaaa")),
        (KEYS, "aaaaaaaa", key("aaaaaaaa", name="new")),
        (KEYS, "bbbbbbbb", key("bbbbbbbb")),
        (KEYS, "bbbbbbbb", None),
        (USERS, "u", user("u")),
        (USERS, "v", user("v")),
        (USERS, "u", None),
        (SESSIONS, session(1).id, session(1)),
        (SESSIONS, session(2).id, session(2)),
        (SESSIONS, session(1).id, None),
    )

    assert {name: each.name for name, each in book.keys.items()} == {"aaaaaaaa": "new"}
    assert list(book.users) == ["v"]
    assert list(book.sessions) == [session(2).id]
    assert book.skipped == 0


def test_a_revoked_key_stays_revoked_whoever_writes_after():
    book = told(
        (KEYS, "aaaaaaaa", key("aaaaaaaa", revoked_ms=7)), (KEYS, "aaaaaaaa", key("aaaaaaaa", name="new"))
    )

    assert (book.keys["aaaaaaaa"].revoked_ms, book.keys["aaaaaaaa"].name) == (7, "new")


def test_a_use_of_a_session_is_taken_and_brings_no_ended_one_back():
    used = session(1, seen_ms=9)

    book = told((SESSIONS, used.id, session(1)), (SESSIONS, f"seen/{used.id}", used))
    assert book.sessions[used.id].seen_ms == 9

    book = told(
        (SESSIONS, used.id, session(1)), (SESSIONS, used.id, None), (SESSIONS, f"seen/{used.id}", used)
    )
    assert book.sessions == {}

    book = told((SESSIONS, used.id, used), (SESSIONS, f"seen/{used.id}", None))
    assert book.sessions[used.id] == used


def test_of_secrets_and_of_uses_of_a_ticket_the_first_holds():
    first, second = (
        SigningSecret(secret=base64.b64encode(bytes([n]) * 32).decode(), created_ms=1) for n in (1, 2)
    )
    uses = [TicketUse(nonce="n", use=use, expires_ms=1) for use in ("a", "b")]

    book = told(
        (KEYS, "secret", None),
        (KEYS, "secret", first),
        (KEYS, "secret", second),
        (SESSIONS, "ticket/n", uses[0]),
        (SESSIONS, "ticket/n", uses[1]),
        (SESSIONS, "ticket/m", None),
    )

    assert book.secret == b"\1" * 32
    assert {nonce: use.use for nonce, use in book.uses.items()} == {"n": "a"}
    assert book.keys == {}


def test_what_can_not_be_read_is_counted_and_stops_nothing():
    book = Book()
    book.apply(KEYS, b"aaaaaaaa", b'{"id": 7}')
    book.apply(USERS, b"\xff", b"{}")
    book.apply(SESSIONS, None, b"not json")
    book.apply(AUDIT, b"u", b"[]")
    book.apply(KEYS, b"aaaaaaaa", key("aaaaaaaa").to_bytes())

    assert book.skipped == 4
    assert list(book.keys) == ["aaaaaaaa"]


def test_every_shelf_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    for name in ("MAX_KEYS", "MAX_USERS", "MAX_SESSIONS", "MAX_USES"):
        monkeypatch.setattr(module, name, 2)
    book = Book()
    for number in range(4):
        use = TicketUse(nonce=str(number), use="a", expires_ms=1)
        book.apply(KEYS, b"key %d" % number, key(f"{number:08}").to_bytes())
        book.apply(USERS, b"user %d" % number, user(f"u{number}").to_bytes())
        book.apply(SESSIONS, session(number).id.encode(), session(number).to_bytes())
        book.apply(SESSIONS, b"ticket/%d" % number, use.to_bytes())
    book.apply(KEYS, b"key 1", key("00000001", name="new").to_bytes())

    assert (list(book.keys), list(book.users)) == (["key 0", "key 1"], ["user 0", "user 1"])
    assert book.keys["key 1"].name == "new"
    assert list(book.sessions) == [session(2).id, session(3).id]
    assert list(book.uses) == ["2", "3"]
    assert book.skipped == 4


def test_the_last_thousand_audit_entries_are_at_hand():
    book = Book()
    for at_ms in range(1005):
        book.apply(AUDIT, b"u", Audit(at_ms=at_ms, caller="u", action="a").to_bytes())
    book.apply(AUDIT, b"u", None)

    assert [book.audit[0].at_ms, book.audit[-1].at_ms, len(book.audit)] == [5, 1004, 1000]
