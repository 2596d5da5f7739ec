"""Resume tokens: what a gateway signed is read back; anything else is no token."""

import string
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.exchange.rules.tokens import MAX_CHARS, Place, read, sign

SECRET = bytes(range(32))
COUNT = st.integers(0, 2**62)
PLACES = st.builds(
    Place,
    request_id=st.text(max_size=60),
    tenant=st.text(max_size=60),
    partition=COUNT,
    offset=COUNT,
    streamed=st.booleans(),
    attempt=COUNT,
    seq=st.integers(-1, 2**62),
    whole=st.booleans(),
    ended=st.booleans(),
    deadline_ms=COUNT,
    asked_ms=COUNT,
    home=COUNT,
)
PLACE = Place(
    request_id="req_1", tenant="acme", partition=1, offset=2, streamed=True, attempt=1, seq=3, whole=False,
    deadline_ms=4, asked_ms=5, home=6,
)  # fmt: skip


@given(PLACES)
def test_a_place_is_read_back_as_it_was_signed(place: Place):
    token = sign(place, SECRET)

    assert read(token, SECRET) == place
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_token_with_one_changed_byte_is_none(at: int, change: int):
    token = sign(PLACE, SECRET)
    body = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    body[at % len(body)] ^= change

    assert read(urlsafe_b64encode(bytes(body)).decode().rstrip("="), SECRET) is None


@pytest.mark.parametrize("token", ["", "x", "é", "a" * (MAX_CHARS + 1), "!!!!", "a" * 64])
def test_what_is_no_token_is_none(token: str):
    assert read(token, SECRET) is None


def test_a_token_of_another_installation_is_none():
    assert read(sign(PLACE, b"other"), SECRET) is None


def test_a_signed_body_of_another_shape_is_none():
    from connectors.gateway.exchange.rules import tokens

    body = b'{"request_id":"r"}'
    token = urlsafe_b64encode(body + tokens._mac(body, SECRET)).decode().rstrip("=")

    assert read(token, SECRET) is None
