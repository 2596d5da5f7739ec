"""Tickets: not to be forged, not too old, used once at whichever gateway; the secret is one for all."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.doors import signing
from connectors.gateway.doors.signing import Ticket, new_ticket, seal, shared_secret, unseal, use_up
from tests.support.doors import SECRET, START_MS, MemoryStore

TICKET = Ticket("nonce-1", START_MS + 30_000, "key:aaaaaaaa")


def test_a_ticket_is_read_back_until_it_is_too_old():
    text = seal(SECRET, TICKET)

    assert unseal(SECRET, text, START_MS + 29_999) == TICKET
    assert unseal(SECRET, text, START_MS + 30_000) is None


@given(st.integers(0, 200), st.characters(codec="utf-8"))
def test_a_changed_ticket_is_not_read(at: int, other: str):
    text = seal(SECRET, TICKET)
    changed = text[: at % len(text)] + other + text[at % len(text) + 1 :]

    assert (unseal(SECRET, changed, START_MS) is None) == (changed != text)


@given(st.text(max_size=80))
def test_what_is_no_ticket_is_not_read(text: str):
    assert unseal(SECRET, text, START_MS) is None


def test_another_secret_and_another_purpose_sign_otherwise():
    assert unseal(b"other" * 8, seal(SECRET, TICKET), START_MS) is None
    assert signing.derived(SECRET, "ticket") != signing.derived(SECRET, "stream")
    assert unseal(SECRET, "x" * 601, START_MS) is None


def test_a_new_ticket_is_good_for_thirty_seconds_and_like_no_other():
    one, expires_ms = new_ticket(SECRET, "session:s", START_MS)
    other, _ = new_ticket(SECRET, "session:s", START_MS)

    found = unseal(SECRET, one, START_MS)
    assert found is not None
    assert (found.holder, found.expires_ms, expires_ms) == ("session:s", START_MS + 30_000, START_MS + 30_000)
    assert one != other


def test_a_ticket_is_used_once_at_whichever_gateway():
    here, log = MemoryStore(), list[tuple[str, str, bytes | None]]()
    here.log = log
    there = MemoryStore(log)

    async def race() -> list[bool]:
        return [await use_up(here, TICKET), await use_up(there, TICKET), await use_up(here, TICKET)]

    assert asyncio.run(race()) == [True, False, False]
    assert len(log) == 2


def test_the_first_gateway_makes_the_secret_and_the_others_take_it():
    log: list[tuple[str, str, bytes | None]] = []
    one, other = MemoryStore(log), MemoryStore(log)

    async def both() -> tuple[bytes, bytes]:
        return await shared_secret(one, None, 1), await shared_secret(other, None, 1)

    first, second = asyncio.run(both())

    assert first == second
    assert len(first) == 32
    assert log[-1] == log[0]  # whoever was second wrote the first one again: compaction keeps the last


def test_a_given_secret_beats_the_topic_and_is_long_enough():
    store = MemoryStore()

    assert len(asyncio.run(shared_secret(store, "s" * 32, 1))) == 32
    assert store.log == []
    with pytest.raises(ValueError, match="WEIR_GATEWAY_SECRET needs 32"):
        asyncio.run(shared_secret(store, "s" * 31, 1))


def test_a_secret_that_could_not_be_kept_is_not_used():
    class Forgetful(MemoryStore):
        def read(self) -> None:
            pass

    with pytest.raises(ValueError, match="could not be kept"):
        asyncio.run(shared_secret(Forgetful(), None, 1))
