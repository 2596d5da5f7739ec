"""Nothing listens beyond this machine before there are keys; the environment says what is secret."""

import pytest

from connectors.gateway.doors import setup
from connectors.gateway.doors.book import Book
from connectors.gateway.doors.listening import refusal
from schemas.gateway import ApiKey

KEY = ApiKey(
    id="aaaaaaaa",
    name="k",
    tenant="t",
    scopes=["admin"],
    hash="0" * 64,
    last4="abcd",
    created_ms=1,
    expires_ms=9,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_gateway_may_listen_on_loopback_without_keys(host: str):
    assert refusal(host, Book(), 1) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "weir.example"])
def test_beyond_loopback_only_with_a_good_key(host: str):
    book = Book()
    assert "weir keys create" in (refusal(host, book, 1) or "")

    book.keys[KEY.id] = KEY
    assert refusal(host, book, 8) is None
    assert refusal(host, book, 9) is not None


def test_the_environment_says_pepper_and_origins():
    env = {"WEIR_KEY_PEPPER": "p", "WEIR_GATEWAY_ORIGINS": "https://a.example/, https://b.example,"}

    assert setup.pepper_of(env) == b"p"
    assert setup.origins_of(env) == {"https://a.example", "https://b.example"}
    assert setup.pepper_of({}) is None
    assert setup.origins_of({}) == frozenset()
