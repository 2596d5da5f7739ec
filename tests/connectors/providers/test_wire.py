"""What codecs share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.wire import (
    Lines,
    address,
    as_object,
    call_headers,
    count,
    read_object,
    server_message,
    to_json,
)
from schemas.calls import Malformed, Missing, Refused
from tests.support.calls import make_call, make_route


@given(st.lists(st.text(alphabet="ab\r\n", max_size=5), max_size=8))
def test_lines_are_the_same_wherever_the_bytes_are_cut(parts: list[str]):
    lines = Lines()
    found = [line for part in parts for line in lines.feed(part.encode())]
    rest = lines.rest()

    whole = "".join(parts).replace("\r\n", "\n").replace("\r", "\n").encode().split(b"\n")
    held = "".join(parts).endswith("\r")
    assert [*found, rest] == (whole[:-1] if held else whole)


def test_an_address_is_the_routes_base_before_the_providers():
    own = make_call(route=make_route(api_base="http://x/v1/"))

    assert address(own, "http://y", "/chat") == "http://x/v1/chat"
    assert address(make_call(), "http://y", "/chat") == "http://y/chat"
    with pytest.raises(Missing, match="no api_base"):
        address(make_call(), None, "/chat")


def test_headers_carry_the_id_the_key_and_the_routes_extras():
    route = make_route(api_key="sk-1\n", params={"extra_headers": {"X-Team": "a"}})

    assert call_headers(make_call(route=route)) == {
        "content-type": "application/json",
        "x-request-id": "req-1",
        "authorization": "Bearer sk-1",
        "x-team": "a",
    }


def test_an_id_that_no_header_may_have_is_encoded():
    call = make_call()
    object.__setattr__(call, "request_id", "a\r\nx-evil: 1 % ü")

    assert call_headers(call)["x-request-id"] == "a%0D%0Ax-evil: 1 %25 %C3%BC"


def test_what_json_cannot_carry_is_refused():
    with pytest.raises(Refused, match="JSON"):
        to_json({"seed": 10**30})


def test_only_an_object_is_an_object():
    assert as_object("options", None) == {}
    assert as_object("options", {"a": 1}) == {"a": 1}
    with pytest.raises(Refused, match="`options` must be an object"):
        as_object("options", 5)


@pytest.mark.parametrize("text", [b"<html>", b"[1]", b"\xff\xfe", b""])
def test_an_answer_that_is_no_object_is_malformed_and_kept(text: bytes):
    with pytest.raises(Malformed) as caught:
        read_object(text)

    assert caught.value.body == text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no", "type": "t", "code": "c"}}', ("no", "c")),
        (b'{"error": {"message": "no", "type": "t", "code": 400}}', ("no", "t")),
        (b'{"error": "no"}', ("no", "")),
        (b'{"object": "error", "message": "no", "type": "t"}', ("no", "t")),
        (b'{"detail": "no"}', ("no", "")),
        (b'"no"', ("no", "")),
        (b"plain", ("plain", "")),
        (b"<html>Bad gateway</html>", ("", "")),
        (b"", ("", "")),
    ],
)
def test_a_servers_words_are_found_in_each_known_shape(body: bytes, said: tuple[str, str]):
    assert server_message(body) == said


def test_a_count_is_a_whole_number_or_zero():
    assert [count(value) for value in (3, 3.0, -1, None, "3")] == [3, 3, 0, 0, 0]
