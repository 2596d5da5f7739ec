"""The compressor in the signature of the scorer of issue 5; see README.md in this folder."""

from collections.abc import Callable
from dataclasses import dataclass

from flows.stages import compression


@dataclass(slots=True)
class FunctionCounter:
    """A counting function as a `Counter`."""

    function: Callable[[str], int]
    kind: str = "exact"

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return self.function(text)

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        return [self.function(text) for text in texts]


def compress(context: str, query: str, budget_tokens: int, count: Callable[[str], int]) -> str:
    """The context within its budget."""
    return compression.compress(context, query, budget_tokens, FunctionCounter(count)).text
