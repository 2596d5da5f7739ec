"""How long compression takes: `python -m tests.bench.compression_speed` prints one JSON line last.

Two sizes at 4x: contexts of 150,000 tokens, and usual ones of about 2,600. They are glued and taken from the
cases of the scorer (see README.md) where its data lies beside the project, else from the project's own files.
Times are wall time of one call, the counts of what goes in as samples and of what comes out included, with
the counter that the workers use. `rs-bpe`, which the scorer counts with, is half of a usual call.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import orjson

from connectors.tokenizers.counter import build
from tests.bench.compression import compress

CASES = Path(__file__).parents[3] / "shared" / "data" / "compression" / "cases.jsonl"
RATIO = 4
LARGE_TOKENS, LARGE, LARGE_ROUNDS = 150_000, 6, 8
USUAL_LEAST, USUAL_MOST, USUAL, USUAL_ROUNDS = 2_300, 2_900, 40, 3


class Case(NamedTuple):
    """A context with a question to it."""

    context: str
    question: str
    tokens: int


def counting() -> Callable[[str], int]:
    """The workers' own count of o200k."""
    return build("o200k").count


def given(count: Callable[[str], int]) -> tuple[str, list[Case]]:
    """Where the cases are from, and all of them."""
    if CASES.exists():
        read = [orjson.loads(line) for line in CASES.read_bytes().splitlines()]
        return "cases", [Case(each["context"], each["question"], count(each["context"])) for each in read]
    pieces = [
        path.read_text()[:11_000]
        for folder in ("flows", "connectors", "schemas", "docs")
        for path in sorted((Path(__file__).parents[2] / folder).rglob("*.[pm][yd]"))
    ]
    asked = "Which function counts the tokens of a request, and when does it fail?"
    return "project", [Case(piece, asked, count(piece)) for piece in pieces if piece]


def large(cases: list[Case], seed: int) -> Case:
    """Cases glued until they are large, with the question of the first."""
    order = random.Random(seed).sample(cases, len(cases))
    glued: list[str] = []
    tokens = 0
    for case in order:
        if tokens >= LARGE_TOKENS:
            break
        glued.append(case.context)
        tokens += case.tokens
    return Case("\n\n".join(random.Random(seed).sample(glued, len(glued))), order[0].question, tokens)


def timed(cases: list[Case], rounds: int, count: Callable[[str], int]) -> dict[str, float]:
    """Compress every case in turn, some rounds; what it took."""
    taken: list[float] = []
    for _ in range(rounds):
        for case in cases:
            began = time.perf_counter()
            compress(case.context, case.question, case.tokens // RATIO, count)
            taken.append((time.perf_counter() - began) * 1e3)
    taken.sort()
    return {
        "calls": len(taken),
        "tokens": round(sum(case.tokens for case in cases) / len(cases)),
        "p50_ms": round(taken[len(taken) // 2], 2),
        "p95_ms": round(taken[int(0.95 * len(taken))], 2),
        "best_ms": round(taken[0], 2),
    }


def main() -> None:
    """Measure both sizes, and print."""
    count = counting()
    source, cases = given(count)
    usual = [case for case in cases if USUAL_LEAST <= case.tokens <= USUAL_MOST][:USUAL]
    glued = [large(cases, seed) for seed in range(LARGE)]
    timed(usual[:3], 1, count)
    report = {
        "bench": "compression_speed",
        "source": source,
        "ratio": RATIO,
        "large": timed(glued, LARGE_ROUNDS, count),
        "usual": timed(usual, USUAL_ROUNDS, count),
    }
    sys.stdout.write(orjson.dumps(report).decode() + "\n")


if __name__ == "__main__":
    main()
