"""On the wire: heads that are too large, too slow or made for smuggling are refused, and nothing slips by."""

import asyncio

import pytest

from connectors.gateway.doors.wire import GuardedProtocol
from tests.support.doors import House
from tests.support.served import answers, served, status_of

GET = b"GET /v1/echo HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /v1/echo HTTP/1.1\r\nhost: localhost\r\n"
CLOSE = b"connection: close\r\n"


class Hasty(GuardedProtocol):
    """Waits for a head no longer than a test may."""

    head_s = 0.3


def asked(*pieces: bytes, pause_s: float = 0.0, http: type[GuardedProtocol] = GuardedProtocol) -> bytes:
    """What the gateway says to these bytes."""

    async def run() -> bytes:
        async with served(House().app(), http) as at:
            return await at.say(*pieces, pause_s=pause_s, timeout_s=5)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "smuggled",
    [
        b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        b"content-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
        b"content-length: 4, 5\r\n\r\nabcde",
        b"content-length: +4\r\n\r\nabcd",
        b"content-length: -4\r\n\r\nabcd",
        b"content-length: 0x4\r\n\r\nabcd",
        b"content-length: 99999999999999999999999\r\n\r\nabcd",
        b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nZ\r\n",
        b"transfer-encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
        b" folded: a\r\n\r\n",
        b"bad name: a\r\n\r\n",
        b"a: b\0c\r\n\r\n",
        b"a: b\rc\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(smuggled: bytes):
    answer = asked(POST + smuggled)

    assert answers(answer) == [400]
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("line", [b"GE\0T / HTTP/1.1", b"GET / HTTP/9.9", b"FOO / HTTP/1.1", b"\x16\x03"])
def test_a_line_that_is_no_request_is_refused(line: bytes):
    assert answers(asked(line + b"\r\nhost: localhost\r\n\r\n")) == [400]


def test_two_hosts_are_refused():
    assert status_of(asked(GET + b"host: other\r\n" + CLOSE + b"\r\n")) == 400


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PROPFIND"])
def test_a_foreign_method_is_refused(method: bytes):
    assert status_of(asked(method + b" /v1/echo HTTP/1.1\r\nhost: localhost\r\n" + CLOSE + b"\r\n")) in (
        400,
        405,
    )


def test_a_head_without_end_is_refused_before_it_fills_the_memory():
    answer = asked(GET, *[b"a: " + b"x" * 20_000 + b"\r\n"] * 10)

    assert answers(answer) == [431]


def test_a_line_without_end_is_refused():
    assert answers(asked(b"GET /", *[b"x" * 30_000] * 10)) == [431]


def test_many_headers_are_refused():
    headers = b"".join(b"a%d: b\r\n" % n for n in range(101))

    assert status_of(asked(GET + headers + CLOSE + b"\r\n")) == 431


def test_a_head_that_trickles_in_is_given_up():
    async def run() -> bytes:
        async with served(House().app(), Hasty) as at:
            return await at.say(*[bytes([byte]) for byte in GET], pause_s=0.02)

    assert status_of(asyncio.run(run())) == 408


def test_a_connection_that_says_nothing_is_given_up():
    assert status_of(asked(http=Hasty)) == 408


def test_one_that_waits_between_two_requests_is_not_too_slow_for_a_head():
    pieces = (GET + b"\r\n", GET + CLOSE + b"\r\n")

    assert answers(asked(*pieces, pause_s=0.5, http=Hasty)) == [401, 401]


def test_a_second_head_that_trickles_in_is_given_up_too():
    assert answers(asked(GET + b"\r\n", GET[:-2], pause_s=0.1, http=Hasty)) == [401, 408]


def test_a_request_under_way_is_not_ended_by_the_clock_of_heads():
    async def run() -> bytes:
        async def slow(scope: object, receive: object, send: object) -> None:
            await asyncio.sleep(0.6)
            await House().app()(scope, receive, send)  # pyright: ignore[reportArgumentType]

        async with served(slow, Hasty) as at:  # pyright: ignore[reportArgumentType]
            return await at.say(GET + CLOSE + b"\r\n")

    assert answers(asyncio.run(run())) == [401]


def test_requests_one_after_another_on_a_connection_are_each_answered():
    body = POST + b"content-length: 2\r\n\r\n{}"

    assert answers(asked(body + body + GET + CLOSE + b"\r\n")) == [401, 401, 401]


def test_many_connections_that_open_a_head_and_wait_do_not_stop_others():
    async def run() -> list[int]:
        async with served(House().app(), Hasty) as at:
            waiting = [asyncio.create_task(at.say(GET)) for _ in range(50)]
            await asyncio.sleep(0.05)
            found = status_of(await at.say(GET + CLOSE + b"\r\n"))
            ended = [status_of(answer) for answer in await asyncio.gather(*waiting)]
            return [found, *ended]

    assert asyncio.run(run()) == [401] + [408] * 50
