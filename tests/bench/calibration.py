"""How well calibration learns: `python -m tests.bench.calibration` prints one JSON line.

Our tokenizer is o200k; the provider counts with cl100k, or with a vocabulary trained on the spot. A run
begins with nothing, sees 20 calls, and then estimates others: contexts of 8,000 to 40,000 tokens, each of one
to three kinds of text mixed.
"""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from connectors.bench.corpora import corpora
from connectors.tokenizers.counter import TextCounter, build
from flows.stages.calibrate import Calibration
from flows.stages.content import Content, Measured, measure

LATIN = ("english", "code", "logs", "json")
LEARN_CALLS = 20


@dataclass(frozen=True)
class Piece:
    """A text of 4 KB, counted by both."""

    own: Measured
    provider_tokens: int


@dataclass(frozen=True)
class Result:
    """What many estimates were like."""

    draws: int
    error_p95: float
    upper_p95: float
    upper_least: float
    under: int
    calibrated: int


def trained(pieces: Sequence[str], size: int) -> TextCounter:
    """A tokenizer of its own, trained on texts."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    from connectors.tokenizers.hf import FileCounter

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    letters = ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=letters)  # type: ignore[call-arg]
    tokenizer.train_from_iterator(pieces, trainer)
    return FileCounter(tokenizer)


def counted(
    texts: Mapping[str, list[str]], own: TextCounter, provider: TextCounter
) -> dict[str, list[Piece]]:
    """Every piece of every corpus, counted by both."""
    return {
        name: [
            Piece(measure([piece], own), tokens)
            for piece, tokens in zip(pieces, provider.count_many(pieces), strict=True)
        ]
        for name, pieces in texts.items()
    }


def draw(chance: random.Random, pieces: Mapping[str, list[Piece]], least: int, most: int) -> Piece:
    """A context: runs of pieces of one to three kinds, until it is long enough."""
    kinds = chance.sample(sorted(pieces), min(len(pieces), chance.choice((1, 1, 2, 3))))
    wanted = chance.randrange(least, most)
    tokens: dict[Content, int] = {}
    utf8_bytes: dict[Content, int] = {}
    provider_tokens = 0
    while sum(tokens.values()) < wanted:
        there = pieces[chance.choice(kinds)]
        at = chance.randrange(len(there))
        for piece in there[at : at + chance.randrange(1, 6)]:
            for kind, count in piece.own.tokens.items():
                tokens[kind] = tokens.get(kind, 0) + count
                utf8_bytes[kind] = utf8_bytes.get(kind, 0) + piece.own.utf8_bytes[kind]
            provider_tokens += piece.provider_tokens
    return Piece(Measured(tokens, utf8_bytes), provider_tokens)


def play(
    pieces: Mapping[str, list[Piece]], runs: int, draws: int, bounds: tuple[int, int] = (8_000, 40_000)
) -> Result:
    """Learn from 20 calls, estimate `draws` others; and that `runs` times."""
    chance = random.Random(11)
    errors: list[float] = []
    uppers: list[float] = []
    calibrated = 0
    for _ in range(runs):
        calibration = Calibration()
        for _ in range(LEARN_CALLS):
            call = draw(chance, pieces, *bounds)
            calibration = calibration.observe(call.own, call.provider_tokens)
        for _ in range(draws):
            call = draw(chance, pieces, *bounds)
            found = calibration.estimate(call.own)
            errors.append(abs(found.tokens / call.provider_tokens - 1))
            uppers.append(found.upper_tokens / call.provider_tokens)
            calibrated += found.kind == "calibrated"
    errors.sort()
    uppers.sort()
    at = int(len(errors) * 0.95)
    under = sum(upper < 1 for upper in uppers)
    return Result(len(errors), errors[at], uppers[at], uppers[0], under, calibrated)


def providers(texts: Mapping[str, list[str]]) -> dict[str, Callable[[], TextCounter]]:
    """Who may count otherwise."""
    half = [piece for name in LATIN for piece in texts[name][::2]]
    return {"cl100k": lambda: build("cl100k"), "trained": lambda: trained(half, 16_000)}


def main() -> int:
    """Play every provider with every kind of work; the exit code: whether cl100k's limits hold."""
    texts, own = corpora(800_000), build("o200k")
    report: dict[str, object] = {"bench": "calibration", "learnt_calls": LEARN_CALLS}
    holds = True
    for name, provider in providers(texts).items():
        pieces = counted(texts, own, provider())
        latin = {kind: pieces[kind] for kind in LATIN}
        works = {"mixed": latin, **{kind: {kind: pieces[kind]} for kind in pieces}}
        for work, chosen in works.items():
            result = play(chosen, *((200, 50) if work == "mixed" else (40, 25)))
            report[f"{name} {work}"] = {key: round(value, 4) for key, value in vars(result).items()}
            good = result.error_p95 <= 0.02 and result.under == 0 and result.upper_p95 <= 1.10
            holds = holds and (good or name != "cl100k")
        small = play(latin, 40, 25, (100, 8_000))
        report[f"{name} mixed, 100 to 8,000"] = {key: round(value, 4) for key, value in vars(small).items()}
    report["ok"] = holds
    print(orjson.dumps(report).decode())
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
