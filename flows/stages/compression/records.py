"""What compression hands back: the text, and the record of what went."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Counter(Protocol):
    """Counts tokens; see `flows.ports.Counter`."""

    kind: str
    """`exact`, `calibrated` or `estimate`."""

    def count(self, text: str) -> int:
        """Tokens of a text."""
        ...

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        ...


class UnitScorer(Protocol):
    """A scorer from outside: embeddings, LLMLingua, anything that ranks texts by a question."""

    def score_units(self, query: str, units: Sequence[str]) -> list[float]:
        """The worth of each unit to the question, 0 to 1; same units, same scores."""
        ...


class Kept(NamedTuple):
    """A stretch of the source that stayed, as it stands there."""

    start: int
    """Where it begins in the source, in characters."""
    end: int
    """Where it ends."""
    units: int
    """Segments in it."""


class Dropped(NamedTuple):
    """A stretch of the source that went."""

    start: int
    """Where it begins in the source, in characters."""
    end: int
    """Where it ends."""
    units: int
    """Segments in it."""
    reason: str
    """`relevance` (others served the question better), `duplicate`, or `size` (larger than the budget)."""


class Compressed(NamedTuple):
    """A text within its budget, and how it came to be."""

    text: str
    """What stayed, in its order, with a mark at each gap."""
    before_tokens: int
    """Tokens of the source."""
    before_exact: bool
    """Whether they were counted; else they are extrapolated from samples."""
    after_tokens: int
    """Tokens of the text, counted."""
    method: str
    """`whole` (it fitted), `duplicates` (dropping them was enough), `extract`, or `nothing` (none fitted)."""
    kept: tuple[Kept, ...]
    """What stayed, in order."""
    dropped: tuple[Dropped, ...]
    """What went, in order."""

    @property
    def ratio(self) -> float:
        """Kept over original, 0 to 1."""
        return min(1.0, self.after_tokens / self.before_tokens) if self.before_tokens else 1.0
