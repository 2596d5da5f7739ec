"""Keys are read as they were made, recognised by their hash, and never shown whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.doors import keys
from schemas.gateway import ApiKey

ENTROPY = st.binary(min_size=keys.ENTROPY_BYTES, max_size=keys.ENTROPY_BYTES)


def kept(text: keys.KeyText, pepper: bytes | None = None, **fields: object) -> ApiKey:
    values = {"id": text.id, "name": "n", "tenant": "t", "scopes": ["llm:invoke"], "last4": text.last4}
    hashed = {"hash": keys.digest(text.text, pepper), "peppered": pepper is not None, "created_ms": 1}
    return ApiKey.model_validate({**values, **hashed, **fields})


@given(ENTROPY)
def test_a_key_has_its_form_and_is_read_back(entropy: bytes):
    key = keys.make(entropy)

    assert re.fullmatch(r"lk_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", key.text)
    assert keys.parse(key.text) == key


@given(ENTROPY, ENTROPY)
def test_other_entropy_is_another_secret(one: bytes, other: bytes):
    assert (keys.make(one).secret == keys.make(other).secret) == (one[6:] == other[6:])


@given(ENTROPY, st.integers(0, 60), st.sampled_from("0Az_-"))
def test_a_mistyped_character_is_noticed(entropy: bytes, at: int, typed: str):
    text = keys.make(entropy).text
    mistyped = text[:at] + typed + text[at + 1 :]

    assert (keys.parse(mistyped) is None) == (mistyped != text)


@pytest.mark.parametrize("text", ["", "lk_", "sk-abc", "lk_12345678_short_000000", "lk_" + "é" * 59])
def test_what_is_no_key_is_not_read(text: str):
    assert keys.parse(text) is None


def test_a_key_takes_the_entropy_that_it_says():
    with pytest.raises(ValueError, match="38 random bytes, not 3"):
        keys.make(b"abc")


@pytest.mark.parametrize("pepper", [None, b"pepper"])
def test_only_the_whole_key_matches_its_record(pepper: bytes | None):
    key, other = keys.make(b"\1" * 38), keys.make(b"\1" * 37 + b"\2")

    record = kept(key, pepper)

    assert key.secret not in record.model_dump_json()
    assert keys.matches(record, key.text, pepper)
    assert not keys.matches(record, other.text, pepper)


def test_a_peppered_key_needs_its_pepper_and_a_bare_one_none():
    key = keys.make(b"\1" * 38)

    assert not keys.matches(kept(key, b"pepper"), key.text, None)
    assert not keys.matches(kept(key, b"pepper"), key.text, b"other")
    assert keys.matches(kept(key), key.text, b"pepper")


def test_a_key_is_good_until_it_expires_or_is_revoked():
    key = keys.make(b"\1" * 38)

    assert keys.state(kept(key), 5) == "good"
    assert keys.state(kept(key, expires_ms=6), 5) == "good"
    assert keys.state(kept(key, expires_ms=5), 5) == "expired"
    assert keys.state(kept(key, expires_ms=9, revoked_ms=4), 5) == "revoked"


@given(ENTROPY, st.text(), st.text())
def test_no_secret_is_left_in_a_redacted_text(entropy: bytes, before: str, after: str):
    key = keys.make(entropy)

    shown = keys.redact(f"{before} {key.text}{after}")

    assert key.secret not in shown
    assert key.id in shown


def test_an_ill_formed_key_is_redacted_too():
    text = keys.make(b"\1" * 38).text

    assert keys.redact(f"GET /v1/models/{text[:-9]} x") == f"GET /v1/models/{text[:11]}_... x"
    assert repr(keys.make(b"\1" * 38)) == f"KeyText({text[3:11]})"
