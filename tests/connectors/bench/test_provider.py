"""The fake provider as a process, asked by the official SDK."""

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from queue import SimpleQueue

import openai
import pytest

from connectors.bench.child import Child
from connectors.bench.errors import HelperError
from connectors.bench.provider import serve
from connectors.bench.provider_client import ProviderClient, start_provider
from connectors.bench.provider_faults import KINDS, Habits, fault_of, wish


@contextmanager
def served(habits: Habits) -> Generator[str]:
    """A provider on a loop in a thread of ours; its base URL."""
    said: SimpleQueue[str] = SimpleQueue()
    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve(0, habits, said.put, ended.wait)))
    thread.start()
    try:
        yield said.get(timeout=10)
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with served(Habits(latency_ms=20, answer_bytes=64)) as base:
        yield base


@pytest.fixture
def provider(url: str) -> ProviderClient:
    client = ProviderClient(url)
    client.reset()
    return client


@pytest.fixture
def sdk(provider: ProviderClient) -> Generator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.api_base, api_key="bench", max_retries=0) as client:
        yield client


def ask(sdk: openai.OpenAI, request_id: str, prompt: str = "hi", timeout_s: float = 10) -> str:
    answer = sdk.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": prompt}],
        extra_headers={"x-request-id": request_id},
        timeout=timeout_s,
    )
    return answer.choices[0].message.content or ""


def test_json_answer_reads_as_the_sdk_reads_it(sdk: openai.OpenAI, provider: ProviderClient):
    before_ms = time.time() * 1000

    assert len(ask(sdk, "one")) == 64
    (call,) = provider.calls()
    assert (call.request_id, call.end) == ("one", "finished")
    assert call.end_ms is not None
    assert before_ms <= call.start_ms <= call.end_ms - 19


def test_stream_has_all_pieces_usage_and_an_end(sdk: openai.OpenAI, provider: ProviderClient):
    stream = sdk.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"x-request-id": "streamed"},
    )
    chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert len(text) == 64
    assert chunks[-1].usage is not None
    assert [call.end for call in provider.calls()] == ["finished"]


def test_prompt_chooses_latency_and_size(sdk: openai.OpenAI, provider: ProviderClient):
    assert len(ask(sdk, "big", "latency=200 answer_bytes=3000000")) == 3_000_000
    (call,) = provider.calls()
    assert call.end_ms is not None
    assert call.end_ms - call.start_ms >= 199


def test_caller_that_goes_away_closes_its_call(sdk: openai.OpenAI, provider: ProviderClient):
    with pytest.raises(openai.APITimeoutError):
        ask(sdk, "gone", "latency=60000", timeout_s=0.2)
    time.sleep(0.2)

    assert [call.end for call in provider.calls()] == ["closed"]


def test_stats_count_calls_and_those_of_one_request(sdk: openai.OpenAI, provider: ProviderClient):
    for request_id in ("x", "y", "x"):
        ask(sdk, request_id)

    assert provider.stats() == {
        "calls": 3, "requests": 2, "open": 0, "max_open": 1, "most_calls_per_request": 2,
    }  # fmt: skip


def test_request_id_is_read_as_the_codec_encodes_it(sdk: openai.OpenAI, provider: ProviderClient):
    ask(sdk, "%25%E6%B0%B4")

    assert provider.calls()[0].request_id == "%水"


def test_broken_body_and_unknown_path_are_errors(sdk: openai.OpenAI, provider: ProviderClient):
    with pytest.raises(openai.NotFoundError):
        sdk.models.list()
    with pytest.raises(openai.BadRequestError):
        sdk.post("/chat/completions", cast_to=object, content=b"{")

    assert [call.end for call in provider.calls()] == ["fault"]


def test_seeded_faults_fail_first_and_then_answer():
    habits = Habits(latency_ms=1, fault_ratio=1.0, seed=3)
    with served(habits) as url:
        provider = ProviderClient(url)
        with openai.OpenAI(base_url=provider.api_base, api_key="bench", max_retries=0) as sdk:
            for number in range(30):
                _until_answered(sdk, f"f{number}")
        calls = provider.calls()

    expected = [
        "fault" if fault_of(call.request_id, place, habits) else "finished"
        for number in range(30)
        for place, call in enumerate((c for c in calls if c.request_id == f"f{number}"), start=1)
    ]
    assert [call.end for call in calls] == expected
    assert sum(call.end == "finished" for call in calls) == 30


def _until_answered(sdk: openai.OpenAI, request_id: str) -> None:
    for _ in range(4):
        try:
            ask(sdk, request_id)
        except (openai.APIConnectionError, openai.APIStatusError, json.JSONDecodeError):
            continue
        return
    raise AssertionError("more than three faults")


def test_faults_are_the_same_for_a_seed_and_at_most_three():
    habits = Habits(fault_ratio=0.12, seed=7)
    plans = [tuple(fault_of(f"r{n}", attempt, habits) for attempt in range(1, 5)) for n in range(2000)]

    assert plans == [
        tuple(fault_of(f"r{n}", attempt, habits) for attempt in range(1, 5)) for n in range(2000)
    ]
    assert all(plan[3] is None for plan in plans)
    assert 180 < sum(plan[0] is not None for plan in plans) < 300
    assert {fault for plan in plans for fault in plan if fault} == set(KINDS)
    assert fault_of("r1", 1, Habits()) is None


def test_wishes_without_directives_are_the_habits():
    assert wish(b"{}", Habits(latency_ms=30, answer_bytes=5)) == wish(
        b'{"a":"latency=x answer_bytes="}', Habits(latency_ms=30, answer_bytes=5)
    )


def test_provider_is_a_process_of_its_own():
    with start_provider(Habits(latency_ms=1)) as child:
        provider = ProviderClient(child.said)
        with openai.OpenAI(base_url=provider.api_base, api_key="bench", max_retries=0) as sdk:
            ask(sdk, "alone")
        assert [call.request_id for call in provider.calls()] == ["alone"]
        assert child.pid != os.getpid()

    assert provider.stats() is None


def raw(url: str, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), 5) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_call_without_a_length_is_refused(url: str):
    assert raw(url, b"POST /v1/chat/completions HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 411")


def test_endless_head_is_cut_off(url: str):
    with pytest.raises(ConnectionResetError):
        raw(url, b"x" * 70_000)


def test_foreign_provider_keeps_no_log():
    client = ProviderClient("http://127.0.0.1:9/v1")

    assert client.calls() == ()
    assert client.stats() is None
    assert client.api_base == "http://127.0.0.1:9/v1"


def test_helper_that_does_not_come_up_is_named():
    with pytest.raises(HelperError, match=r"connectors\.bench\.provider"):
        Child("connectors.bench.provider", "--no-such-option")
