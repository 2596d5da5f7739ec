"""Finds blocks that say the same again.

A block is a duplicate when it is equal to another but for white space, or when nearly all its words are the
same and none of those that differ holds a digit or a capital: figures and names make a difference. Candidates
share their first, their last or their longest word, so no signature of every block has to be made.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

MIN_CHARS = 60
"""Blocks that are shorter are never near duplicates, only equal."""
MIN_SHARED = 0.85
"""Share of all words of both blocks that must be in both."""
_COMPARED = 8
_NEGATIONS = frozenset(
    ["no", "not", "never", "none", "nor", "without", "except", "unless", "neither", "cannot"]
)


class _Words(NamedTuple):
    """The words of a block."""

    words: frozenset[str]
    """All of them."""
    first: str
    """The first in the order of their letters: mostly a figure, a sign or a name."""
    first_matters: bool
    """Whether a block without it says something else."""


@dataclass(slots=True)
class Seen:
    """The blocks met so far."""

    _equal: set[str] = field(default_factory=set[str])
    _words: dict[str, list[_Words]] = field(default_factory=dict[str, list[_Words]])

    def repeats(self, block: str) -> bool:
        """Whether a block repeats an earlier one; if it does not, it is met now."""
        words = block.split()
        key = " ".join(words)
        if key in self._equal:
            return True
        self._equal.add(key)
        if len(block) < MIN_CHARS or len(words) < 8:
            return False
        own = frozenset(words)
        first = min(own)
        met = _Words(own, first, _matters(first))
        anchors = {first, max(own), max(words, key=len)}
        for anchor in anchors:
            for other in self._words.get(anchor, ())[-_COMPARED:]:
                if _near(met, other):
                    return True
        for anchor in anchors:
            self._words.setdefault(anchor, []).append(met)
        return False


def _near(one: _Words, other: _Words) -> bool:
    if one.first != other.first and (one if one.first < other.first else other).first_matters:
        return False  # the lesser of the two is not in the other block
    words, others = one.words, other.words
    small, large = len(words), len(others)
    if small > large:
        small, large = large, small
    if small < MIN_SHARED * large:
        return False
    shared = len(words & others)
    if shared < MIN_SHARED * (small + large - shared):
        return False
    return not any(_matters(word) for word in words ^ others)


def _matters(word: str) -> bool:
    """Whether a word changes what a text says: figures, names, negations."""
    return word in _NEGATIONS or word.endswith("n't") or not word.islower() or any(map(str.isdigit, word))
