"""Every provider through the whole flow: a real worker, the real broker, the providers' wire formats."""

from collections.abc import Generator

import pytest

from connectors.bench.provider_client import start_provider
from connectors.bench.provider_faults import Habits
from connectors.kafka.broker import EmbeddedBroker
from schemas.base import JsonObject
from schemas.topics import CHUNKS, USAGE
from tests.support.installation import Installation, installed
from tests.support.kafka import fresh_topics

pytestmark = pytest.mark.broker

PIECES = 4
ROUTES = {
    "openai": ("openai", "/v1", "http"),
    "anthropic": ("anthropic", "", "http"),
    "gemini": ("gemini", "", "http"),
    "ollama": ("ollama", "", "http"),
    "anthropic-sdk": ("anthropic", "", "sdk"),
    "gemini-sdk": ("gemini", "", "sdk"),
    "ollama-sdk": ("ollama", "", "sdk"),
}
"""Name: provider, path of its base, what moves the bytes."""


@pytest.fixture(scope="module")
def weir(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation]:
    provider = start_provider(Habits(latency_ms=40, pieces=PIECES))
    models: list[JsonObject] = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"{kind}/some-model",
                "api_base": provider.said + path,
                "api_key": "sk-fake",
                "client": client,
            },
        }
        for name, (kind, path, client) in ROUTES.items()
    ]
    try:
        with installed(fresh_topics(broker), tmp_path_factory.mktemp("providers"), models) as installation:
            yield installation
    finally:
        provider.close()


def chunks_of(weir: Installation, request_id: str) -> list[JsonObject]:
    """The chunks of a request by now, in order."""
    found = [got.value for got in weir.read(CHUNKS) if got.value["request_id"] == request_id]
    return sorted(found, key=lambda chunk: chunk["seq"])


@pytest.mark.parametrize("name", ROUTES)
def test_a_provider_answers_whole_and_streamed_and_is_on_the_ledger(weir: Installation, name: str):
    whole, streamed = f"{name}-whole", f"{name}-streamed"
    weir.ask({"request_id": whole, "model": name, "prompt": "Say something."})
    weir.ask({"request_id": streamed, "model": name, "prompt": "Say something.", "stream": True})

    (first,) = weir.answers(whole)
    (second,) = weir.answers(streamed)
    weir.until(lambda: [chunk for chunk in chunks_of(weir, streamed) if chunk["last"]])
    chunks = chunks_of(weir, streamed)
    ledger = weir.until(
        lambda: [
            got for got in weir.read(USAGE) if got.value and got.value.get("request_id") in (whole, streamed)
        ],
        2,
    )

    for answer in (first.value, second.value):
        assert answer.get("error") is None
        assert answer["provider"] == ROUTES[name][0]
        assert answer["usage"]["output_tokens"] > 0
        assert answer["usage"]["counted_by"] == "provider"
    assert [chunk["seq"] for chunk in chunks] == list(range(len(chunks)))
    assert [chunk["last"] for chunk in chunks][-1:] == [True]
    assert second.value["response"] == first.value["response"] != ""
    assert "".join(chunk["delta"] for chunk in chunks) == second.value["response"]
    assert {got.value["attempt"]["outcome"] for got in ledger} == {"ok"}
