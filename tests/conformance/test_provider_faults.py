"""What every provider must do when a connection is half open, an idle one is dead, or an answer is huge."""

import asyncio
import socket
import sys
from dataclasses import replace

import pytest

from schemas.calls import Malformed, Unavailable
from tests.support.calls import FAST
from tests.support.dialects import (
    DIALECTS,
    PLAIN,
    TEXT,
    Bench,
    Dialect,
    fails,
    for_each_dialect,
    on,
    replies,
)
from tests.support.loopback import Loopback, Received, Reply

MB = 1 << 20
HUGE_BYTES = 50 * MB
BASE_MB = 24
"""What a first call takes whatever its answer: modules, buffers, TLS."""


@for_each_dialect
@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_takes_connections_and_never_answers_is_unavailable(dialect: Dialect, stream: bool):
    async def test(bench: Bench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody reads
            bench.route = replace(bench.route, api_base=f"http://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(Unavailable, match=r"^no first byte within 0\.3 s$"):
                await bench.call(stream=stream)

    on(dialect, replies(200, b""), test, timeouts=FAST)


@for_each_dialect
def test_an_idle_connection_that_died_is_not_used_again(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(200, dialect.reply)
        reply.close()

    async def test(bench: Bench) -> None:
        for _ in range(3):
            assert (await bench.call()).text == TEXT
            await asyncio.sleep(0.02)
        assert bench.server.connections == 3

    on(dialect, script, test)


@for_each_dialect
def test_a_request_that_was_lost_on_a_used_connection_is_not_sent_again(dialect: Dialect):
    async def test(bench: Bench) -> None:
        async def script(_received: Received, reply: Reply) -> None:
            if len(bench.server.received) == 1:
                await reply.whole(200, dialect.reply)
            else:
                reply.close()  # it may have begun to answer: whoever sends again pays twice

        bench.server.script = script
        await bench.call()
        with pytest.raises(Unavailable, match=r"^the server closed the connection before its answer$"):
            await bench.call()
        assert len(bench.server.received) == 2

    on(dialect, replies(200, b""), test)


@for_each_dialect
@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", ""])
def test_a_whole_answer_is_read_whatever_its_type_is_called(dialect: Dialect, kind: str):
    async def test(bench: Bench) -> None:
        assert (await bench.call()).text == TEXT

    on(dialect, replies(200, dialect.reply, kind=kind), test)


@for_each_dialect
def test_an_empty_answer_is_malformed(dialect: Dialect):
    fails(dialect, replies(200, b""), Malformed, "not JSON|no ")


@for_each_dialect
def test_a_status_without_an_answer_is_no_answer(dialect: Dialect):
    async def script(_received: Received, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 204 No Content\r\n\r\n")

    fails(dialect, script, Malformed, "not JSON|no ")


def grown(dialect: Dialect, body: bytes, limit_bytes: int, *, stream: bool) -> tuple[str, float]:
    """How a call in a process of its own ended, and the MB that it grew by."""

    async def script(_received: Received, reply: Reply) -> None:
        await reply.raw(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: %b\r\n\r\n"
            % (dialect.kind if stream else "application/json").encode()
        )
        for at in range(0, len(body), MB):
            await reply.raw(body[at : at + MB])
        reply.close()

    async def main() -> tuple[str, float]:
        async with Loopback(script) as server:
            arguments = (server.url, dialect.shown, str(limit_bytes), str(stream))
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.big_answer", *arguments, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await child.communicate()
            how, kb = said.decode().split()
            return how, int(kb) / 1024

    return asyncio.run(main())


def huge(dialect: Dialect) -> bytes:
    return dialect.reply.replace("Grüße".encode(), b"x" * HUGE_BYTES)


def check_refused(dialect: Dialect) -> None:
    how, grown_mb = grown(dialect, huge(dialect), MB, stream=False)

    assert how == "Malformed"
    assert grown_mb < BASE_MB


def check_read(dialect: Dialect) -> None:
    how, grown_mb = grown(dialect, huge(dialect), 64 * MB, stream=False)

    assert int(how) > HUGE_BYTES
    assert grown_mb < 5 * HUGE_BYTES / MB + BASE_MB


@pytest.mark.parametrize("dialect", PLAIN, ids=lambda dialect: dialect.shown)
def test_a_huge_answer_over_the_bound_takes_no_memory(dialect: Dialect):
    check_refused(dialect)


def test_a_huge_answer_under_the_bound_is_read_in_a_few_times_its_size():
    check_read(PLAIN[0])


@pytest.mark.full
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.shown)
def test_a_huge_answer_is_refused_or_read_in_bounded_memory(dialect: Dialect):
    check_refused(dialect)
    check_read(dialect)


def test_a_huge_stream_over_the_bound_takes_no_memory():
    body = PLAIN[0].piece * (HUGE_BYTES // len(PLAIN[0].piece))

    how, grown_mb = grown(PLAIN[0], body, MB, stream=True)

    assert how == "Malformed"
    assert grown_mb < BASE_MB
