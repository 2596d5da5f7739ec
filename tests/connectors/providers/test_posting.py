"""Posts on a pool of ours: the same bytes as aiohttp's session, and its errors."""

import asyncio
import contextlib

import aiohttp
import pytest

from connectors.providers.http import HttpTransport
from connectors.providers.pool import GATE, Way, open_connector, open_session
from connectors.providers.posting import MAX_PREPARED, SMALL_BYTES, Poster, can_post
from schemas.calls import HttpRequest, Missing, Timeouts, Unavailable
from tests.support.calls import FAST, always, make_route
from tests.support.loopback import Loopback, Received, Reply

HEADERS = {"content-type": "application/json", "authorization": "Bearer secret"}


async def echo(received: Received, reply: Reply) -> None:
    await reply.whole(200, received.body)


async def ask(transport: HttpTransport, request: HttpRequest, timeouts: Timeouts = FAST) -> tuple[int, bytes]:
    body = await transport.send(make_route(timeouts=timeouts), request, always, 1 << 20)
    try:
        parts: list[bytes] = []
        while part := await body.next():
            parts.append(part)
        return body.status, b"".join(parts)
    finally:
        await body.close()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/chat?key=a%2Fb&x=ü#part", HEADERS),
        ("", {}),
        ("/v1", HEADERS | {"User-Agent": "mine", "accept": "text/event-stream", "X-Odd": "grün"}),
    ],
)
def test_the_bytes_on_the_wire_are_those_of_a_session(path: str, headers: dict[str, str]):
    heads: list[bytes] = []

    async def main() -> None:
        GATE.set(always)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(2):
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append(head + await reader.readexactly(5))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
        transport = HttpTransport(Way())
        await ask(transport, HttpRequest("POST", url, headers, b"hello"))
        session = transport._session  # pyright: ignore[reportPrivateUsage]  the oracle
        assert session is not None
        async with session.post(url, data=b"hello", headers=headers):
            pass
        await transport.close()
        server.close()

    asyncio.run(main())
    ours, theirs = (sorted(head.split(b"\r\n")) for head in heads)
    assert ours == theirs
    assert heads[0].split(b"\r\n")[0] == heads[1].split(b"\r\n")[0]


def test_small_posts_share_a_connection_with_all_other_requests():
    async def main() -> None:
        async with Loopback(echo) as server:
            transport = HttpTransport(Way())
            for body in (b"", b"small", b"l" * (SMALL_BYTES + 1), b"s" * SMALL_BYTES):
                assert await ask(transport, HttpRequest("POST", server.url, HEADERS, body)) == (200, body)
            assert (await ask(transport, HttpRequest("GET", server.url, HEADERS, b"")))[0] == 200
            assert server.connections == 1
            assert [one.method for one in server.received] == ["POST"] * 4 + ["GET"]
            assert transport.connections().idle == 1
            await transport.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "url", "size", "ours"),
    [
        ("POST", "http://host/x", 10, True),
        ("GET", "http://host/x", 0, False),
        ("POST", "http://user:word@host/x", 10, False),
        ("POST", "http://host/x", SMALL_BYTES + 1, False),
    ],
)
def test_what_is_special_is_left_to_the_session(method: str, url: str, size: int, ours: bool):
    assert can_post(HttpRequest(method, url, {}, b"." * size)) is ours


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1", {"authorization": "Bearer a\r\nx-forged: 1"}),
        ("ftp://127.0.0.1:1", {}),
        ("not an address", {}),
        ("http://", {}),
        ("http://127.0.0.1:port/", {}),
    ],
)
def test_what_cannot_be_sent_is_missing(url: str, headers: dict[str, str]):
    async def main() -> None:
        transport = HttpTransport(Way())
        try:
            with pytest.raises(Missing):
                await ask(transport, HttpRequest("POST", url, headers, b"{}"))
        finally:
            await transport.close()

    asyncio.run(main())


def test_a_connection_that_was_closed_meanwhile_is_unavailable_and_the_next_call_gets_another():
    async def main() -> None:
        async def once(received: Received, reply: Reply) -> None:
            await echo(received, reply)
            reply.close()

        async with Loopback(once) as server:
            transport = HttpTransport(Way())
            request = HttpRequest("POST", server.url, HEADERS, b"{}")
            assert (await ask(transport, request))[0] == 200
            with contextlib.suppress(Unavailable):  # the close may not have been seen yet
                await ask(transport, request)
            await asyncio.sleep(0.05)
            assert (await ask(transport, request))[0] == 200
            await transport.close()

    asyncio.run(main())


def test_an_answer_without_a_length_is_read_to_its_end():
    async def main() -> None:
        async def endless(received: Received, reply: Reply) -> None:
            await reply.raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + received.body)
            await reply.raw(received.body)
            reply.close()

        async with Loopback(endless) as server:
            transport = HttpTransport(Way())
            request = HttpRequest("POST", server.url, HEADERS, b"{}" * 1000)
            assert await ask(transport, request) == (200, b"{}" * 2000)
            assert transport.connections().open == 0
            await transport.close()

    asyncio.run(main())


def test_a_cancelled_post_closes_its_connection():
    async def main() -> None:
        async def silent(_received: Received, _reply: Reply) -> None:
            await asyncio.sleep(10)

        async with Loopback(silent) as server:
            transport = HttpTransport(Way())
            request = HttpRequest("POST", server.url, HEADERS, b"{}")
            task = asyncio.create_task(ask(transport, request, Timeouts()))
            while not server.received:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert transport.connections().open == 0
            await transport.close()

    asyncio.run(main())


def test_addresses_that_are_remembered_are_bounded():
    async def main() -> None:
        async with Loopback(echo) as server:
            connector = open_connector(Way(), 1.0)
            poster = Poster(connector)
            GATE.set(always)
            async with open_session(connector):
                for number in range(MAX_PREPARED + 5):
                    request = HttpRequest("POST", f"{server.url}/{number}", HEADERS, b"{}")
                    async with await poster.post(request, FAST) as response:
                        assert isinstance(response, aiohttp.ClientResponse)
                        assert await response.read() == b"{}"
            assert len(poster._prepared) == 5  # pyright: ignore[reportPrivateUsage]
            assert [one.path for one in server.received][-1] == f"/{MAX_PREPARED + 4}"

    asyncio.run(main())
