"""Shrinks a text to a budget of tokens by leaving out what serves the question least.

Extractive: nothing is rewritten, the order stays, and each gap is marked. Headers stay with what stands under
them, code and tables with their heads; a block that repeats another goes first. What comes out is counted,
so the budget holds whatever the counter is. Same text, question, budget and counter: same bytes.

Everything that goes in and comes out can be pickled, except for what the caller's counter or scorer holds.
"""

from itertools import accumulate

from flows.stages.compression.assembly import assemble, record
from flows.stages.compression.blocks import Block, blocks_of
from flows.stages.compression.packing import Packer, Unit, chance, size
from flows.stages.compression.query import read_query
from flows.stages.compression.records import Compressed, Counter, Kept, UnitScorer
from flows.stages.compression.scoring import Scorer

FINE_CHARS = 60_000
"""Characters of the best blocks that are cut into parts; blocks beyond are kept or dropped whole."""
WHOLE_SHARE = 0.125
"""Code and tables that take at most this share of the budget are kept or dropped whole."""
COUNTED_CHARS = 12_000
"""Texts up to this length are counted before; of longer ones samples are."""
SAMPLES, SAMPLE_CHARS = 8, 1_500
"""How many samples, and how long."""
MANY_FROM_CHARS, MANY, MANY_CHARS = 100_000, 32, 600
"""From this length on more and shorter samples: what is glued together differs from place to place."""
PART_CHARS = 120
"""Length of a usual sentence: what a block that is kept whole is measured in."""
ROUNDS = 6
"""Most fillings; each ends with a count of the text that comes out."""
EXCHANGE_ROUNDS = 2
"""The first fillings, in which units may push out others."""
LARGE_TOKENS = 8_000
"""From this budget on a count is dear: a little room is left, so that one is enough."""
CLEARLY_OVER = 1.02
"""How far samples must be over a large budget, so that a count is not worth its while."""
SCORER_WEIGHT = 4.0
"""What a scorer from outside can add to the logarithm of a unit's worth."""
LARGE_FILL, ENOUGH = 0.985, 0.985
"""Share of a large budget that is aimed at; share of any that is well used."""


def compress(
    context: str,
    query: str,
    budget_tokens: int,
    counter: Counter,
    before_tokens: int | None = None,
    scorer: UnitScorer | None = None,
) -> Compressed:
    """The text within its budget. `before_tokens` saves a count where it is known.

    `scorer` adds its own view of the units that are looked at closely.
    """
    budget_tokens = max(0, budget_tokens)
    before, exact = _size(context, counter, before_tokens)
    if not exact and before <= 1.1 * budget_tokens:
        before, exact = counter.count(context), True
    if exact and before <= budget_tokens:
        kept = (Kept(0, len(context), 1),) if context else ()
        return Compressed(context, before, True, before, "whole", kept, ())
    blocks = blocks_of(context)
    units = _units(context, query, blocks, budget_tokens * len(context) / max(1, before), scorer)
    packer = Packer(context, blocks, units, before / size(context, 0, len(context)))
    text, after = _fit(packer, budget_tokens, counter)
    kept, dropped = record(context, blocks, units, bool(text))
    reasons = {each.reason for each in dropped}
    method = "nothing" if not kept else "duplicates" if reasons <= {"duplicate"} else "extract"
    return Compressed(text, before, exact, after, method, kept, dropped)


def _size(context: str, counter: Counter, known: int | None) -> tuple[int, bool]:
    """Tokens of the text, and whether they were counted."""
    if known is not None:
        return known, True
    if len(context) <= COUNTED_CHARS:
        return counter.count(context), True
    number, chars = (SAMPLES, SAMPLE_CHARS) if len(context) < MANY_FROM_CHARS else (MANY, MANY_CHARS)
    step = (len(context) - chars) // (number - 1)
    samples = [context[at * step : at * step + chars] for at in range(number)]
    counted = sum(counter.count_many(samples))
    return round(counted * len(context) / (number * chars)), False


def _units(
    context: str, query: str, blocks: list[Block], budget_chars: float, scorer: UnitScorer | None
) -> list[Unit]:
    """All candidates, in the order of the text."""
    worths = Scorer(context, read_query(query), blocks)
    content = [number for number, block in enumerate(blocks) if block.kind != "header"]
    fine = _fine(blocks, content, worths.worths)
    units: list[Unit] = []
    for number in content:
        block = blocks[number]
        chars = block.end - block.start
        if number not in fine:
            share = chance(worths.worths[number]) * max(1.0, chars / PART_CHARS)
            units.append(Unit(block.start, block.end, number, share))
            continue
        parts = [(part, chance(worth)) for part, worth in worths.parts(number)]
        if block.kind in ("fence", "table") and chars <= WHOLE_SHARE * budget_chars:
            units.append(Unit(block.start, block.end, number, sum(worth for _, worth in parts)))
        else:
            units += [Unit(part.start, part.end, number, worth, part.role) for part, worth in parts]
    if scorer is not None:
        chosen = [unit for unit in units if unit.block in fine]
        scores = scorer.score_units(query, [context[unit.start : unit.end] for unit in chosen])
        for unit, score in zip(chosen, scores, strict=True):
            unit.worth *= chance(SCORER_WEIGHT * score)
    return units


def _fine(blocks: list[Block], content: list[int], worths: list[float]) -> set[int]:
    """The best blocks, as many as are looked at closely."""
    if sum(blocks[number].end - blocks[number].start for number in content) <= FINE_CHARS:
        return set(content)
    ranked = sorted(content, key=lambda number: -worths[number])
    chars = accumulate(blocks[number].end - blocks[number].start for number in ranked)
    return {number for number, so_far in zip(ranked, chars, strict=True) if so_far <= FINE_CHARS}


def _tokens(text: str, budget_tokens: int, counter: Counter) -> int:
    """Tokens of a text, counted; where samples say that it is clearly over a large budget, what they say."""
    if budget_tokens >= LARGE_TOKENS:
        sampled, _ = _size(text, counter, None)
        if sampled > CLEARLY_OVER * budget_tokens:
            return sampled
    return counter.count(text) if text else 0


def _fit(packer: Packer, budget_tokens: int, counter: Counter) -> tuple[str, int]:
    """Fill, count, and correct the prices by what was counted, until the budget is used and not exceeded."""
    large = budget_tokens >= LARGE_TOKENS
    allowed = budget_tokens * (LARGE_FILL if large else 1.0)
    best, best_tokens = "", 0
    for turn in range(ROUNDS):
        if not packer.fill(allowed, exchange=turn < EXCHANGE_ROUNDS) and best:
            break
        text = assemble(packer.text, packer.blocks, packer.units)
        tokens = _tokens(text, budget_tokens, counter)
        while tokens > budget_tokens:
            excess = 1 - budget_tokens * (LARGE_FILL if large else 1.0) / tokens
            for number in packer.give_back(packer.used_tokens * excess):
                unit = packer.units[number]
                unit.tokens = max(unit.tokens, counter.count(packer.text[unit.start : unit.end]))
            text = assemble(packer.text, packer.blocks, packer.units)
            tokens = _tokens(text, budget_tokens, counter)
        best, best_tokens = text, tokens
        if tokens >= ENOUGH * budget_tokens or (large and tokens >= 0.95 * budget_tokens):
            break
        allowed = packer.used_tokens + (budget_tokens - tokens) * (0.9 if large else 1.0)
    return best, best_tokens
