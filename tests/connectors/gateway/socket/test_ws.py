"""The WebSocket over a real server: who gets in, asking, cancelling, following, and what ends a socket."""

import contextlib
import socket as sockets
import struct
import time
from collections.abc import Callable, Generator
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from connectors.gateway.parts import GatewaySettings
from connectors.gateway.socket.protocol import Limits
from connectors.gateway.socket.quiet import hide_queries
from connectors.gateway.socket.ws import Pace
from tests.support.sockets import Fakes, serving

Open = Callable[..., "contextlib.AbstractContextManager[Client]"]


class Client:
    """Sends and takes JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, **message: Any) -> None:
        self.connection.send(orjson.dumps(message).decode())

    def take(self) -> dict[str, Any]:
        return orjson.loads(self.connection.recv(timeout=10))

    def ask(self, ref: str, prompt: str) -> None:
        self.send(type="submit", id=ref, request={"prompt": prompt, "stream": True})

    def until(self, kind: str) -> list[dict[str, Any]]:
        taken = [self.take()]
        while taken[-1]["type"] != kind:
            taken.append(self.take())
        return taken

    def closed_with(self) -> int:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.connection.recv(timeout=10)
        return self.connection.close_code or 0


@contextlib.contextmanager
def opened(
    port: int,
    key: str | None = "ann",
    *,
    path: str = "/ws",
    headers: dict[str, str] | None = None,
    hello: bool = True,
) -> Generator[Client]:
    given = dict(headers or {}) | ({"authorization": f"Bearer {key}"} if key else {})
    with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=given, proxy=None) as connection:
        client = Client(connection)
        if hello:
            client.send(type="hello", version=1)
            assert client.take()["type"] == "hello"
        yield client


def refusal(port: int, **options: Any) -> tuple[int, str]:
    """Status and code that a handshake is refused with."""
    with pytest.raises(InvalidStatus) as refused, opened(port, **options):
        pass
    body = orjson.loads(refused.value.response.body)
    return refused.value.response.status_code, body["error"]["code"]


@pytest.fixture(scope="module")
def fakes() -> Fakes:
    return Fakes(settings=GatewaySettings(origins=("https://friend.example",)))


@pytest.fixture(scope="module")
def port(fakes: Fakes) -> Generator[int]:
    with serving(fakes.app()) as number:
        yield number


def test_an_answer_comes_in_pieces_and_ends_with_the_response(port: int):
    with opened(port) as client:
        client.ask("a", "one two three")
        messages = client.until("response")

    assert [message["type"] for message in messages] == ["submitted", *["chunk"] * 3, "response"]
    assert "".join(message["delta"] for message in messages[1:-1]) == "one two three "
    assert messages[-1]["response"]["cost_usd"] == 0.0021
    assert {message["id"] for message in messages} == {"a"}


def test_two_answers_on_one_socket_do_not_mix(port: int):
    with opened(port) as client:
        client.ask("a", "a a a a")
        client.ask("b", "b b b b")
        messages = client.until("response") + client.until("response")

    for ref in "ab":
        pieces = [
            message["delta"] for message in messages if message["type"] == "chunk" and message["id"] == ref
        ]
        assert pieces == [f"{ref} "] * 4


def test_a_cancelled_answer_still_ends_with_its_response(port: int):
    with opened(port) as client:
        client.ask("a", "wait for it")
        client.until("chunk")
        client.send(type="cancel", id="a")
        last = client.until("response")[-1]

    assert last["response"]["error"]["code"] == "cancelled"


def test_a_cancel_sent_right_behind_the_request_holds(port: int):
    with opened(port) as client:
        client.ask("a", "wait")
        client.send(type="cancel", id="a")

        assert client.until("response")[-1]["response"]["error"]["code"] == "cancelled"


def test_a_cancel_that_could_not_be_sent_is_told_and_the_answer_goes_on(port: int, fakes: Fakes):
    with opened(port) as client:
        client.ask("a", " ".join("abcdefgh" * 4))
        fakes.exchange.logs[client.take()["request_id"]].can_be_cancelled = False
        client.send(type="cancel", id="a")
        messages = client.until("response")

    assert [message["code"] for message in messages if message["type"] == "error"] == ["overloaded"]
    assert messages[-1]["response"].get("error") is None


def test_a_cut_socket_leaves_a_grace_and_its_answer_can_be_followed(port: int, fakes: Fakes):
    with opened(port) as client:
        client.ask("a", "wait a b")
        token, request_id = (message := client.take())["token"], message["request_id"]
        client.until("chunk")
    deadline_s = time.monotonic() + 5
    while not fakes.exchange.logs[request_id].closed and time.monotonic() < deadline_s:
        time.sleep(0.01)
    with opened(port) as client:
        client.send(type="follow", id="again", token=token)
        client.send(type="cancel", id="again")
        messages = client.until("response")

    assert fakes.exchange.logs[request_id].closed[0] == (True, 30.0)
    assert [message.get("delta") for message in messages[1:-1]] == ["wait ", "a ", "b "]


def test_another_tenants_answer_cannot_be_followed(port: int):
    with opened(port) as client:
        client.ask("a", "mine")
        token = client.take()["token"]
    with opened(port, "bob") as client:
        client.send(type="follow", id="theirs", token=token)

        assert client.take()["code"] == "not_found"


@pytest.mark.parametrize(
    ("request_", "code", "param"),
    [
        ({"prompt": "hi", "tenant": "other"}, "invalid_request", "tenant"),
        ({"prompt": "hi", "reply_topic": "reply.x"}, "invalid_request", "reply_topic"),
        ({"prompt": "hi", "max_token": 3}, "invalid_request", "max_token"),
        ({"prompt": "hi", "max_tokens": -1}, "invalid_request", "max_tokens"),
        ({}, "invalid_request", "prompt"),
        ({"prompt": "refuse"}, "overloaded", None),
    ],
)
def test_a_request_that_cannot_be_honoured_is_an_error_that_names_the_parameter(
    port: int, request_: dict[str, Any], code: str, param: str | None
):
    with opened(port) as client:
        client.send(type="submit", id="a", request=request_)
        error = client.take()

    assert (error["type"], error["id"], error["code"], error.get("param")) == ("error", "a", code, param)


def test_a_stream_with_a_gap_ends_with_an_error(port: int):
    with opened(port) as client:
        client.ask("a", "lost")

        assert client.until("error")[-1]["code"] == "lost"


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"key": None}, 401, "invalid_api_key"),
        ({"key": "nobody"}, 401, "invalid_api_key"),
        ({"path": "/ws?key=ann", "key": None}, 400, "invalid_request"),
        ({"path": "/ws?ticket=t-nobody", "key": None}, 401, "invalid_ticket"),
        ({"key": None, "headers": {"cookie": "sid=ann"}}, 403, "forbidden"),
        ({"key": None, "headers": {"cookie": "sid=ann", "origin": "https://evil.example"}}, 403, "forbidden"),
        (
            {"path": "/ws?ticket=t-ann", "key": None, "headers": {"origin": "https://evil.example"}},
            403,
            "forbidden",
        ),
        ({"headers": {"origin": "null"}}, 403, "forbidden"),
    ],
)
def test_who_may_not_is_told_before_the_socket_opens(
    port: int, options: dict[str, Any], status: int, code: str
):
    assert refusal(port, **options) == (status, code)


def test_a_cookie_with_the_pages_own_origin_opens(port: int):
    for origin in (f"http://127.0.0.1:{port}", "https://friend.example"):
        with opened(port, None, headers={"cookie": "sid=ann", "origin": origin}) as client:
            client.send(type="ping", id="1")

            assert client.take() == {"type": "pong", "id": "1"}


def test_a_ticket_opens_once(port: int):
    with opened(port, None, path="/ws?ticket=t-bob") as client:
        client.send(type="ping")
        assert client.take() == {"type": "pong"}

    assert refusal(port, key=None, path="/ws?ticket=t-bob") == (401, "invalid_ticket")


def test_no_ticket_and_no_mistaken_key_is_in_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    hide_queries()
    hide_queries()
    with serving(Fakes().app()) as port:
        with opened(port, None, path="/ws?ticket=t-ann"):
            pass
        assert refusal(port, key=None, path="/ws?ticket=t-marker") == (401, "invalid_ticket")
        assert refusal(port, key=None, path="/ws?key=marker") == (400, "invalid_request")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]

    assert sum('"WebSocket /ws"' in line for line in logged) == 3
    assert not any("marker" in line or "t-ann" in line for line in logged)


def test_who_may_only_watch_gets_in_and_cannot_ask(port: int):
    with opened(port, "eve") as client:
        client.ask("a", "hi")

        assert client.take()["code"] == "forbidden"


def test_a_socket_that_does_not_speak_the_protocol_is_closed(port: int):
    with opened(port, hello=False) as client:
        client.connection.send(b"\x00\x01")
        assert client.closed_with() == 4400
    with opened(port, hello=False) as client:
        client.send(type="ping")
        assert client.closed_with() == 4400
    with opened(port) as client:
        client.connection.send('"' + "x" * (1024 * 1024) + '"')
        assert client.closed_with() == 1009


def test_a_socket_without_a_hello_is_closed():
    with serving(Fakes().app(Pace(hello_s=0.05))) as port, opened(port, hello=False) as client:
        assert client.closed_with() == 4408


def test_a_key_that_is_revoked_closes_its_socket():
    fakes = Fakes()
    with serving(fakes.app(Pace(recheck_s=0.05))) as port, opened(port) as client:
        fakes.doors.revoked.add("ann")
        assert client.closed_with() == 4401


def test_a_ticket_socket_that_is_open_too_long_is_closed():
    app = Fakes().app(Pace(recheck_s=0.02, ticket_age_s=0.05))
    with serving(app) as port, opened(port, None, path="/ws?ticket=t-ann", hello=False) as client:
        assert client.closed_with() == 4408


def test_sockets_are_bounded_for_each_caller_and_for_all():
    with serving(Fakes().app(Pace(sockets=3, sockets_each=2))) as port:
        with opened(port), opened(port):
            assert refusal(port) == (429, "rate_limited")
            with opened(port, "bob"):
                assert refusal(port, key="eve") == (503, "overloaded")
        with opened(port) as client:
            client.send(type="ping")
            assert client.take()["type"] == "pong"


def test_a_client_that_never_reads_is_let_go_and_its_answer_waits_in_the_log():
    fakes = Fakes()
    pace = Pace(Limits(queue_bytes=64 * 1024), send_s=0.3)
    with serving(fakes.app(pace)) as port, deaf(port) as connection:
        deadline_s = time.monotonic() + 20
        while not any(log.closed for log in fakes.exchange.logs.values()) and time.monotonic() < deadline_s:
            time.sleep(0.02)

        assert fakes.exchange.logs["req_1"].closed == [(True, 30.0)]
        assert connection.fileno() > 0


@contextlib.contextmanager
def deaf(port: int) -> Generator[sockets.socket]:
    """A raw client that asks for a flood and never reads."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port))
    head = "GET /ws HTTP/1.1\r\nhost: x\r\nx-api-key: ann\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    raw.sendall(
        (head + "sec-websocket-version: 13\r\nsec-websocket-key: " + "A" * 22 + "==\r\n\r\n").encode()
    )
    time.sleep(0.1)
    for message in (
        {"type": "hello", "version": 1},
        {"type": "submit", "id": "a", "request": {"prompt": "flood", "stream": True}},
    ):
        body = orjson.dumps(message)
        raw.sendall(struct.pack("!BB4s", 0x81, 0x80 | len(body), b"\0\0\0\0") + body)
    try:
        yield raw
    finally:
        raw.close()


def test_a_fault_of_our_own_closes_the_socket_and_says_so(caplog: pytest.LogCaptureFixture):
    with serving(Fakes().app()) as port, opened(port) as client:
        client.ask("a", "bug")

        assert client.closed_with() in (1006, 1011)
    assert "ZeroDivisionError" in caplog.text
