"""The table of providers."""

import asyncio

import pytest

from connectors.providers.extractive import Extractive
from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_quirks import QUIRKS, Quirks
from connectors.providers.registry import Registry
from connectors.providers.shell import HttpProvider
from connectors.providers.wire import Provider
from flows import ports
from schemas.calls import Answer, Missing, Route
from tests.support.calls import always, make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Loopback, Received, Reply


def test_the_known_names_have_their_providers():
    registry = Registry()

    assert registry.names() == sorted({"anthropic", "extractive", "gemini", "ollama", "ollama_chat", *QUIRKS})
    for name in registry.names():
        kind = Extractive if name == "extractive" else HttpProvider
        assert isinstance(registry.of(make_route(name)), kind)


def test_the_registry_satisfies_the_seam_of_the_flow():
    found: ports.Providers = Registry()

    assert found.of(make_route("ollama")).encode(make_call()) is not None


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="nobody"):
        Registry().of(make_route("nobody"))


def test_routes_of_one_server_share_a_provider_and_others_do_not():
    registry = Registry()
    first = registry.of(make_route("vllm", api_base="http://a"))

    assert registry.of(make_route("vllm", api_base="http://a", model="other")) is first
    assert registry.of(make_route("vllm", api_base="http://b")) is not first
    assert registry.of(make_route("vllm", api_base="http://a", max_connections=1)) is not first


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("vllm", "http://127.0.0.1:8000/v1/chat/completions"),
        ("lmstudio", "http://127.0.0.1:1234/v1/chat/completions"),
        ("ollama", "http://127.0.0.1:11434/api/chat"),
        ("anthropic", "https://api.anthropic.com/v1/messages"),
    ],
)
def test_each_provider_has_its_own_default_address(name: str, url: str):
    call = make_call(route=make_route(name))
    request = Registry().of(call.route).encode(call)

    assert request is not None
    assert request.url == url


def test_a_server_of_ones_own_needs_an_address():
    call = make_call(route=make_route("openai_like"))

    with pytest.raises(Missing, match="api_base"):
        Registry().of(call.route).encode(call)


def test_a_made_up_provider_is_one_registration():
    class MadeUp(Extractive):
        pass

    def factory(_route: Route) -> Provider:
        return MadeUp()

    registry = Registry()
    registry.register("made_up", factory)

    assert isinstance(registry.of(make_route("made_up")), MadeUp)


def test_a_made_up_codec_goes_over_http_and_its_connections_end_with_the_registry():
    async def script(_received: Received, reply: Reply) -> None:
        await reply.whole(200, wire("openai_text.reply.json"))

    async def main() -> Answer:
        async with Loopback(script) as server:
            registry = Registry(max_answer_bytes=10_000)
            registry.register_codec("made_up", OpenAICodec(Quirks("made_up", server.url)))
            call = make_call(route=make_route("made_up"))
            answer = await registry.of(call.route).complete(call, None, None, always)
            await registry.close()
            await asyncio.wait_for(server.closed_by_peer.wait(), 1)
            return answer

    assert asyncio.run(main()).text == "Grüße, reader."
