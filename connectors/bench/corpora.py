"""Texts to count: what Python itself carries, and what is generated from a seed; nothing is fetched.

English and code are natural text that repeats no more than text does. The others are put together from short
texts of ours: their counts are right, their speeds those of text whose words come again.
"""

import inspect
import random
from collections.abc import Callable, Mapping
from types import ModuleType

from connectors.tokenizers.probe import PROBE

SIZE_BYTES = 400_000
"""Length of a corpus in UTF-8, about."""
PIECE_LETTERS = 4096
"""Length of the texts that a corpus is counted in."""
_SCRIPTS = ("chinese", "arabic", "hindi", "thai", "emoji")


def corpora(size_bytes: int = SIZE_BYTES) -> dict[str, list[str]]:
    """Every corpus by its name, cut into pieces."""
    made = {name: make(size_bytes, random.Random(7)) for name, make in _MAKERS.items()}
    made |= {name: _mixed(name, size_bytes, random.Random(7)) for name in _SCRIPTS}
    return {name: _pieces(text) for name, text in made.items()}


def bytes_of(pieces: list[str]) -> int:
    """Length of the pieces in UTF-8."""
    return sum(len(piece.encode()) for piece in pieces)


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE_LETTERS] for at in range(0, len(text), PIECE_LETTERS)]


def _english(size_bytes: int, chance: random.Random) -> str:
    """The language reference that `help()` shows."""
    from pydoc_data import topics

    return "\n".join(topics.topics.values())[:size_bytes]


def _code(size_bytes: int, chance: random.Random) -> str:
    """Modules of the standard library."""
    import argparse
    import datetime
    import email.message
    import logging
    import tarfile
    import typing

    modules: list[ModuleType] = [argparse, datetime, email.message, inspect, logging, tarfile, typing]
    return "\n".join(inspect.getsource(module) for module in modules)[:size_bytes]


def _logs(size_bytes: int, chance: random.Random) -> str:
    lines: list[str] = []
    for number in range(size_bytes // 120):
        clock = f"10:{number // 600 % 60:02}:{number // 10 % 60:02}.{chance.randrange(1000):03}Z"
        worker = f"[worker-{chance.randrange(8)}] id={chance.getrandbits(64):016x}"
        address = f"10.0.{chance.randrange(256)}.{chance.randrange(256)}"
        what = f"took={chance.randrange(9999)}ms {address} GET /orders/{chance.randrange(10**6)}"
        lines.append(f"2026-11-22T{clock} {chance.choice(('INFO', 'WARN', 'ERROR'))} {worker} {what}")
    return "\n".join(lines)


def _json(size_bytes: int, chance: random.Random) -> str:
    words = PROBE["english"].split()
    rows = [
        f'{{"id": {chance.randrange(10**9)}, "name": "{chance.choice(words)} {chance.choice(words)}", '
        f'"price": {chance.random() * 100:.2f}, "tags": ["{chance.choice(words)}", null, true]}}'
        for _ in range(size_bytes // 75)
    ]
    return "[" + ",\n ".join(rows) + "]"


def _mixed(name: str, size_bytes: int, chance: random.Random) -> str:
    """Pieces of a text of ours, put together by chance."""
    text = PROBE[name]
    width = len(text.encode()) / len(text)
    starts = [chance.randrange(len(text)) for _ in range(int(size_bytes / width / 8))]
    return "".join(text[at : at + chance.randrange(3, 14)] for at in starts)


_MAKERS: Mapping[str, Callable[[int, random.Random], str]] = {
    "english": _english,
    "code": _code,
    "logs": _logs,
    "json": _json,
}
