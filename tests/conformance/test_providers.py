"""What every provider over HTTP must do, whatever its wire format, on a real connection with real faults."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import orjson
import pytest

from connectors.providers.ollama import OllamaCodec
from connectors.providers.openai import OpenAICodec
from connectors.providers.shell import HttpProvider
from connectors.providers.wire import Codec
from schemas.calls import (
    Answer,
    Malformed,
    Missing,
    Piece,
    ProviderError,
    Refused,
    Route,
    Throttled,
    Timeouts,
    Unavailable,
)
from tests.support.calls import FAST, Pieces, always, make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Loopback, Received, Reply, Script


@dataclass(frozen=True)
class Dialect:
    """What differs between the formats."""

    name: str
    codec: Callable[[], Codec]
    kind: str
    reply: bytes
    stream: bytes
    piece: bytes
    """An event that adds one `x` to the text."""

    def error(self, text: str) -> bytes:
        return orjson.dumps({"error": {"message": text} if self.name == "openai" else text})


OPENAI = Dialect(
    "openai",
    OpenAICodec,
    "text/event-stream",
    wire("openai_text.reply.json"),
    wire("openai_text.stream.sse"),
    b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n',
)
OLLAMA = Dialect(
    "ollama",
    OllamaCodec,
    "application/x-ndjson",
    wire("ollama_text.reply.json"),
    wire("ollama_text.stream.ndjson"),
    b'{"message": {"content": "x"}, "done": false}\n',
)
TEXT = "Grüße, reader."


@pytest.fixture(params=[OPENAI, OLLAMA], ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@dataclass
class Bench:
    """A provider, its server, and one way to call."""

    provider: HttpProvider
    server: Loopback
    route: Route

    async def call(
        self,
        *,
        stream: bool = False,
        sink: Callable[[Piece], Awaitable[None]] | None = None,
        gate: Callable[[], bool] = always,
        prompt: str = "Say hello to the reader.",
    ) -> Answer:
        call = make_call({"prompt": prompt}, route=self.route, stream=stream)
        return await self.provider.complete(call, self.provider.encode(call), sink, gate)


def on(
    dialect: Dialect,
    script: Script,
    test: Callable[[Bench], Awaitable[None]],
    *,
    timeouts: Timeouts = FAST,
    max_answer_bytes: int = 1 << 20,
    max_connections: int = 8,
) -> None:
    """Run a test against a server with that script; the loop must end without a leftover."""

    async def main() -> None:
        async with Loopback(script) as server:
            provider = HttpProvider(
                dialect.codec(), max_connections=max_connections, max_answer_bytes=max_answer_bytes
            )
            route = make_route(dialect.name, api_base=server.url, api_key="sk-secret", timeouts=timeouts)
            try:
                await test(Bench(provider, server, route))
            finally:
                await provider.close()

    asyncio.run(main())


def fails(
    dialect: Dialect,
    script: Script,
    leaf: type[ProviderError],
    reason: str,
    *,
    stream: bool = False,
    **settings: int,
) -> ProviderError:
    """The error that a call ends with; its class and reason are checked."""
    caught: list[ProviderError] = []

    async def test(bench: Bench) -> None:
        with pytest.raises(leaf, match=reason) as error:
            await bench.call(stream=stream, sink=Pieces())
        caught.append(error.value)

    on(dialect, script, test, **settings)
    return caught[0]


def replies(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Script:
    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(status, body, headers, kind)

    return script


def streams(*parts: bytes, kind: str, end: bool = True) -> Script:
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=kind)
        for part in parts:
            await reply.chunk(part)
        if end:
            await reply.end()
        else:
            reply.close()

    return script


def test_a_whole_answer_is_read_and_its_connection_used_again(dialect: Dialect):
    async def test(bench: Bench) -> None:
        answers = [await bench.call() for _ in range(3)]

        assert [answer.text for answer in answers] == [TEXT] * 3
        assert bench.server.connections == 1
        assert bench.server.received[0].headers["x-request-id"] == "req-1"
        assert bench.server.received[0].headers["authorization"] == "Bearer sk-secret"
        assert bench.server.received[0].headers["content-type"] == "application/json"

    on(dialect, replies(200, dialect.reply), test)


def test_a_streamed_answer_comes_in_pieces_and_its_connection_is_used_again(dialect: Dialect):
    middle = len(dialect.stream) // 2
    script = streams(dialect.stream[:middle], dialect.stream[middle:], kind=dialect.kind)

    async def test(bench: Bench) -> None:
        for _ in range(2):
            sink = Pieces()
            answer = await bench.call(stream=True, sink=sink)
            assert sink.text == answer.text == TEXT
            assert answer.usage is not None
        assert bench.server.connections == 1

    on(dialect, script, test)


def test_a_stream_without_a_sink_is_read_all_the_same(dialect: Dialect):
    async def test(bench: Bench) -> None:
        assert (await bench.call(stream=True)).text == TEXT

    on(dialect, streams(dialect.stream, kind=dialect.kind), test)


def test_a_whole_answer_to_a_stream_is_one_piece(dialect: Dialect):
    async def test(bench: Bench) -> None:
        sink = Pieces()
        answer = await bench.call(stream=True, sink=sink)

        assert [piece.text for piece in sink.got] == [answer.text] == [TEXT]

    on(dialect, replies(200, dialect.reply), test)


def test_a_stream_that_does_not_end_behind_its_answer_is_complete(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        await reply.chunk(dialect.stream)
        await asyncio.sleep(30)

    async def test(bench: Bench) -> None:
        async with asyncio.timeout(1):
            assert (await bench.call(stream=True)).text == TEXT

    on(dialect, script, test)


@pytest.mark.parametrize(
    ("status", "leaf"),
    [(400, Refused), (401, Missing), (404, Missing), (413, Refused), (429, Throttled), (500, Unavailable),
     (503, Unavailable), (529, Unavailable), (307, Missing)],
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


def test_a_provider_that_was_never_used_ends_too(dialect: Dialect):
    async def test(bench: Bench) -> None:
        await HttpProvider(dialect.codec()).close()
        assert bench.server.connections == 0

    on(dialect, replies(200, b""), test)


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

    on(dialect, replies(200, b""), test)


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

    on(dialect, replies(200, b""), test)


def test_a_name_that_does_not_resolve_in_time_times_out(dialect: Dialect, monkeypatch: pytest.MonkeyPatch):
    async def hang(*_arguments: object, **_settings: object) -> object:
        await asyncio.sleep(30)

    async def test(bench: Bench) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
        bench.route = replace(bench.route, api_base="http://slow.invalid")
        with pytest.raises(Unavailable, match=r"^connect timed out after 0\.5 s$"):
            await bench.call()

    on(dialect, replies(200, b""), test)


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_before_the_answer_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        reply.reset()

    fails(dialect, script, Unavailable, "the connection was lost|closed the connection", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_close_before_the_answer_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        reply.close()

    fails(dialect, script, Unavailable, "the server closed the connection before its answer", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_loss_within_the_answer_is_unavailable(dialect: Dialect, stream: bool, how: str):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind if stream else "application/json")
        await reply.chunk(dialect.piece if stream else dialect.reply[:20])
        await asyncio.sleep(0.02)
        reply.reset() if how == "reset" else reply.close()

    fails(dialect, script, Unavailable, "the answer was cut|the connection was lost", stream=stream)


def test_a_loss_behind_the_end_of_a_stream_costs_nothing(dialect: Dialect):
    finished = dialect.stream.removesuffix(b"data: [DONE]\n\n")

    async def test(bench: Bench) -> None:
        assert (await bench.call(stream=True)).text == TEXT

    on(dialect, streams(finished, kind=dialect.kind, end=False), test)


def test_a_cut_stream_is_unavailable_though_http_ended_well(dialect: Dialect):
    script = streams(dialect.piece, dialect.piece, kind=dialect.kind)

    fails(dialect, script, Unavailable, "^the stream was cut$", stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_first_byte_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, _reply: Reply) -> None:
        await asyncio.sleep(30)

    fails(dialect, script, Unavailable, r"^no first byte within 0\.3 s$", stream=stream)


def test_a_slow_first_byte_behind_the_headers_is_unavailable(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        await asyncio.sleep(30)

    fails(dialect, script, Unavailable, r"^no first byte within 0\.3 s$", stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_between_bytes_is_unavailable(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind if stream else "application/json")
        await reply.chunk(dialect.piece if stream else dialect.reply[:20])
        await asyncio.sleep(30)

    fails(dialect, script, Unavailable, r"^the answer stood still for 0\.2 s$", stream=stream)


def test_bytes_that_keep_coming_do_not_time_out(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await asyncio.sleep(0.25)
        await reply.head(kind=dialect.kind)
        for start in range(0, len(dialect.stream), len(dialect.stream) // 4):
            await reply.chunk(dialect.stream[start : start + len(dialect.stream) // 4])
            await asyncio.sleep(0.12)
        await reply.end()

    async def test(bench: Bench) -> None:
        assert (await bench.call(stream=True)).text == TEXT

    on(dialect, script, test)


def test_an_endless_stream_ends_with_the_total_time(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.head(kind=dialect.kind)
        while True:
            await reply.chunk(dialect.piece)
            await asyncio.sleep(0.01)

    timeouts = replace(FAST, total_s=0.4)

    async def test(bench: Bench) -> None:
        sink = Pieces()
        with pytest.raises(Unavailable, match=r"^no whole answer within 0\.4 s$"):
            await bench.call(stream=True, sink=sink)
        assert sink.text.startswith("xxx")
        await asyncio.wait_for(bench.server.closed_by_peer.wait(), 1)

    on(dialect, script, test, timeouts=timeouts)


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
    fails(dialect, replies(200, body), Malformed, "can't be read|no `|wrong type")


def test_what_is_not_http_is_unavailable(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.raw(b"220 mail.example ESMTP\r\n\r\n")
        reply.close()

    fails(dialect, script, Unavailable, "^the answer is not HTTP$")


def test_a_closed_gate_sends_nothing_and_keeps_the_connection(dialect: Dialect):
    async def test(bench: Bench) -> None:
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"^not allowed to call now$"):
                await bench.call(gate=lambda: False)
        assert bench.server.received == []

        await bench.call()
        assert bench.server.connections == 1

    on(dialect, replies(200, dialect.reply), test)


def test_the_gate_is_asked_when_the_connection_is_free_and_not_before(dialect: Dialect):
    asked: list[int] = []
    go = asyncio.Event()

    async def script(received: Received, reply: Reply) -> None:
        await go.wait()
        await reply.whole(200, dialect.reply)

    async def test(bench: Bench) -> None:
        def gate() -> bool:
            asked.append(len(bench.server.received))
            return True

        calls = [asyncio.create_task(bench.call(gate=gate)) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert asked == [0]
        go.set()
        await asyncio.gather(*calls)
        assert asked == [0, 1]

    on(dialect, script, test, max_connections=1)


def test_a_gate_that_breaks_leaves_no_connection_behind(dialect: Dialect):
    def broken() -> bool:
        raise RuntimeError("gate")

    async def test(bench: Bench) -> None:
        with pytest.raises(RuntimeError, match="gate"):
            await bench.call(gate=broken)
        await bench.call()

    on(dialect, replies(200, dialect.reply), test, max_connections=1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cancelled_call_closes_its_connection(dialect: Dialect, stream: bool):
    async def script(_received: Received, reply: Reply) -> None:
        if stream:
            await reply.head(kind=dialect.kind)
        while stream:
            await reply.chunk(dialect.piece)
            await asyncio.sleep(0.01)
        await reply.writer.wait_closed()

    async def test(bench: Bench) -> None:
        call = asyncio.create_task(bench.call(stream=stream, sink=Pieces()))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(bench.server.received) == 1
        if stream:
            await asyncio.wait_for(bench.server.closed_by_peer.wait(), 1)

    on(dialect, script, test, timeouts=replace(FAST, first_byte_s=5, total_s=5))


def test_nothing_is_read_while_the_sink_waits(dialect: Dialect):
    sent_bytes = 0

    async def script(_received: Received, reply: Reply) -> None:
        nonlocal sent_bytes
        await reply.head(kind=dialect.kind)
        while True:
            await reply.chunk(dialect.piece * 1000)
            sent_bytes += 1000 * len(dialect.piece)

    async def test(bench: Bench) -> None:
        full = asyncio.Event()

        async def sink(_piece: Piece) -> None:
            full.set()
            await asyncio.sleep(30)

        call = asyncio.create_task(bench.call(stream=True, sink=sink))
        await full.wait()
        await asyncio.sleep(0.4)
        before = sent_bytes
        await asyncio.sleep(0.4)
        assert sent_bytes == before
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    on(dialect, script, test, max_answer_bytes=1 << 30, timeouts=replace(FAST, total_s=10))


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError(), RuntimeError("sink")])
def test_what_the_sink_raises_passes_through(dialect: Dialect, error: Exception):
    async def sink(_piece: Piece) -> None:
        raise error

    async def test(bench: Bench) -> None:
        with pytest.raises(type(error)) as caught:
            await bench.call(stream=True, sink=sink)
        assert caught.value is error

    on(dialect, streams(dialect.stream, kind=dialect.kind), test)


def test_many_calls_at_once_get_each_its_own_answer(dialect: Dialect):
    async def script(received: Received, reply: Reply) -> None:
        body = received.json()
        assert isinstance(body, dict)
        text = body["messages"][0]["content"]
        message = {"role": "assistant", "content": text}
        await reply.whole(
            200,
            orjson.dumps({"choices": [{"message": message}], "message": message, "done": True}),
        )

    async def test(bench: Bench) -> None:
        asked = [f"number {place}" for place in range(50)]
        answers = await asyncio.gather(*(bench.call(prompt=prompt) for prompt in asked))
        assert [answer.text for answer in answers] == asked
        assert bench.server.connections <= 8

    on(dialect, script, test)
