"""The ends of a connection: clients that go away, silence, heartbeats, writes that hang, failures in time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from connectors.gateway.dialects.dialect import Head
from connectors.gateway.dialects.openai_chat import ChatWriter
from connectors.gateway.dialects.sending import Pace, Reply, Stream
from connectors.gateway.ports import Lost
from schemas.codes import Code
from schemas.requests import Request
from tests.connectors.gateway.dialects.serving import (
    KEY,
    Answered,
    Gateway,
    Item,
    chunk,
    failure,
    response,
    says,
    served,
    words,
)

HEADERS = {"authorization": f"Bearer {KEY}"}
CHAT = {"model": "large", "messages": [{"role": "user", "content": "Hi."}]}
MESSAGE = {**CHAT, "max_tokens": 9}
QUICK = Pace(first_s=0.05, beat_s=0.1, event_s=0.25, send_s=0.2)


def client(gateway: Gateway, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gateway.url, headers=HEADERS | headers, timeout=5)


async def silent(_request: Request) -> AsyncIterator[Item]:
    """Says a word, then nothing."""
    yield chunk("Hi")
    await asyncio.Event().wait()


async def slow(_request: Request) -> AsyncIterator[Item]:
    await asyncio.sleep(0.6)
    yield chunk("Hi")
    await asyncio.sleep(0.15)
    yield response("Hi")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("key", [None, "k-1"])
def test_a_client_that_goes_away_stops_its_request_at_once_or_after_a_grace(stream: bool, key: str | None):
    async def use(gateway: Gateway) -> Any:
        named = {} if key is None else {"idempotency-key": key}
        async with client(gateway, **named) as http:
            request = http.build_request("POST", "/v1/chat/completions", json={**CHAT, "stream": stream})
            asking = asyncio.ensure_future(http.send(request, stream=True))
            while not gateway.exchange.answers:
                await asyncio.sleep(0.005)
            await asyncio.wait({asking}, timeout=0.2)
            if asking.done():
                await asking.result().aclose()
            asking.cancel()
        answers = gateway.exchange.answers[0]
        await answers.closed.wait()
        return answers.cancelled, answers.grace_s, gateway.exchange.keys

    assert served(silent, use) == (True, 0.0 if key is None else 30.0, [key])


def test_silence_is_bridged_by_heartbeats_and_then_by_events():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            openai = await http.post("/v1/chat/completions", json={**CHAT, "stream": True})
            claude = await http.post("/v1/messages", json={**MESSAGE, "stream": True})
            return openai, claude

    openai, claude = served(slow, use, QUICK)

    lines = openai.text.split("\n")
    beats = [place for place, line in enumerate(lines) if line == ": hb"]
    assert beats
    assert all(lines[place + 1] != "" for place in beats)
    assert openai.text.count('"delta":{"content":""}') >= 1
    assert not any(line.startswith(("id:", "retry:")) for line in lines)
    assert openai.text.endswith("data: [DONE]\n\n")
    assert claude.text.count("event: ping\n") >= 2
    assert claude.text.index("message_start") < claude.text.index("event: ping") < claude.text.index("Hi")
    assert openai.headers["cache-control"] == "no-cache, no-store"
    assert openai.headers["x-accel-buffering"] == "no"
    assert openai.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_a_late_failure_is_an_event_and_an_early_one_a_status():
    async def late(_request: Request) -> AsyncIterator[Item]:
        await asyncio.sleep(0.2)
        yield failure(Code.MODEL_UNAVAILABLE)

    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            after = await http.post("/v1/chat/completions", json={**CHAT, "stream": True})
            gateway.exchange.script = says(failure(Code.MODEL_UNAVAILABLE))
            before = await http.post("/v1/chat/completions", json={**CHAT, "stream": True})
            return after, before

    after, before = served(late, use, QUICK)

    assert (after.status_code, before.status_code) == (200, 503)
    assert '"code":"model_unavailable"' in after.text
    assert before.json()["error"]["code"] == "model_unavailable"
    assert "[DONE]" not in after.text


@pytest.mark.parametrize("items", [[Lost("a gap")], []])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_got_lost_is_an_error(items: list[Item], stream: bool):
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            whole = await http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
            gateway.exchange.script = says(chunk("Hi"), *items)
            cut = await http.post("/v1/chat/completions", json={**CHAT, "stream": True})
            return whole, cut

    whole, cut = served(says(*items), use)

    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "answer_lost")
    assert whole.headers["x-should-retry"] == "false"
    assert cut.status_code == 200
    assert '"code":"answer_lost"' in cut.text
    assert "[DONE]" not in cut.text


def test_an_answer_from_the_cache_has_its_facts_in_the_streams_headers():
    async def use(gateway: Gateway) -> Any:
        async with client(gateway) as http:
            return await http.post("/v1/chat/completions", json={**CHAT, "stream": True})

    got = served(says(response("Hi", cache="hit", model="Grüße")), use)

    assert (got.headers["x-weir-cache"], got.headers["x-weir-model"]) == ("hit", "Gr%C3%BC%C3%9Fe")
    assert '"content":"Hi"' in got.text


def reply_of(answers: Answered) -> Reply:
    return Reply(answers, lambda problem: pytest.fail(str(problem)), {})


def test_a_write_that_hangs_ends_the_stream_and_stops_the_request():
    async def main() -> tuple[Answered, int]:
        answers, sent = Answered("req_1", words("a", "b")(Request(prompt="-", stream=True))), 0

        async def send(_message: Any) -> None:
            nonlocal sent
            sent += 1
            if sent == 3:
                await asyncio.Event().wait()

        async def receive() -> Any:
            await asyncio.Event().wait()

        writer = ChatWriter(Head("req_1", 1, "m"), include_usage=False)
        await Stream(reply_of(answers), writer, QUICK)({}, receive, send)
        return answers, sent

    answers, sent = asyncio.run(main())

    assert (answers.cancelled, sent) == (True, 3)


def test_a_server_that_stops_does_not_cancel_what_was_asked():
    async def main() -> Answered:
        answers = Answered("req_1", silent(Request(prompt="-")))

        async def nothing(_message: Any = None) -> Any:
            return await asyncio.Event().wait() if _message is None else None

        writer = ChatWriter(Head("req_1", 1, "m"), include_usage=False)
        task = asyncio.ensure_future(Stream(reply_of(answers), writer, QUICK)({}, nothing, nothing))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return answers

    answers = asyncio.run(main())

    assert (answers.closed.is_set(), answers.cancelled) == (True, False)
