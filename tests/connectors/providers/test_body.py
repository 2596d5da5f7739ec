"""The bytes of a stream: what comes soon after each other is read as one, and nothing waits without need."""

import asyncio
import time

from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import StreamReader

from connectors.providers.body import GATHER_S
from connectors.providers.openai import OpenAICodec
from connectors.providers.pool import way_of
from connectors.providers.shell import HttpProvider
from schemas.calls import Piece
from tests.support.calls import always, make_call, make_route
from tests.support.dialects import OPENAI
from tests.support.loopback import Loopback, Received, Reply

END = b"data: [DONE]\n\n"
STOP = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'


def pieces_of(times: int, step_s: float, calls: int = 1) -> tuple[list[tuple[float, str]], list[int]]:
    """When each piece came that the sink got, in seconds after the first was sent; the ports that called."""
    took: list[tuple[float, str]] = []
    ports: list[int] = []
    sent_s = 0.0

    async def script(received: Received, reply: Reply) -> None:
        nonlocal sent_s
        ports.append(reply.writer.get_extra_info("peername")[1])
        await reply.head(kind=OPENAI.kind)
        sent_s = time.monotonic()
        for _ in range(times):
            await reply.chunk(OPENAI.piece)
            await asyncio.sleep(step_s)
        await reply.chunk(STOP + END)
        await reply.end()

    async def sink(piece: Piece) -> None:
        took.append((time.monotonic() - sent_s, piece.text))

    async def main() -> None:
        async with Loopback(script) as server:
            route = make_route(api_base=server.url)
            provider = HttpProvider(OpenAICodec(), way=way_of(route))
            for _ in range(calls):
                answer = await provider.complete(make_call(route=route, stream=True), None, sink, always)
                assert answer.text == "x" * times
            await provider.close()

    asyncio.run(main())
    return took, ports


def test_the_first_piece_is_handed_on_at_once_and_what_follows_soon_comes_as_one():
    took, _ = pieces_of(40, 0.002)

    assert took[0][0] < GATHER_S
    assert took[0][1] == "x"
    assert 2 <= len(took) <= 20
    assert "".join(text for _, text in took) == "x" * 40


def test_a_piece_that_comes_late_does_not_wait():
    took, _ = pieces_of(4, GATHER_S * 3)

    assert [text for _, text in took] == ["x"] * 4
    assert all(at_s < GATHER_S * 3 * place + GATHER_S for place, (at_s, _) in enumerate(took))


def test_a_connection_that_was_held_is_used_again():
    _, ports = pieces_of(10, 0.003, calls=4)

    assert len(set(ports)) == 1


def test_what_is_taken_of_aiohttps_reader_and_protocol_is_there():
    async def main() -> None:
        protocol = ResponseHandler(asyncio.get_running_loop())

        assert protocol._reading_paused is False
        assert StreamReader(protocol, 1)._low_water == 1

    asyncio.run(main())
