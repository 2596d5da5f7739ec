"""Keys and users are made, changed, rotated and ended; a key's text is shown once and kept nowhere."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

from connectors.gateway.doors import accounts as module
from connectors.gateway.doors import keys
from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.ports import ADMIN, INVOKE, Problem
from tests.support.doors import PASSWORD, House, MemoryStore

FULL = KeySpec("k", "acme", (INVOKE,), ("m",), 10, 1000, 2.5, 3, None)


def refused(work: Coroutine[Any, Any, object]) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        asyncio.run(work)
    return caught.value.status, caught.value.code


def test_a_key_has_what_it_was_made_from_and_its_text_is_kept_nowhere():
    house = House()

    key, text = asyncio.run(house.accounts.create_key(FULL, "ada"))

    assert (key.name, key.tenant, key.scopes, key.models) == ("k", "acme", [INVOKE], ["m"])
    assert (key.requests_per_minute, key.tokens_per_minute, key.budget_usd, key.streams) == (10, 1000, 2.5, 3)
    assert (key.created_by, key.created_ms, key.last4) == ("ada", house.clock.now_ms, text.secret[-4:])
    assert house.store.book.keys == {key.id: key}
    assert all(text.secret.encode() not in (value or b"") for _, _, value in house.store.log)


def test_the_first_key_is_made_only_where_there_is_none():
    house = House()

    made = asyncio.run(house.accounts.first_key())

    assert made is not None
    assert house.store.book.keys[made.id].scopes == [ADMIN]
    assert asyncio.run(house.accounts.first_key()) is None


def test_a_key_is_changed_by_the_names_of_its_fields():
    house = House()
    key, _ = asyncio.run(house.accounts.create_key(FULL, "ada"))

    changed = asyncio.run(house.accounts.change_key(key.id, {"models": None, "requests_per_minute": 5}))

    assert changed == key.model_copy(update={"models": None, "requests_per_minute": 5})
    assert house.store.book.keys[key.id] == changed


def test_a_revoked_key_is_not_changed_rotated_or_revoked_again():
    house = House()
    key, _ = asyncio.run(house.accounts.create_key(FULL, "ada"))

    revoked = asyncio.run(house.accounts.revoke_key(key.id))
    house.clock.now_ms += 5

    assert revoked.revoked_ms == house.clock.now_ms - 5
    assert asyncio.run(house.accounts.revoke_key(key.id)) == revoked
    assert refused(house.accounts.change_key(key.id, {"name": "x"})) == (409, "conflict")
    assert refused(house.accounts.rotate_key(key.id, "ada")) == (409, "conflict")


def test_a_key_revoked_elsewhere_at_once_ends_up_revoked_on_the_log():
    here = House()
    key, _ = asyncio.run(here.accounts.create_key(FULL, "ada"))
    there = House(MemoryStore(here.store.log))
    there.store.read()
    asyncio.run(here.accounts.revoke_key(key.id))

    changed = asyncio.run(there.accounts.change_key(key.id, {"name": "new"}))

    assert changed.revoked_ms is not None
    last = House(MemoryStore(here.store.log[-1:]))
    last.store.read()
    assert last.store.book.keys[key.id].revoked_ms == changed.revoked_ms


def test_a_rotated_key_has_an_heir_and_stays_good_for_the_grace():
    house = House()
    old, _ = asyncio.run(house.accounts.create_key(FULL, "ada"))

    new, text = asyncio.run(house.accounts.rotate_key(old.id, "bob", timedelta(minutes=1)))

    same = {"id", "hash", "last4", "created_by", "rotated_from"}
    assert new.model_dump(exclude=same) == old.model_dump(exclude=same)
    assert (new.rotated_from, new.created_by, keys.digest(text.text, None)) == (old.id, "bob", new.hash)
    assert house.store.book.keys[old.id].expires_ms == house.clock.now_ms + 60_000


def test_a_rotation_does_not_prolong_what_expires_earlier():
    house = House()
    spec = KeySpec("k", expires_ms=house.clock.now_ms + 10)
    old, _ = asyncio.run(house.accounts.create_key(spec, "ada"))

    asyncio.run(house.accounts.rotate_key(old.id, "bob"))

    assert house.store.book.keys[old.id].expires_ms == house.clock.now_ms + 10


def test_unknown_keys_users_and_scopes_are_refused():
    house = House()

    assert refused(house.accounts.create_key(KeySpec("k", scopes=("root",)), "a")) == (400, "invalid_request")
    assert refused(house.accounts.revoke_key("nobody00")) == (404, "not_found")
    assert refused(house.accounts.remove_user("nobody")) == (404, "not_found")
    assert refused(house.accounts.set_password("nobody", PASSWORD)) == (404, "not_found")
    assert refused(house.accounts.create_user("u", PASSWORD, "t", ("root",))) == (400, "invalid_request")
    assert refused(house.accounts.create_user("u", "short", "t", (ADMIN,))) == (400, "invalid_request")


def test_over_the_bound_the_oldest_spent_key_makes_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    house = House()
    first, _ = asyncio.run(house.accounts.create_key(FULL, "a"))
    second, _ = asyncio.run(house.accounts.create_key(FULL, "a"))

    assert refused(house.accounts.create_key(FULL, "a")) == (409, "too_many")
    asyncio.run(house.accounts.revoke_key(second.id))
    third, _ = asyncio.run(house.accounts.create_key(FULL, "a"))
    assert set(house.store.book.keys) == {first.id, third.id}


def test_a_user_is_made_once_and_within_the_bound(monkeypatch: pytest.MonkeyPatch):
    house = House()
    user = asyncio.run(house.accounts.create_user("ada", PASSWORD, "acme", (ADMIN,)))

    assert house.store.book.users == {"ada": user}
    assert PASSWORD not in user.model_dump_json()
    assert refused(house.accounts.create_user("ada", PASSWORD, "acme", (ADMIN,))) == (409, "conflict")
    monkeypatch.setattr(module, "MAX_USERS", 1)
    assert refused(house.accounts.create_user("bob", PASSWORD, "acme", (ADMIN,))) == (409, "too_many")
    house.clock.now_ms += 1
    changed = asyncio.run(house.accounts.set_password("ada", PASSWORD + "2"))
    assert (changed.password_ms, changed.created_ms) == (house.clock.now_ms, house.clock.now_ms - 1)
    asyncio.run(house.accounts.remove_user("ada"))
    assert house.store.book.users == {}
