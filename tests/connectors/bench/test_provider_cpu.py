"""`weir bench provider`: figures of our shell beside the SDKs', and the fake provider's formats."""

import asyncio
import builtins
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from connectors.bench import cli, provider_cpu
from connectors.bench.errors import HelperError
from connectors.bench.provider_cpu import Load, Ours, cpu_s, measure, over
from connectors.bench.provider_faults import Habits
from connectors.bench.provider_formats import format_of, wants_stream
from connectors.bench.provider_sdks import SDKS
from connectors.providers.registry import Registry
from flows.cli import run
from schemas.base import JsonObject
from tests.connectors.bench.test_provider import served

SEEN_S = 0.1
"""Until the fake provider has seen that our connections are closed, and may end without an open one."""


@pytest.mark.parametrize("name", list(SDKS))
def test_each_format_of_the_fake_provider_is_read_whole_and_streamed(name: str):
    async def main(url: str) -> list[int]:
        registry = Registry()
        ours = Ours(registry, name, url)
        read = [await ours.whole("hi"), await ours.streamed("hi")]
        await registry.close()
        await asyncio.sleep(SEEN_S)
        return read

    with served(Habits(latency_ms=2, answer_bytes=100, pieces=10)) as url:
        assert asyncio.run(main(url)) == [100, 100]


@pytest.mark.parametrize("name", list(SDKS))
def test_every_sdk_reads_what_the_fake_provider_writes(name: str):
    async def main(url: str) -> list[int]:
        sdk = SDKS[name](url)
        read = [await sdk.whole("hi"), await sdk.streamed("hi")]
        await sdk.close()
        await asyncio.sleep(SEEN_S)
        return read

    with served(Habits(latency_ms=2, answer_bytes=100, pieces=10)) as url:
        assert asyncio.run(main(url)) == [100, 100]


@pytest.mark.parametrize(
    ("path", "body", "streams"),
    [
        ("/v1/chat/completions", {}, False),
        ("/v1/chat/completions", {"stream": True}, True),
        ("/v1/messages", {"stream": True}, True),
        ("/api/chat", {}, True),
        ("/api/chat", {"stream": False}, False),
        ("/v1beta/models/m:generateContent", {}, False),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", {}, True),
        ("/v1beta/models/m:streamGenerateContent?$alt=json", {}, True),
    ],
)
def test_a_call_is_a_stream_where_its_format_says_so(path: str, body: JsonObject, streams: bool):
    form = format_of(path)

    assert form is not None
    assert wants_stream(form, body) is streams


def test_other_paths_have_no_format():
    assert format_of("/v1/embeddings") is None


def test_geminis_plain_stream_is_one_list():
    form = format_of("/v1beta/models/m:streamGenerateContent")
    assert form is not None
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    chunks = form.pieces("m", "abcdef", usage, 3)

    body = b"".join(chunk.split(b"\r\n", 1)[1].removesuffix(b"0\r\n\r\n")[:-2] for chunk in chunks)

    assert len(orjson.loads(body)) == 4


def test_a_run_has_four_figures_a_provider_and_says_what_is_over_its_bound():
    said: list[str] = []

    report = measure(Load(calls=64, pieces=10), said.append, ("ollama",))

    assert said == ["measuring ollama"]
    assert sorted(report["ollama"]) == ["ours_call_ms", "ours_piece_us", "sdk_call_ms", "sdk_piece_us"]
    assert all(figure > 0 for figure in report["ollama"].values())
    # An SDK's validation costs many times what our shell does, however busy the machine is.
    assert report["ollama"]["sdk_call_ms"] > 2 * report["ollama"]["ours_call_ms"]
    assert report["ok"] is (report["failed"] == [])


def test_what_is_over_its_bound_is_named():
    good = {"ours_call_ms": 0.25, "ours_piece_us": 15.0, "sdk_call_ms": 9.0, "sdk_piece_us": None}

    assert over({"openai": good}) == []
    assert over({"openai": good, "gemini": {**good, "ours_piece_us": 15.1}}) == ["gemini.ours_piece_us <= 15"]
    assert over({"ollama": {**good, "ours_call_ms": 0.3}}) == ["ollama.ours_call_ms <= 0.25"]


def test_an_answer_that_is_not_whole_ends_the_run():
    async def short(_prompt: str) -> int:
        return 3

    with pytest.raises(RuntimeError, match="3 characters instead of 4"):
        asyncio.run(cpu_s(short, "hi", 5, 4))


def test_an_sdk_that_is_not_there_has_no_figure(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def none(name: str, *given: Any, **named: Any) -> Any:
        if name == "openai":
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", none)
    with served(Habits(latency_ms=1, answer_bytes=50, pieces=10)) as url:
        found = asyncio.run(provider_cpu.figures("openai", url, Load(32, 10), 50))
        time.sleep(SEEN_S)

    assert found["sdk_call_ms"] is None
    assert found["ours_call_ms"] > 0


def reports(report: JsonObject | None) -> Callable[..., JsonObject]:
    def measured(_load: Load, _say: Callable[[str], object]) -> JsonObject:
        if report is None:
            raise HelperError("it did not come up")
        return report

    return measured


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_the_command_ends_with_its_report(
    ok: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(cli, "measure", reports({"scenario": "provider", "ok": ok}))

    assert run(["bench", "provider", "--calls", "64", "--pieces", "10", "--json"]) == code
    assert orjson.loads(capsys.readouterr().out.splitlines()[-1]) == {"scenario": "provider", "ok": ok}


def test_a_run_without_figures_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(cli, "measure", reports(None))

    assert run(["bench", "provider"]) == 2
    assert "it did not come up" in capsys.readouterr().err
