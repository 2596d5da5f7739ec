"""The resumable stream: ids, going on after a cut, heartbeats, and who may read it."""

import asyncio
import http.client
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from connectors.gateway.ports import Lost
from connectors.gateway.socket.events import EventStream, event
from tests.support.sockets import FakeAnswers, Fakes, Log, chunk, response, serving


@pytest.fixture(scope="module")
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture(scope="module")
def port(fakes: Fakes) -> Generator[int]:
    with serving(fakes.app()) as number:
        yield number


def log(fakes: Fakes, request_id: str, *items: Any) -> Log:
    fakes.exchange.logs[request_id] = Log("acme", list(items))
    return fakes.exchange.logs[request_id]


def hello(request_id: str) -> list[Any]:
    return [chunk(request_id, seq, word) for seq, word in enumerate(("a", "b", "c"))] + [response(request_id)]


@contextmanager
def asking(port: int, path: str, key: str = "ann", **headers: str) -> Generator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    given = {"authorization": f"Bearer {key}"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    connection.request("GET", f"/api/streams/{path}", headers=given)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def events(answer: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Events as a browser would read them; a block without `data` is none."""
    fields: dict[str, str] = {}
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield fields
            fields = {}


def test_a_stream_has_ids_and_ends_with_the_response(port: int, fakes: Fakes):
    log(fakes, "r1", *hello("r1"))
    with asking(port, "r1/events?after=r1:0") as answer:
        found = list(events(answer))

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [one["event"] for one in found] == ["chunk", "chunk", "chunk", "response"]
    assert [one["id"] for one in found] == ["r1:1", "r1:2", "r1:3", "end"]
    assert found[0]["retry"] == "1000"
    assert [orjson.loads(one["data"])["delta"] for one in found[:3]] == ["a", "b", "c"]


def test_the_last_id_that_was_seen_goes_on_right_behind_it(port: int, fakes: Fakes):
    log(fakes, "r2", *hello("r2"))
    with asking(port, "r2/events", last_event_id="r2:2") as answer:
        found = list(events(answer))

    assert [one["id"] for one in found] == ["r2:3", "end"]


def test_without_a_place_it_begins_at_the_start_and_goes_on_when_nobody_reads(port: int, fakes: Fakes):
    kept = log(fakes, "r5", *hello("r5"))
    with asking(port, "r5/events") as answer:
        assert [one["id"] for one in events(answer)] == ["r5:1", "r5:2", "r5:3", "end"]

    end_s = time.monotonic() + 10
    while not kept.closed and time.monotonic() < end_s:
        time.sleep(0.01)
    assert kept.closed == [(False, 30.0)]


def test_a_browser_that_comes_back_after_the_end_is_told_to_stop(port: int):
    with asking(port, "r2/events", last_event_id="end") as answer:
        assert answer.status == 204


def test_a_gap_ends_the_stream_with_an_error(port: int, fakes: Fakes):
    log(fakes, "r3", Lost("a gap"))
    with asking(port, "r3/events?after=r3:0") as answer:
        (found,) = events(answer)

    assert (found["event"], orjson.loads(found["data"])["error"]["code"]) == ("error", "lost")


def test_a_client_that_goes_away_leaves_a_grace(port: int, fakes: Fakes):
    kept = log(fakes, "r4", chunk("r4", 0, "a"))
    with asking(port, "r4/events?after=r4:0") as answer:
        assert next(events(answer))["id"] == "r4:1"
        answer.close()
    deadline_s = time.monotonic() + 5
    while not kept.closed and time.monotonic() < deadline_s:
        time.sleep(0.01)

    assert kept.closed == [(True, 30.0)]


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("r1/events", "bob", 404, "not_found"),
        ("r1/events?after=r1:0", "nobody", 401, "invalid_api_key"),
        ("r1/events?after=r1:0", "eve", 403, "forbidden"),
        ("r1/events?after=r1:0", "bob", 404, "not_found"),
        ("r2/events?after=r1:0", "ann", 404, "not_found"),
        ("r1/events?after=forged", "ann", 404, "not_found"),
    ],
)
def test_who_may_not_read_a_stream_is_told_so(
    port: int, fakes: Fakes, path: str, key: str, status: int, code: str
):
    log(fakes, "r1", *hello("r1"))
    with asking(port, path, key) as answer:
        body = orjson.loads(answer.read())

    assert (answer.status, body["error"]["code"]) == (status, code)


def test_silence_is_bridged_by_heartbeats():
    sent: list[bytes] = []
    kept = Log("acme", [])

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if sent.count(b": hb\n\n") == 2 and not kept.items:
            kept.items.append(response("r"))

    async def receive() -> Any:
        await asyncio.sleep(60)

    asyncio.run(EventStream(FakeAnswers("r", kept), beat_s=0.01)({}, receive, send))

    assert sent.count(b": hb\n\n") >= 2
    assert sent[-2].startswith(b"id: end\nevent: response\n")


def test_a_fault_while_streaming_is_not_taken_for_an_end():
    class Broken(FakeAnswers):
        async def __aiter__(self) -> Any:
            yield chunk("r", 0, "a")
            raise ZeroDivisionError

    async def send(_message: Any) -> None:
        pass

    async def receive() -> Any:
        await asyncio.sleep(60)

    kept = Log("acme", [])
    with pytest.raises(ZeroDivisionError):
        asyncio.run(EventStream(Broken("r", kept))({}, receive, send))
    assert kept.closed == [(True, 30.0)]


def test_an_event_is_one_line_of_data_whatever_is_in_it():
    text = event(chunk("r", 0, "one\n\ntwo\r\ndata: three\u2028"), "t").decode()

    assert text.count("\n") == 4
    assert "\r" not in text
