"""`weir bench tokens`: how fast tokens are counted, against `tokenizers`, in one run and on the same texts.

A round counts a corpus with `tokenizers`, with a counter that has just been loaded (first sight), and with
the same counter again (repeated). What is reported is the median of the rounds' ratios and the best of the
speeds: other processes' work on this machine slows all three. The oracle keeps what it has learnt from round
to round, which is in its favour. Both have one core, as in a worker: left to itself, `tokenizers` takes all.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Annotated

import orjson
import typer

from connectors.bench.corpora import SIZE_BYTES, bytes_of, corpora
from connectors.tokenizers.counter import TextCounter, build
from connectors.tokenizers.hf import FileCounter
from connectors.tokenizers.probe import PROBE, probe_texts
from connectors.tokenizers.reference import reference
from schemas.base import JsonObject

FIRST_RATIO, AGAIN_RATIO = 12.0, 80.0
"""How much faster than `tokenizers` English must be counted, on first sight and repeated."""


def measure(name: str, rounds: int, size_bytes: int, say: Callable[[str], None]) -> JsonObject:
    """The report: speeds and ratios of each corpus, and whether the limits hold."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    say(f"building the oracle of {name}")
    oracle = FileCounter(reference(name))
    report: JsonObject = {"scenario": "tokens", "vocabulary": name, "rounds": rounds, "corpora": {}}
    for corpus, pieces in corpora(size_bytes).items():
        found = _corpus(oracle, name, pieces, rounds)
        report["corpora"][corpus] = found
        say(f"{corpus:8} " + " ".join(f"{key} {value}" for key, value in found.items()))
    probe = probe_texts()
    report["probe_texts"] = len(probe)
    report["probe_kinds"] = list(PROBE)
    report["probe_equal"] = build(name).count_many(probe) == oracle.count_many(probe)
    report["failed"] = _failed(report)
    report["ok"] = not report["failed"]
    return report


def _corpus(oracle: FileCounter, name: str, pieces: list[str], rounds: int) -> JsonObject:
    """Speeds in MB/s, their ratios to those of the oracle, and whether the counts are equal."""
    times: list[tuple[float, float, float]] = []
    equal = True
    for _ in range(rounds):
        counter = build(name)
        counter.count("warm")
        expected, slow_s = _timed(oracle, pieces)
        first, first_s = _timed(counter, pieces)
        again, again_s = _timed(counter, pieces)
        equal = equal and expected == first == again
        times.append((slow_s, first_s, again_s))
    megabytes = bytes_of(pieces) / 1e6
    best = [megabytes / min(column) for column in zip(*times, strict=True)]
    return {
        "megabytes": round(megabytes, 2),
        "tokenizers_mb_s": round(best[0], 1),
        "first_mb_s": round(best[1], 1),
        "again_mb_s": round(best[2], 1),
        "first_ratio": round(statistics.median(slow / first for slow, first, _ in times), 1),
        "again_ratio": round(statistics.median(slow / again for slow, _, again in times), 1),
        "equal": equal,
    }


def _timed(counter: TextCounter, pieces: list[str]) -> tuple[list[int], float]:
    start = time.perf_counter()
    counts = counter.count_many(pieces)
    return counts, time.perf_counter() - start


def _failed(report: JsonObject) -> list[str]:
    english = report["corpora"]["english"]
    limits = {
        f"first_ratio >= {FIRST_RATIO:g}": english["first_ratio"] >= FIRST_RATIO,
        f"again_ratio >= {AGAIN_RATIO:g}": english["again_ratio"] >= AGAIN_RATIO,
        "probe_equal": report["probe_equal"],
        "equal": all(corpus["equal"] for corpus in report["corpora"].values()),
    }
    return [name for name, holds in limits.items() if not holds]


def tokens(
    vocabulary: Annotated[str, typer.Option(help="`o200k` or `cl100k`.")] = "o200k",
    rounds: Annotated[int, typer.Option(help="Times each corpus is counted.", min=1)] = 5,
    size_bytes: Annotated[int, typer.Option(help="Length of a corpus.", min=5000)] = SIZE_BYTES,
    as_json: Annotated[bool, typer.Option("--json", help="Only the JSON line.")] = False,
) -> None:
    """Count tokens of many kinds of text, against `tokenizers`; needs no broker."""

    def say(line: str) -> None:
        if not as_json:
            print(line, file=sys.stderr, flush=True)

    report = measure(vocabulary, rounds, size_bytes, say)
    print(orjson.dumps(report).decode(), flush=True)
    raise typer.Exit(0 if report["ok"] else 1)
