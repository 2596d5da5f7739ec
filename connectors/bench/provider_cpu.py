"""CPU of a JSON call and of a streamed piece: our shell, and the official SDK beside it, in turns.

One process does nothing but call; the fake provider is another one. A figure is the least of several rounds
of the process's CPU time (whatever else runs on the machine only adds to it), so it holds what a worker's
call loop would spend: encode, send, read, decode, hand on. Pieces of a stream are sent one by one,
milliseconds apart; as in a worker, the shell reads what came within 20 ms as one; no cycles are collected.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from connectors.bench.child import Child
from connectors.bench.provider_client import start_provider
from connectors.bench.provider_faults import Habits
from connectors.bench.provider_sdks import KEY, MODEL, SDKS, Ask, Sdk
from connectors.providers.registry import Registry
from schemas.base import JsonObject
from schemas.calls import Call, Piece, Route
from schemas.requests import Message, Request

CALL_MS = 0.25
"""Most CPU of a JSON call through our shell."""
PIECE_US = 15.0
"""Most CPU of a streamed piece through our shell."""
ROUNDS = 5
"""Figures of which the least counts."""
AT_ONCE = 32
"""Calls at the same time."""
STEP_MS = 4.0
"""Between two pieces of one stream."""
_BASES = {"openai": "/v1", "anthropic": "", "gemini": "", "ollama": ""}


@dataclass(frozen=True, slots=True)
class Load:
    """How much is measured."""

    calls: int = 2000
    """JSON calls of each side."""
    pieces: int = 200
    """Pieces of a stream."""


class Ours:
    """Our shell against one format of the fake provider."""

    def __init__(self, registry: Registry, name: str, url: str) -> None:
        self._route = Route(f"{name}:{MODEL}", MODEL, name, MODEL, api_base=url + _BASES[name], api_key=KEY)
        self._provider = registry.of(self._route)

    async def whole(self, prompt: str) -> int:
        """One JSON answer."""
        return await self._ask(prompt, stream=False)

    async def streamed(self, prompt: str) -> int:
        """The same as a stream; the pieces that reach the sink count."""
        return await self._ask(prompt, stream=True)

    async def _ask(self, prompt: str, *, stream: bool) -> int:
        request = Request(prompt=prompt)
        turn = Message(role="user", content=prompt)
        call = Call("bench", request, (turn,), self._route, 1024, stream, 50)
        length = 0

        async def sink(piece: Piece) -> None:
            nonlocal length
            length += len(piece.text)

        encoded = self._provider.encode(call)
        answer = await self._provider.complete(call, encoded, sink if stream else None, _always)
        return length if stream else len(answer.text)


def _always() -> bool:
    return True


async def cpu_s(ask: Ask, prompt: str, times: int, length: int) -> float:
    """CPU time of this process for so many calls, at most `AT_ONCE` at once.

    Raises:
        RuntimeError: When an answer has another length.
    """
    left = times

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            if (got := await ask(prompt)) != length:
                raise RuntimeError(f"an answer of {got} characters instead of {length}")

    before = time.process_time()
    await asyncio.gather(*(one_after_another() for _ in range(min(times, AT_ONCE))))
    return time.process_time() - before


async def figures(name: str, url: str, load: Load, length: int) -> JsonObject:
    """The four figures of a provider, ours and the SDK's in turns; the SDK's `None` where it isn't there."""
    registry = Registry()
    ours = Ours(registry, name, url)
    try:
        sdk: Sdk | None = SDKS[name](url)
    except ImportError:
        sdk = None
    calls = max(AT_ONCE, load.calls // ROUNDS)
    gc.disable()
    prompt = f"Say something. latency={STEP_MS * load.pieces:.0f}"
    found: dict[str, list[float]] = {}

    async def take(side: str, whole: Ask, streamed: Ask) -> None:
        call_s = await cpu_s(whole, "Say something. latency=1", calls, length)
        found.setdefault(f"{side}_call_ms", []).append(call_s / calls * 1e3)
        stream_s = await cpu_s(streamed, prompt, AT_ONCE, length)
        found.setdefault(f"{side}_piece_us", []).append(stream_s / AT_ONCE / load.pieces * 1e6)

    for _ in range(ROUNDS + 1):
        await take("ours", ours.whole, ours.streamed)
        if sdk is not None:
            await take("sdk", sdk.whole, sdk.streamed)
    gc.enable()
    await registry.close()
    if sdk is not None:
        await sdk.close()
    names = ("ours_call_ms", "ours_piece_us", "sdk_call_ms", "sdk_piece_us")
    # The first round of each side has its imports and connections.
    least = {key: min(values[1:]) for key, values in found.items()}
    return {key: round(least[key], 3) if key in least else None for key in names}


def over(report: JsonObject) -> list[str]:
    """The bounds that a report does not keep."""
    bounds = {"ours_call_ms": CALL_MS, "ours_piece_us": PIECE_US}
    return [
        f"{name}.{figure} <= {bound:g}"
        for name in SDKS
        if name in report
        for figure, bound in bounds.items()
        if report[name][figure] > bound
    ]


def measure(
    load: Load,
    say: Callable[[str], object],
    names: tuple[str, ...] = tuple(SDKS),
    start: Callable[[Habits], Child] = start_provider,
) -> JsonObject:
    """The report: four figures a provider, `failed` and `ok`.

    Raises:
        HelperError: When the fake provider does not come up.
    """
    length = load.pieces * 5
    report: JsonObject = {"scenario": "provider", "calls": load.calls, "pieces": load.pieces}
    with start(Habits(latency_ms=1, answer_bytes=length, pieces=load.pieces)) as child:
        for name in names:
            say(f"measuring {name}")
            report[name] = uvloop.run(figures(name, child.said, load, length))
    report["failed"] = over(report)
    report["ok"] = not report["failed"]
    return report
