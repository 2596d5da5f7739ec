"""A local model through the whole flow: a real Ollama, a real worker, the real broker."""

import time
from collections.abc import Generator
from typing import NamedTuple
from uuid import uuid4

import orjson
import pytest

from connectors.kafka.broker import EmbeddedBroker
from schemas.base import JsonObject
from schemas.control import Cancel
from schemas.topics import CHUNKS, CONTROL
from tests.support import tiny_model
from tests.support.installation import Got, Installation, installed
from tests.support.kafka import fresh_topics
from tests.support.oracle import SCHEMA, TOOL
from tests.support.real_ollama import MODEL, RealOllama, needs_ollama, running_ollama

pytestmark = [pytest.mark.broker, needs_ollama]


class Local(NamedTuple):
    """An installation with models `local` (the tiny one) and `nobody` (which isn't there), and its Ollama."""

    weir: Installation
    ollama: RealOllama

    def ask(self, **fields: object) -> str:
        """Put a request; its id."""
        name = uuid4().hex
        self.weir.ask({"request_id": name, "model": "local", **fields})
        return name

    def answer(self, name: str) -> JsonObject:
        """The one response to a request."""
        (found,) = self.weir.answers(name)
        return found.value

    def chunks(self, name: str, count: int = 1) -> list[Got]:
        """Its chunks, once there are `count` of them."""
        return self.weir.until(
            lambda: [got for got in self.weir.read(CHUNKS) if got.value["request_id"] == name], count
        )


@pytest.fixture(scope="module")
def local(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Generator[Local]:
    home = tmp_path_factory.mktemp("ollama")
    with running_ollama(home) as ollama:
        models: list[JsonObject] = [
            {"model_name": name, "litellm_params": {"model": f"ollama/{model}", "api_base": ollama.url}}
            for name, model in (("local", MODEL), ("nobody", "nobody"))
        ]
        with installed(fresh_topics(broker), home, models) as weir:
            yield Local(weir, ollama)


def test_a_local_model_answers_streams_and_is_counted(local: Local):
    name = local.ask(prompt="Say hello.", stream=True)

    answer = local.answer(name)
    chunks = [got.value for got in local.chunks(name)]

    assert answer["response"] == tiny_model.HELLO
    assert "".join(chunk["delta"] for chunk in chunks) == tiny_model.HELLO
    assert (answer["provider"], answer["model"], answer["finish_reason_raw"]) == ("ollama", MODEL, "stop")
    assert answer["usage"]["output_tokens"] == 4
    assert answer["usage"]["counted_by"] == "provider"


def test_a_local_model_keeps_a_shape_and_calls_tools(local: Local):
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    shaped = local.answer(local.ask(prompt="Say hello.", response_format=shape))
    called = local.answer(local.ask(prompt="Say hello.", tools=[TOOL]))

    assert orjson.loads(shaped["response"]) == {"city": "Bonn"}
    assert called["finish_reason"] == "tool_calls"
    assert [call["function"]["name"] for call in called["tool_calls"]] == ["get_weather", "get_time"]


def test_a_model_that_is_not_there_says_what_to_pull(local: Local):
    answer = local.answer(local.ask(model="nobody", prompt="hi", fallbacks=[]))

    assert answer["error"]["code"] == "model_unavailable"
    assert "`weir models pull nobody`" in answer["error"]["message"]
    assert [attempt["outcome"] for attempt in answer["attempts"]] == ["missing"]


def test_a_request_over_the_models_length_is_an_error_with_the_numbers(local: Local):
    answer = local.answer(local.ask(prompt="much " * 6000, max_tokens=3000, overflow="reject"))

    assert answer["error"]["code"] == "token_limit_exceeded"
    assert f"is {tiny_model.LENGTH_TOKENS}; shorten the input" in answer["error"]["message"]
    assert "3000 wanted" in answer["error"]["message"]


def test_a_cancel_reaches_the_server_and_stops_its_work(local: Local):
    name = local.ask(prompt="count", num_ctx=8192, stream=True)
    assert local.chunks(name)
    local.weir.ask(Cancel(request_id=name, tenant="default").to_bytes(), topic=CONTROL)

    answer = local.answer(name)

    assert answer["error"]["code"] == "cancelled"
    end_s, used_s, idle = time.monotonic() + 10, local.ollama.work_s(), False
    while not idle and time.monotonic() < end_s:
        time.sleep(0.3)
        before_s, used_s = used_s, local.ollama.work_s()
        idle = used_s - before_s < 0.1
    assert idle


def test_a_server_that_stops_in_mid_stream_is_no_success_and_the_next_model_answers(local: Local):
    name = local.ask(prompt="count", num_ctx=8192, stream=True, fallbacks=["bench"])
    assert local.chunks(name)
    local.ollama.stop()

    answer = local.answer(name)
    last = local.chunks(name)[-1].value

    outcomes = [attempt["outcome"] for attempt in answer["attempts"]]
    assert outcomes[-1] == "ok"
    assert set(outcomes[:-1]) == {"unavailable"}
    assert answer["provider"] == "openai"
    assert " one two" not in answer["response"]
    assert (last["attempt"], last["last"]) == (len(outcomes), True)
