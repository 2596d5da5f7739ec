"""What each part of a text is worth to a question.

A part's worth is its chance to hold the answer: `exp` of a weighted sum of signals (a softmax without its
divisor, which makes no difference to the order). The weights below were fitted to questions whose answers
are known, by cross-validation over halves of them; see tests/bench/README.md for what each signal brings.
Only blocks with hits are looked at closely; the rest of a large text costs nothing.
"""

import math
import re
from bisect import bisect_right
from itertools import pairwise

from flows.stages.compression.blocks import Block
from flows.stages.compression.matching import Hit, find_terms, folded
from flows.stages.compression.parts import Part, parts_of
from flows.stages.compression.query import Query
from flows.stages.compression.words import STOP_WORDS, is_generic

COVERED, HEADER_PRECISION, PROPER, RELATIVE = 2.48, 2.31, 0.93, 3.2
"""Of a block: share of the question found; share of the header that the question names; share of its
proper nouns found; BM25 relative to the best block."""
NEIGHBOUR, LEAD, BEST_PART, OWN = 0.77, 0.75, 1.0, 2.28
"""Of a part: share of the question found next to it; being the first; what it adds to its header, relative
to the best part of its block, and to the whole question."""
CUES = {"date": 2.0, "number": 0.6, "person": 1.86, "place": 1.2}
"""Of a part: two or more answers of the kind that is asked for; half for one."""
FAULT = 3.57
"""Of a part: a mark of failure, where the question asks for one."""
HEAD, BODY = 2.35, -1.0
"""Of a part: being the head of code or a table; being in its body (set by hand, see the README)."""

_K1, _B, _HEADER_TIMES, _NEXT_CHARS = 1.2, 0.6, 3.0, 12
_IDENTIFIER_TIMES, _GENERIC_TIMES, _UNSEEN_TIMES, _FIRM = 1.5, 0.5, 0.5, 0.7
_WORD = re.compile(r"[^\W_]+")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_ANSWERS = {
    "date": re.compile(rf"\b(?:1\d{{3}}|20\d{{2}})s?\b|\b(?:{_MONTHS})\b|\bcentur(?:y|ies)\b"),
    "number": re.compile(
        r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|"
        r"million|billion|percent|half|third|quarter)\b"
    ),
    "person": re.compile(
        r"(?<=[a-z,;:\"'(“] )[\"(“]?[A-Z][\w.'’-]+(?: (?:(?:of|de|van|von|the|der|la) )?[A-Z][\w.'’-]+)*"
    ),
    "place": re.compile(r"\b(?:in|at|near|from|of|on|between|to|off) (?:the )?[A-Z]"),
}
_FAULTS = (
    *("ERROR", "ERR", "FATAL", "CRITICAL", "SEVERE", "PANIC", "WARN", "WARNING", "ALERT", "EMERG"),
    *("Traceback", "failed", "Failed", "failure", "Failure", "Error:", "Exception"),
)


