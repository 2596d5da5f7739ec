"""What the fake provider does with a call: how long, how much, and which attempts fail. Pure, by seed."""

import random
import re
from dataclasses import dataclass

_LATENCY = re.compile(rb"latency=(\d+)")
_ANSWER_BYTES = re.compile(rb"answer_bytes=(\d+)")
KINDS = ("500", "502", "503", "429", "429ms", "reset", "cut")
"""The faults: statuses, a 429 that asks in milliseconds, a reset before the answer, one in its midst."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the fake provider behaves unless a prompt says otherwise."""

    latency_ms: float = 200.0
    """From the call's last byte to its answer."""
    fault_ratio: float = 0.0
    """Share of the requests whose first attempts fail."""
    seed: int = 1
    """Which requests those are, and how they fail."""
    answer_bytes: int = 256
    """Length of an answer's text."""
    pieces: int = 4
    """Pieces of a stream."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one call gets."""

    latency_s: float
    """Time until the answer."""
    answer_bytes: int
    """Length of its text."""


def wish(body: bytes, habits: Habits) -> Wish:
    """Read what a prompt asks of the provider: `latency=60000` (ms), `answer_bytes=10000000`."""
    latency_ms, answer_bytes = habits.latency_ms, habits.answer_bytes
    if b"latency=" in body and (found := _LATENCY.search(body)):
        latency_ms = float(found[1])
    if b"answer_bytes=" in body and (found := _ANSWER_BYTES.search(body)):
        answer_bytes = int(found[1])
    return Wish(latency_ms / 1000, answer_bytes)


def fault_of(request_id: str, attempt: int, habits: Habits) -> str | None:
    """The fault of an attempt (from 1), or `None`: by seed, the first one to three of some requests fail."""
    if not habits.fault_ratio:
        return None
    dice = random.Random(f"{habits.seed}:{request_id}")
    if dice.random() >= habits.fault_ratio:
        return None
    failing = dice.randint(1, 3)
    kinds = [dice.choice(KINDS) for _ in range(failing)]
    return kinds[attempt - 1] if attempt <= failing else None
