"""The routes: who may ask for what, what is asked later and polled, and what isn't there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from connectors.gateway.dialects.bodies import MAX_BODY_BYTES
from connectors.gateway.ports import Caller, Lost, Problem
from schemas.codes import Code
from schemas.requests import Request
from tests.connectors.gateway.dialects.serving import (
    ALICE,
    KEY,
    Gateway,
    Item,
    failure,
    response,
    says,
    served,
    words,
)

CHAT = {"model": "large", "messages": [{"role": "user", "content": "Hi."}]}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LATER = "/v1/async/chat/completions"


def client(gateway: Gateway, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gateway.url, headers={"x-api-key": KEY, **headers}, timeout=5)


def test_a_key_may_ask_only_for_its_models_fallbacks_too():
    async def use(gateway: Gateway) -> Any:
        gateway.doors.caller = replace(ALICE, models=("large",))
        bodies = [CHAT, {**CHAT, "model": "auto"}, {**CHAT, "fallbacks": ["openai/gpt-5"]}]
        async with client(gateway) as http:
            got = [await http.post("/v1/chat/completions", json=body) for body in bodies]
            listed = await http.get("/v1/models")
            hidden = await http.get("/v1/models/auto")
            return got, listed.json(), hidden.status_code

    got, listed, hidden = served(words("x"), use)

    assert [each.status_code for each in got] == [200, 403, 403]
    assert [each.json()["error"]["param"] for each in got[1:]] == ["model", "fallbacks"]
    assert [each["id"] for each in listed["data"]] == ["large"]
    assert hidden == 404


def test_a_key_without_the_scope_is_refused_before_its_body_is_read():
    async def use(gateway: Gateway) -> Any:
        gateway.doors.caller = Caller("key-2", "acme", frozenset({"metrics:read"}))
        async with client(gateway) as http:
            return await http.post("/v1/chat/completions", content=b"{")

    assert served(words("x"), use).status_code == 403


def test_limits_trace_and_ids_travel_with_the_request():
    async def use(gateway: Gateway) -> Any:
        gateway.doors.limits = {"requests": (60, 59, 1.0)}
        async with client(gateway, traceparent=TRACE) as http:
            got = await http.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": "mine"})
            gateway.doors.problem = Problem(429, "rate_limited", "slow down", headers={"retry-after": "3"})
            return got, await http.post("/v1/chat/completions", json=CHAT), gateway.exchange.asked

    got, limited, asked = served(words("x"), use)

    assert got.headers["x-ratelimit-remaining-requests"] == "59"
    assert got.headers["x-client-request-id"] == "mine"
    assert [request.traceparent for request in asked] == [TRACE]
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")


def test_bodies_that_are_too_large_or_packed_are_turned_away_declared_or_not():
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * (MAX_BODY_BYTES // 8)

    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            declared = await http.post("/v1/chat/completions", content=b" " * (MAX_BODY_BYTES + 1))
            packed = await http.post("/v1/messages", content=b"x", headers={"content-encoding": "gzip"})
        async with client(gateway) as http:
            counted = await http.post("/v1/messages", content=pieces())
        return [each.status_code for each in (declared, counted, packed)], counted.json()

    statuses, body = served(words("x"), use)

    assert statuses == [413, 413, 415]
    assert body["error"]["type"] == "request_too_large"


@pytest.mark.parametrize("headers", [{}, {"anthropic-version": "2023-06-01"}])
def test_what_isnt_there_is_said_in_the_clients_shape(headers: dict[str, str]):
    async def use(gateway: Gateway) -> Any:
        async with client(gateway, **headers) as http:
            return await http.get("/v1/nothing"), await http.get("/v1/chat/completions")

    for got in served(words("x"), use):
        assert got.status_code == 404
        assert ("type" in got.json()) == bool(headers)
        assert got.json()["error"]["type"] == "not_found_error"


def test_an_answer_can_be_asked_for_now_and_fetched_later():
    ready = asyncio.Event

    async def use(gateway: Gateway) -> Any:
        made = ready()

        async def script(_request: Request) -> AsyncIterator[Item]:
            await made.wait()
            yield response("Hi.")

        gateway.exchange.script = script
        async with client(gateway) as http:
            asked = await http.post(LATER, json=CHAT)
            early = await http.get(asked.headers["location"])
            made.set()
            done = await http.get(asked.headers["location"], params={"wait_s": "5"})
            return asked, early, done, gateway.exchange.keys, gateway.exchange.answers[0]

    asked, early, done, keys, answers = served(words("x"), use)

    assert (asked.status_code, asked.json()["status"], asked.json()["id"]) == (202, "in_progress", "req_1")
    assert (early.status_code, early.headers["retry-after"]) == (202, "1")
    assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert done.json()["response"]["choices"][0]["message"]["content"] == "Hi."
    assert done.headers["x-weir-model"] == "echo-1"
    assert keys[0].startswith("async-")
    assert not answers.cancelled


@pytest.mark.parametrize(
    ("item", "code"), [(failure(Code.REFUSED), "refused"), (Lost("a gap"), "answer_lost")]
)
def test_a_failure_is_fetched_as_such(item: Item, code: str):
    async def use(gateway: Gateway) -> Any:
        async with client(gateway, **{"idempotency-key": "k-1"}) as http:
            await http.post(LATER, json=CHAT)
            return (await http.get(f"{LATER}/req_1")).json(), gateway.exchange.keys

    got, keys = served(says(item), use)

    assert (got["status"], got["error"]["code"], keys) == ("failed", code, ["k-1"])


def test_what_was_asked_for_later_can_be_stopped_but_not_by_others():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            await http.post(LATER, json=CHAT)
            stopped = await http.delete(f"{LATER}/req_1")
            gateway.doors.caller = replace(ALICE, tenant="other")
            foreign = [await http.get(f"{LATER}/req_1"), await http.delete(f"{LATER}/req_1")]
            return stopped, [each.status_code for each in foreign], gateway.exchange.cancelled

    stopped, foreign, cancelled = served(words("x"), use)

    assert (stopped.status_code, stopped.json()["status"]) == (202, "cancelling")
    assert foreign == [404, 404]
    assert cancelled == [("req_1", "acme")]


def test_streams_and_long_waits_cant_be_asked_for_later():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            stream = await http.post(LATER, json={**CHAT, "stream": True})
            await http.post(LATER, json=CHAT)
            waits = [await http.get(f"{LATER}/req_1", params={"wait_s": wait}) for wait in ("x", "31")]
            return [each.json()["error"]["param"] for each in (stream, *waits)]

    assert served(words("x"), use) == ["stream", "wait_s", "wait_s"]


def test_pages_of_models_have_bounds():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway, **{"anthropic-version": "2023-06-01"}) as http:
            wrong = await http.get("/v1/models", params={"limit": "0"})
            rest = await http.get("/v1/models", params={"after_id": "openai/gpt-5"})
            return wrong.json()["error"], rest.json()

    wrong, rest = served(words("x"), use)

    assert wrong["type"] == "invalid_request_error"
    assert rest == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_a_client_that_goes_away_in_the_middle_of_its_body_asks_nothing():
    async def use(gateway: Gateway) -> Any:
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 99\r\n\r\n{{"
        writer.write(head.encode())
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        async with client(gateway) as http:
            after = await http.post("/v1/chat/completions", json=CHAT)
        return after.status_code, len(gateway.exchange.asked)

    assert served(words("x"), use) == (200, 1)