class Scorer:
    """The worth of blocks and parts of one text to one question."""

    def __init__(self, text: str, query: Query, blocks: list[Block]) -> None:
        self.text = text
        self.blocks = blocks
        self._query = query
        self._low = folded(text)
        self._starts = [block.start for block in blocks]
        self._hits: dict[int, list[Hit]] = {}
        self._best: dict[int, dict[int, float]] = {}
        self._children = _children(blocks)
        found = find_terms(text, self._low, query.terms)
        self._spread(found)
        self._weigh(found)
        self._faults = self._find_faults() if query.fault else frozenset[int]()
        self.worths = self._block_worths()

    def parts(self, number: int) -> list[tuple[Part, float]]:
        """The parts of a block with their worth (as a logarithm), in order."""
        block = self.blocks[number]
        parts = parts_of(self.text, block)
        base = self.worths[number]
        header = self._best.get(block.header, {})
        covered, own = self._part_shares(number, parts, header)
        best = max(*own, 0.05)
        answer = _ANSWERS.get(self._query.cue)
        cue = CUES.get(self._query.cue, 0.0) / 2
        scored: list[tuple[Part, float]] = []
        for at, part in enumerate(parts):
            worth = base + BEST_PART * own[at] / best + OWN * own[at]
            near = covered[at - 1] if at else 0.0
            if at + 1 < len(parts) and covered[at + 1] > near:
                near = covered[at + 1]
            worth += NEIGHBOUR * near
            if answer:
                worth += cue * _up_to_two(answer, self.text, part)
            if part.role != "text":
                worth += HEAD if part.role == "head" else BODY
            elif at == 0:
                worth += LEAD
            scored.append((part, worth))
        return scored

    def _part_shares(
        self, number: int, parts: list[Part], header: dict[int, float]
    ) -> tuple[list[float], list[float]]:
        """Share of the question found in each part, and what of that its header does not say."""
        covered, own = [0.0] * len(parts), [0.0] * len(parts)
        hits = self._hits.get(number)
        if not hits:
            return covered, own
        starts = [part.start for part in parts]
        best: list[dict[int, float]] = [{} for _ in parts]
        for hit in hits:
            found = best[max(0, bisect_right(starts, hit.start) - 1)]
            if hit.worth > found.get(hit.term, 0.0):
                found[hit.term] = hit.worth
        for at, found in enumerate(best):
            for term, worth in found.items():
                weight = self._weights[term] / self._total
                covered[at] += weight * worth
                own[at] += weight * min(worth, 1 - header.get(term, 0.0))
        return covered, own

    def _spread(self, found: list[list[Hit]]) -> None:
        """Give every block its hits."""
        starts, hits, best = self._starts, self._hits, self._best
        for group in found:
            for hit in group:
                number = bisect_right(starts, hit.start) - 1
                if number not in hits:
                    hits[number] = []
                    best[number] = {}
                hits[number].append(hit)
                if hit.worth > best[number].get(hit.term, 0.0):
                    best[number][hit.term] = hit.worth

    def _weigh(self, found: list[list[Hit]]) -> None:
        """How much each term says: rare ones more, identifiers more, generic and unseen ones less."""
        terms = self._query.terms
        documents = [0.0] * len(terms)
        for number, best in self._best.items():
            if self.blocks[number].kind != "header":
                for term, worth in best.items():
                    documents[term] += worth
                continue
            for child in self._children.get(number, ()):
                own = self._best.get(child, {})
                for term, worth in best.items():
                    documents[term] += max(0.0, worth - own.get(term, 0.0))
        count = sum(block.kind != "header" for block in self.blocks)
        self._weights = [math.log(1 + max(0.0, count - seen + 0.5) / (seen + 0.5)) for seen in documents]
        for at, term in enumerate(terms):
            if term.exact:
                self._weights[at] *= _IDENTIFIER_TIMES
            if is_generic(term.stem):
                self._weights[at] *= _GENERIC_TIMES
            if not found[at]:
                self._weights[at] *= _UNSEEN_TIMES
        self._proper = [
            term.capital or self._is_proper(hits) for term, hits in zip(terms, found, strict=True)
        ]
        self._total = sum(self._weights) or 1.0
        proper = zip(self._weights, self._proper, strict=True)
        self._proper_total = sum(weight for weight, is_proper in proper if is_proper)

    def _is_proper(self, hits: list[Hit]) -> bool:
        """Whether the text writes a term with a capital where no sentence begins."""
        text = self.text
        firm = [hit.start for hit in hits if hit.worth >= _FIRM]
        upper = sum(1 for at in firm if text[at].isupper() and (at < 2 or text[at - 2] not in ".!?"))
        return bool(firm) and upper >= 0.6 * len(firm)

    def _find_faults(self) -> frozenset[int]:
        """Blocks that speak of a failure."""
        found: set[int] = set()
        for mark in _FAULTS:
            at = self.text.find(mark)
            while at >= 0:
                number = bisect_right(self._starts, at) - 1
                found.add(number)
                after = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
                at = self.text.find(mark, max(after, at + 1))
        return frozenset(found)

    def _block_worths(self) -> list[float]:
        """The worth of each block, as a logarithm; of a header that of nothing."""
        touched = {number for number in self._best if self.blocks[number].kind != "header"}
        touched.update(
            child for header, own in self._children.items() if header in self._best for child in own
        )
        chars = [block.end - block.start for block in self.blocks if block.kind != "header"]
        average = sum(chars) / max(1, len(chars))
        precision = {number: self._precision(number) for number in self._children if number in self._best}
        worths = [0.0] * len(self.blocks)
        relevance: dict[int, float] = {}
        for number in touched:
            relevance[number], worths[number] = self._block_signals(number, average)
        highest = max(relevance.values(), default=0.0) or 1.0
        for number, value in relevance.items():
            worths[number] += RELATIVE * value / highest
            worths[number] += HEADER_PRECISION * precision.get(self.blocks[number].header, 0.0)
        for number in self._faults:
            worths[number] += FAULT
        return worths

    def _block_signals(self, number: int, average: float) -> tuple[float, float]:
        """BM25 with the header counted thrice and nearness, and the sum of the other signals."""
        block = self.blocks[number]
        own, header = self._best.get(number, {}), self._best.get(block.header, {})
        counts: dict[int, float] = {}
        for hit in self._hits.get(number, ()):
            counts[hit.term] = counts.get(hit.term, 0.0) + hit.worth
        for hit in self._hits.get(block.header, ()) if header else ():
            counts[hit.term] = counts.get(hit.term, 0.0) + _HEADER_TIMES * hit.worth
        stretch = _K1 * (1 - _B + _B * (block.end - block.start) / average)
        relevance = covered = in_header = proper = 0.0
        for term, count in counts.items():
            weight, inherited = self._weights[term], header.get(term, 0.0)
            share = weight * max(own.get(term, 0.0), inherited)
            relevance += weight * count * (_K1 + 1) / (count + stretch)
            covered += share
            in_header += weight * inherited
            if self._proper[term]:
                proper += share
        relevance += 0.5 * self._nearness(number)
        signals = (COVERED * covered + OWN * in_header) / self._total
        return relevance, signals + (PROPER * proper / self._proper_total if self._proper_total else 0.0)

    def _nearness(self, number: int) -> float:
        """Terms that stand side by side; twice as good in the order of the question."""
        hits = sorted(self._hits.get(number, ()))
        terms, near = self._query.terms, 0.0
        for one, other in pairwise(hits):
            if one.term != other.term and other.start - one.end <= _NEXT_CHARS:
                weight = min(self._weights[one.term], self._weights[other.term]) * one.worth * other.worth
                near += weight if terms[other.term].place == terms[one.term].place + 1 else weight / 2
        return near

    def _precision(self, header: int) -> float:
        """Share of a header's words that the question names."""
        block = self.blocks[header]
        words = [w for w in _WORD.findall(self._low[block.start : block.end]) if w not in STOP_WORDS]
        return min(1.0, sum(hit.worth for hit in self._hits[header]) / max(1, len(words)))


def _children(blocks: list[Block]) -> dict[int, list[int]]:
    """The blocks under each header."""
    found: dict[int, list[int]] = {}
    for number, block in enumerate(blocks):
        if block.header >= 0:
            found.setdefault(block.header, []).append(number)
    return found


def _up_to_two(pattern: re.Pattern[str], text: str, part: Part) -> int:
    """How often a pattern occurs in a part, at most 2."""
    first = pattern.search(text, part.start, part.end)
    return 0 if first is None else 1 if pattern.search(text, first.end(), part.end) is None else 2
