"""What every provider over HTTP must do with an error and with what is no answer."""

import asyncio
from dataclasses import replace

import pytest

from schemas.calls import (
    Malformed,
    Missing,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from tests.support.calls import FAST, always, make_call
from tests.support.dialects import Bench, Dialect, fails, for_each_dialect, on, replies, streams
from tests.support.loopback import Received, Reply

pytestmark = for_each_dialect


@pytest.mark.parametrize(
    ("status", "leaf"),
    [(400, Refused), (401, Missing), (403, Missing), (404, Missing), (413, Refused), (429, Throttled),
     (500, Unavailable), (503, Unavailable), (529, Unavailable), (307, Missing)],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_each_bad_status_has_its_error(
    dialect: Dialect, status: int, leaf: type[ProviderError], stream: bool
):
    script = replies(status, dialect.error("said so"), {"location": "http://127.0.0.1:9/"})

    error = fails(dialect, script, leaf, f"{status}: said so", stream=stream)

    assert type(error) is leaf
    assert error.status == status


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 9.0),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_a_throttle_carries_the_servers_wish(dialect: Dialect, headers: dict[str, str], wait_s: float | None):
    error = fails(dialect, replies(429, dialect.error("slow"), headers), Throttled, "slow")

    assert error.retry_after_s == wait_s


def test_a_503_with_a_retry_header_is_a_throttle(dialect: Dialect):
    fails(dialect, replies(503, b"", {"retry-after": "2"}), Throttled, "503")


def test_an_error_echoes_neither_key_nor_prompt(dialect: Dialect):
    script = replies(400, dialect.error("sk-secret said 'Say hello to the reader.'"))

    error = fails(dialect, script, Refused, "said")

    assert error.reason == "400: [key] said '[prompt]'"


def test_an_error_echoes_no_part_of_a_turn(dialect: Dialect):
    parts = [{"type": "text", "text": "My number is 4711 0815."}, {"type": "text", "text": ""}]
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": None}]

    async def test(bench: Bench) -> None:
        call = make_call({"messages": turns}, route=bench.route)
        with pytest.raises(Refused) as caught:
            await bench.provider.complete(call, None, None, always)
        assert caught.value.reason == "400: bad input [prompt]"

    on(dialect, replies(400, dialect.error("bad input My number is 4711 0815.")), test)


def test_a_cut_or_endless_error_is_known_by_its_status(dialect: Dialect):
    async def cut(_received: Received, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 429 Slow\r\ncontent-length: 100\r\nretry-after: 2\r\n\r\nabc")
        reply.close()

    assert fails(dialect, cut, Throttled, "429: abc").retry_after_s == 2
    fails(dialect, replies(500, b"y" * 200_000), Unavailable, "500")


def test_a_refused_connection_is_unavailable(dialect: Dialect):
    async def test(bench: Bench) -> None:
        bench.route = replace(bench.route, api_base="http://127.0.0.1:1")
        with pytest.raises(Unavailable, match=r"^the connection failed: Connection refused$"):
            await bench.call()

    on(dialect, replies(200, b""), test)


def test_an_unknown_name_is_unavailable(dialect: Dialect):
    async def test(bench: Bench) -> None:
        bench.route = replace(bench.route, api_base="http://nowhere.invalid")
        with pytest.raises(Unavailable, match=r"name is not known|connect timed out"):
            await bench.call()

    on(dialect, replies(200, b""), test, timeouts=FAST)


@pytest.mark.parametrize(("base", "key"), [("no address", "k"), ("ftp://x", "k"), (None, "a\nb")])
def test_an_address_or_a_key_that_cannot_be_sent_is_missing(dialect: Dialect, base: str | None, key: str):
    async def test(bench: Bench) -> None:
        bench.route = replace(bench.route, api_base=base or bench.server.url, api_key=key)
        with pytest.raises(Missing, match="check api_base and api_key"):
            await bench.call()

    on(dialect, replies(200, b""), test)


def test_a_connection_that_does_not_come_times_out(dialect: Dialect, monkeypatch: pytest.MonkeyPatch):
    async def hang(*_arguments: object, **_settings: object) -> object:
        await asyncio.sleep(30)

    async def test(bench: Bench) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", hang)
        with pytest.raises(Unavailable, match=r"^connect timed out after 0\.5 s$"):
            await bench.call()

    if not dialect.cant("connect on the loop"):
        on(dialect, replies(200, b""), test, timeouts=FAST)


def test_a_name_that_does_not_resolve_in_time_times_out(dialect: Dialect, monkeypatch: pytest.MonkeyPatch):
    async def hang(*_arguments: object, **_settings: object) -> object:
        await asyncio.sleep(30)

    async def test(bench: Bench) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
        bench.route = replace(bench.route, api_base="http://slow.invalid")
        with pytest.raises(Unavailable, match=r"^connect timed out after 0\.5 s$"):
            await bench.call()

    if not dialect.cant("connect on the loop"):
        on(dialect, replies(200, b""), test, timeouts=FAST)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_over_the_bound_is_malformed(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind if stream else "application/json")
        while True:
            await reply.chunk(dialect.piece * 100)

    error = fails(
        dialect, script, Malformed, "larger than 20000 bytes", stream=stream, max_answer_bytes=20_000
    )

    assert 0 < len(error.body) <= 4096  # type: ignore[attr-defined]


def test_an_answer_that_announces_too_much_is_not_read(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n")
        await asyncio.sleep(30)

    fails(dialect, script, Malformed, "larger than 20000 bytes", max_answer_bytes=20_000)


@pytest.mark.parametrize("stream", [False, True])
def test_a_page_instead_of_an_answer_is_malformed(dialect: Dialect, stream: bool):
    script = replies(200, b"<html>Please sign in</html>", kind="text/html; charset=utf-8")

    fails(dialect, script, Malformed, "not JSON", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_invalid_utf8_is_malformed(dialect: Dialect, stream: bool):
    if stream:
        script = streams(dialect.piece.replace(b"x", b"\xff\xfe"), dialect.stream, kind=dialect.kind)
    else:
        script = replies(200, dialect.reply.replace("ü".encode(), b"\xff"))

    fails(dialect, script, Malformed, "not JSON", stream=stream)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": 5, "message": 5, "done": true}',
        b'{"choices": [{"message": {"content": 5}}], "message": {"content": 5}, "done": true}',
        b'{"choices": [{"message": {}}], "message": {}, "done": true, "model": 5}',
        b'{"choices": [{"message": {"tool_calls": [5]}}], "message": {"tool_calls": [5]}, "done": true}',
    ],
)
def test_an_answer_that_breaks_the_codec_is_malformed(dialect: Dialect, body: bytes):
    fails(dialect, replies(200, body), Malformed, "no `|wrong type")


def test_what_is_not_http_is_unavailable(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.raw(b"220 mail.example ESMTP\r\n\r\n")
        reply.close()

    fails(dialect, script, Unavailable, "^the answer is not HTTP$")
