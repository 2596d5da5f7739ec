"""The outermost layer: bodies too large, deep or slow, foreign pages, headers of answers, one line each."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.body import MAX_BODY_BYTES
from connectors.gateway.doors.hardening import Bounds, Hardened
from connectors.gateway.doors.visits import visit
from connectors.gateway.ports import Caller, Problem
from tests.support.doors import House, bearer
from tests.support.served import Address, answers, served

HEAD = b"POST /v1/echo HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n"


def played(work: Callable[[House, httpx.AsyncClient], Awaitable[None]], house: House | None = None) -> None:
    there = house or House()

    async def run() -> None:
        async with there.client() as client:
            client.headers.update(bearer(await there.key()))
            await work(there, client)

    asyncio.run(run())


def on_the_wire(
    talk: Callable[[Address, bytes], Awaitable[bytes]], bounds: Bounds | None = None
) -> tuple[bytes, House]:
    """What a server says in a talk that gets the head of a POST with a good key."""
    house = House(bounds=bounds or Bounds())

    async def run() -> bytes:
        head = HEAD % (await house.key()).encode()
        async with served(house.app()) as at:
            return await talk(at, head)

    return asyncio.run(run()), house


def test_a_body_that_says_it_is_too_large_is_refused_and_the_answer_arrives():
    async def talk(at: Address, head: bytes) -> bytes:
        length = MAX_BODY_BYTES + 1
        return await at.say(head + b"content-length: %d\r\n\r\n" % length, *[b"x" * 1_000_000] * 10)

    answer, house = on_the_wire(talk)

    assert answers(answer) == [413]
    assert b"connection: close" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_large"
    assert house.doors.gauges()["doors_callers_busy"] == 0


def test_a_body_that_does_not_say_how_large_it_is_is_counted():
    async def talk(at: Address, head: bytes) -> bytes:
        piece = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
        return await at.say(head + b"transfer-encoding: chunked\r\n\r\n", *[piece] * 12)

    assert answers(on_the_wire(talk)[0]) == [413]


def test_a_client_that_asks_first_is_not_told_to_send_what_is_too_large():
    async def talk(at: Address, head: bytes) -> bytes:
        return await at.say(
            head + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)
        )

    assert answers(on_the_wire(talk)[0]) == [413]


def test_a_body_that_trickles_in_is_given_up():
    async def talk(at: Address, head: bytes) -> bytes:
        return await at.say(head + b"content-length: 50\r\n\r\n", *[b"x"] * 20, pause_s=0.05)

    answer, _ = on_the_wire(talk, Bounds(body_s=0.3))

    assert answers(answer) == [408]
    assert b"connection: close" in answer


def test_a_body_that_is_refused_unread_leaves_the_connection_usable():
    async def talk(at: Address, head: bytes) -> bytes:
        body = head.replace(b"Bearer lk", b"Bearer xx") + b"content-length: 2\r\n\r\n{}"
        return await at.say(body + body, timeout_s=0.5)

    answer, _ = on_the_wire(talk)

    assert answers(answer) == [401, 401]
    assert b"connection: close" not in answer


def test_an_unwanted_body_without_end_is_read_for_a_moment_only():
    async def talk(at: Address, head: bytes) -> bytes:
        stranger = head.replace(b"Bearer lk", b"Bearer xx")
        return await at.say(stranger + b"content-length: 1000\r\n\r\n", timeout_s=5)

    answer, _ = on_the_wire(talk, Bounds(drain_s=0.1))

    assert answers(answer) == [401]
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("path", "depth", "status"), [("/v1/echo", 100, 200), ("/v1/echo", 101, 400), ("/api/session", 101, 400)]
)
def test_a_body_is_refused_where_it_is_nested_too_deep(path: str, depth: int, status: int):
    async def work(house: House, client: httpx.AsyncClient) -> None:
        headers = {"content-type": "application/json"}
        answer = await client.post(path, content=b"[" * depth + b"]" * depth, headers=headers)
        assert answer.status_code == status
        assert status == 200 or "deeper than 100" in answer.json()["error"]["message"]

    played(work)


def test_a_body_for_the_admin_api_that_is_too_large_is_told_413():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/session", content=b" " * (MAX_BODY_BYTES + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    played(work)


def test_a_body_that_nobody_reads_as_json_may_be_of_any_shape():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        headers = {"content-type": "application/octet-stream"}
        assert (await client.post("/v1/echo", content=b"[" * 5000, headers=headers)).status_code == 200

    played(work)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PROPFIND", {}, 405),
        ("TRACE", {}, 405),
        ("GET", {f"a{n}": "b" for n in range(101)}, 431),
        ("GET", {"a": "b" * 40_000}, 431),
        ("POST", {"content-length": "+5"}, 400),
    ],
)
def test_what_can_be_told_by_the_head_is_told_at_once(method: str, headers: dict[str, str], status: int):
    async def work(house: House, client: httpx.AsyncClient) -> None:
        answer = await client.request(method, "/v1/echo", headers=headers)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

    played(work)


def test_an_anthropic_route_is_refused_in_its_own_shape():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        answer = await client.request("TRACE", "/v1/messages")
        assert (answer.status_code, answer.json()["type"]) == (405, "error")

    played(work)


def test_pages_of_others_can_not_act_with_a_cookie_of_ours():
    house = House()

    async def run() -> None:
        key = await house.key()
        async with house.client() as client:
            ours, evil = {"origin": "http://localhost"}, {"origin": "https://evil.example"}
            foreign = await client.post("/api/session", json={"key": key}, headers=evil)
            assert (foreign.status_code, house.store.book.sessions) == (403, {})
            assert (await client.post("/api/session", json={"key": key}, headers=ours)).status_code == 200
            assert (await client.post("/v1/echo", headers=ours)).status_code == 200
            for headers in (evil, {"origin": "null"}, {}, {"sec-fetch-site": "cross-site"}):
                assert (await client.post("/v1/echo", headers=headers)).status_code == 403
            assert (await client.post("/v1/echo", headers=evil | bearer(key))).status_code == 200
            assert (await client.get("/v1/echo", headers=evil)).status_code == 200

    asyncio.run(run())


def test_every_answer_has_the_headers_that_protect_it():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        for answer in (
            await client.get("/v1/echo"),
            await client.get("/x"),
            await client.request("TRACE", "/"),
        ):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["cache-control"] == "no-store"
            assert "strict-transport-security" not in answer.headers

    played(work)


def test_a_route_may_say_its_own_policy():
    async def page(request: Request) -> Response:
        return PlainTextResponse("", headers={"content-security-policy": "default-src 'self'"})

    app = Hardened(Starlette(routes=[Route("/", page)]), lambda caller: None)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            return await client.get("/")

    assert asyncio.run(run()).headers["content-security-policy"] == "default-src 'self'"


def test_a_caller_counts_as_busy_until_its_answer_ends():
    house, seen = House(), list[float]()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            seen.append(house.doors.gauges()["doors_callers_busy"])
            yield b"x"

    async def stream(request: Request) -> Response:
        await house.doors.admit(request.headers, "llm:invoke")
        return StreamingResponse(pieces())

    app = Hardened(Starlette(routes=[Route("/", stream)]), house.doors.leave)

    async def run() -> None:
        headers = bearer(await house.key(KeySpec("k", streams=1)))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            assert (await client.get("/", headers=headers)).content == b"xxx"
            assert (await client.get("/", headers=headers)).content == b"xxx"

    asyncio.run(run())
    assert seen == [1.0] * 6
    assert house.doors.gauges()["doors_callers_busy"] == 0


def test_a_problem_after_the_answer_began_is_not_swallowed():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Problem(500, "internal", "too late")

    async def run() -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(Hardened(app, lambda caller: None)), base_url="http://localhost"
        ) as client:
            await client.get("/")

    with pytest.raises(Problem, match="too late"):
        asyncio.run(run())


def test_sockets_are_visits_and_other_scopes_pass():
    seen: list[tuple[str, str]] = []
    left: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        here = visit.get()
        seen.append((scope["type"], here.address if here else "-"))
        if here is not None:
            here.caller = Caller("me", "t", frozenset())

    async def nothing(*_: Message) -> Message:
        return {}

    async def run() -> None:
        hardened = Hardened(app, lambda caller: left.append(caller.id))
        await hardened({"type": "websocket", "client": ("10.0.0.7", 1)}, nothing, nothing)
        await hardened({"type": "websocket", "client": None}, nothing, nothing)
        await hardened({"type": "lifespan"}, nothing, nothing)

    asyncio.run(run())
    assert seen == [("websocket", "10.0.0.7"), ("websocket", ""), ("lifespan", "-")]
    assert left == ["me", "me"]


def test_each_request_is_one_line_without_query_header_or_body(caplog: pytest.LogCaptureFixture):
    async def work(house: House, client: httpx.AsyncClient) -> None:
        key = await house.key()
        with caplog.at_level(logging.INFO, "weir.gateway.access"):
            await client.post("/v1/echo?prompt=MARK", content=b'{"a": "MARK"}', headers={"x-note": "MARK"})
            await client.get(f"/v1/models/{key}")
        lines = [json.loads(record.getMessage()) for record in caplog.records]
        assert [(line["method"], line["path"], line["status"]) for line in lines] == [
            ("POST", "/v1/echo", 200),
            ("GET", f"/v1/models/{key[:11]}_...", 404),
        ]
        assert (lines[0]["received_bytes"], lines[0]["caller"] != "-", lines[1]["caller"]) == (13, True, "-")
        assert lines[0]["sent_bytes"] > 10
        assert "MARK" not in caplog.text
        assert key not in caplog.text

    played(work)
