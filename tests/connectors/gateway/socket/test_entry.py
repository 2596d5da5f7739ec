"""Who may open a socket: origins, and models that a key may ask for."""

import pytest

from connectors.gateway.ports import Caller, Problem
from connectors.gateway.socket.entry import check_origin, check_request
from schemas.requests import Request

COOKIE = {"cookie": "sid=x", "host": "gate.example"}
FRIENDS = ("https://friend.example",)


@pytest.mark.parametrize(
    ("headers", "scheme", "allowed"),
    [
        ({"authorization": "Bearer x", "host": "gate.example"}, "ws", True),
        ({"host": "gate.example"}, "ws", True),
        (COOKIE, "wss", False),
        (COOKIE | {"x-api-key": "x"}, "wss", True),
        (COOKIE | {"origin": "https://gate.example"}, "wss", True),
        (COOKIE | {"origin": "https://friend.example"}, "wss", True),
        (COOKIE | {"origin": "https://gate.example.evil.example"}, "wss", False),
        (COOKIE | {"origin": "https://gate.example:444"}, "wss", False),
        (COOKIE | {"origin": "http://gate.example"}, "wss", False),
        (COOKIE | {"origin": "null"}, "wss", False),
        (
            {"authorization": "Bearer x", "origin": "https://evil.example", "host": "gate.example"},
            "wss",
            False,
        ),
    ],
)
def test_a_page_from_elsewhere_does_not_get_in(headers: dict[str, str], scheme: str, allowed: bool):
    if allowed:
        check_origin(headers, scheme, FRIENDS)
        return
    with pytest.raises(Problem) as refused:
        check_origin(headers, scheme, FRIENDS)
    assert refused.value.status == 403


def test_a_key_with_a_list_of_models_asks_for_those_alone():
    caller = Caller("k", "t", frozenset(), models=("small", "large"))
    check_request(Request(prompt="hi", model="small", fallbacks=["large"]), (), caller)

    for asked in (Request(prompt="hi"), Request(prompt="hi", model="small", fallbacks=["huge"])):
        with pytest.raises(Problem) as refused:
            check_request(asked, (), caller)
        assert (refused.value.status, refused.value.param) == (403, "model")
