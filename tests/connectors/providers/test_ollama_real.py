"""Our codec and shell against a real Ollama that runs a tiny model."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import aiohttp
import orjson
import pytest

from connectors.providers import ollama_admin as admin
from connectors.providers.ollama_server import OllamaServer
from connectors.providers.registry import Registry
from schemas.calls import Answer, HttpRequest, Missing, Unavailable
from tests.support import tiny_model
from tests.support.calls import Pieces, always, make_call, make_route
from tests.support.oracle import SCHEMA, TOOL
from tests.support.real_ollama import MODEL, RealOllama, needs_ollama, running_ollama

pytestmark = needs_ollama


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RealOllama]:
    with running_ollama(tmp_path_factory.mktemp("ollama")) as found:
        yield found


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RealOllama]:
    """For a test that stops it."""
    with running_ollama(tmp_path_factory.mktemp("ollama")) as found:
        yield found


async def _ask(server: RealOllama, request: dict[str, Any], sink: Pieces | None, **settings: Any) -> Answer:
    route_settings = {name: settings.pop(name) for name in ("model", "max_input_tokens") if name in settings}
    route = make_route("ollama", **{"model": MODEL, "api_base": server.url, **route_settings})
    call = make_call(request, route=route, stream=sink is not None, **settings)
    registry = Registry()
    provider = registry.of(route)
    try:
        return await provider.complete(call, provider.encode(call), sink, always)
    finally:
        await registry.close()


def ask(
    server: RealOllama, request: dict[str, Any], *, sink: Pieces | None = None, **settings: Any
) -> Answer:
    return asyncio.run(_ask(server, request, sink, **settings))


def test_a_chat_is_answered_and_counted(server: RealOllama):
    answer = ask(server, {"prompt": "Hi!"})

    assert (answer.text, answer.finish_reason, answer.finish_reason_raw) == (tiny_model.HELLO, "stop", "stop")
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.input_tokens == len("Hi!") + 2
    assert answer.usage.output_tokens == 4


def test_a_stream_comes_in_pieces(server: RealOllama):
    sink = Pieces()
    answer = ask(server, {"prompt": "count", "max_tokens": 800}, sink=sink)

    assert len(sink.got) >= 2
    assert sink.text == answer.text
    assert len(answer.text.split()) == 800


def test_a_limit_and_a_stop_end_an_answer(server: RealOllama):
    limited = ask(server, {"prompt": "count", "max_tokens": 3})
    stopped = ask(server, {"prompt": "count", "stop": " four"})

    assert (limited.text, limited.finish_reason) == (" one two three", "length")
    assert (stopped.text, stopped.finish_reason) == (" one two three", "stop")


@pytest.mark.parametrize(
    "shape", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": SCHEMA}}]
)
def test_a_shape_is_kept(server: RealOllama, shape: dict[str, Any]):
    answer = ask(server, {"prompt": "Say hello.", "response_format": shape})

    assert orjson.loads(answer.text) == {"city": "Bonn"}


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_asked_for_in_parallel_and_their_results_are_taken(server: RealOllama, stream: bool):
    sink = Pieces() if stream else None
    question = {"role": "user", "content": "Say hello."}
    asked = ask(server, {"messages": [question], "tools": [TOOL]}, sink=sink)
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "12"} for call in asked.tool_calls]
    turn = {"role": "assistant", "content": None, "tool_calls": list(asked.tool_calls)}
    answered = ask(server, {"messages": [question, turn, *results]})

    assert asked.finish_reason == "tool_calls"
    assert [call["function"] for call in asked.tool_calls] == [
        {"name": "get_weather", "arguments": '{"city":"Bonn"}'},
        {"name": "get_time", "arguments": '{"city":"Köln"}'},
    ]
    assert len({call["id"] for call in asked.tool_calls}) == 2
    if sink is not None:
        assert [delta["index"] for piece in sink.got for delta in piece.tool_calls] == [0, 1]
    assert answered.text == tiny_model.HELLO


def test_a_missing_model_says_what_to_pull(server: RealOllama):
    with pytest.raises(Missing, match="pull it with `weir models pull nobody`"):
        ask(server, {"prompt": "hi"}, model="nobody")


def test_a_cancelled_call_stops_the_servers_work(server: RealOllama):
    async def main() -> None:
        sink = Pieces()
        call = asyncio.create_task(_ask(server, {"prompt": "count", "num_ctx": 8192}, sink))
        while not sink.got:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    end_s = time.monotonic() + 10
    used_s, idle = server.work_s(), False
    while not idle and time.monotonic() < end_s:
        time.sleep(0.3)
        before_s, used_s = used_s, server.work_s()
        idle = used_s - before_s < 0.1

    assert idle
    assert ask(server, {"prompt": "Say hello."}).text == tiny_model.HELLO


def test_a_server_that_stops_in_mid_stream_is_an_error(own_server: RealOllama):
    async def main() -> None:
        sink = Pieces()
        call = asyncio.create_task(_ask(own_server, {"prompt": "count", "num_ctx": 8192}, sink))
        while not sink.got:
            await asyncio.sleep(0.01)
        own_server.stop()
        with pytest.raises(Unavailable):
            await call

    asyncio.run(main())


def test_a_server_that_is_away_is_unavailable(own_server: RealOllama):
    own_server.stop()

    with pytest.raises(Unavailable, match="connection failed"):
        ask(own_server, {"prompt": "hi"})


def windows(server: RealOllama) -> list[int]:
    """The windows that the model was loaded with, in order."""
    return [int(found) for found in re.findall(r"--ctx-size (\d+)", server.log())]


def test_a_window_follows_the_count_in_steps_and_nothing_is_cut(own_server: RealOllama):
    small, large = "x" * 800, "x" * 2000
    asked = [
        ask(own_server, {"prompt": text, "max_tokens": 10}, input_tokens=len(text) + 2)
        for text in (small, small + "y", large, large + "y")
    ]

    assert [answer.usage.input_tokens for answer in asked if answer.usage] == [802, 803, 2002, 2003]
    assert windows(own_server) == [2048, 4096]


def test_a_model_that_is_too_small_is_an_error_and_loses_nothing(server: RealOllama):
    with pytest.raises(Missing, match=r"needs 9010 tokens \(9000 in, 10 out\), and `tiny` holds 8192"):
        ask(
            server,
            {"prompt": "x" * 8998, "max_tokens": 10},
            input_tokens=9000,
            max_input_tokens=tiny_model.LENGTH_TOKENS,
        )


def on(server: RealOllama, work: Callable[[OllamaServer], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with OllamaServer(server.url) as found:
            return await work(found)

    return asyncio.run(main())


def test_the_server_tells_what_it_has_and_what_is_loaded(server: RealOllama):
    async def look(found: OllamaServer) -> Any:
        await found.load(MODEL, window_tokens=2048, keep_alive="5m")
        return await found.tags(), await found.loaded(), await found.show(MODEL)

    (there,), (loaded,), card = on(server, look)

    assert there.name == loaded.name == "tiny:latest"
    assert there.size_bytes > 1_000_000
    assert loaded.expires is not None
    assert card.length_tokens == tiny_model.LENGTH_TOKENS
    assert card.capabilities == ("completion", "tools")
    assert card.chats


def test_texts_have_vectors_and_one_that_is_too_long_is_not_cut(server: RealOllama):
    async def embed(found: OllamaServer) -> Any:
        return await found.embed(MODEL, ["one", "another"])

    made = on(server, embed)

    assert len(made.vectors) == 2
    assert {len(vector) for vector in made.vectors} == {320}
    assert made.input_tokens > 0
    with pytest.raises(Missing, match="exceeds"):
        on(server, lambda found: found.embed(MODEL, ["x" * 9000]))


async def _moved(request: HttpRequest) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            request.method, request.url, headers=request.headers, data=request.body or None
        ) as reply,
    ):
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return reply.status, headers, await reply.read()


def test_the_other_calls_are_understood_by_the_server(server: RealOllama):
    def moved(request: HttpRequest) -> tuple[int, dict[str, str], bytes]:
        return asyncio.run(_moved(request))

    url = server.url
    assert admin.decode_load(*moved(admin.encode_load(url, MODEL, window_tokens=2048))) is None
    assert [model.name for model in admin.decode_tags(*moved(admin.encode_tags(url)))] == ["tiny:latest"]
    assert [model.name for model in admin.decode_ps(*moved(admin.encode_ps(url)))] == ["tiny:latest"]
    assert admin.decode_show(*moved(admin.encode_show(url, MODEL))).length_tokens == 8192
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", admin.decode_version(*moved(admin.encode_version(url))))
    assert len(admin.decode_embed(*moved(admin.encode_embed(url, MODEL, ["hi"]))).vectors) == 1
    with pytest.raises(Missing, match="weir models pull nobody"):
        admin.decode_load(*moved(admin.encode_load(url, "nobody", window_tokens=2048)))
