"""Counts tokens fast, with OpenAI's vocabularies from the `rs-bpe` package.

Names: `o200k` and `cl100k`, with or without `_base`; everything that ends in `.json` is the path of a
`tokenizer.json`. The counts of text are those of OpenAI's own tokenizer; to any other provider, and because
the envelope of a chat is never told, they are estimates.
"""

from collections.abc import Callable
from typing import Protocol

from rs_bpe import openai

from connectors.tokenizers import hf
from connectors.tokenizers.errors import TokenizerError


class TextCounter(Protocol):
    """Counts the tokens of texts."""

    kind: str
    """`exact`, `calibrated` or `estimate`."""

    def count(self, text: str) -> int:
        """Tokens of a text."""
        ...

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        ...


class BpeCounter:
    """Counts by a built-in vocabulary: 10 µs for a short prompt, 15 MB/s for a long one, never worse."""

    kind = "estimate"

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count

    def count(self, text: str) -> int:
        """Tokens of a text; a lone surrogate counts as a replacement character."""
        try:
            return self._count(text)
        except UnicodeEncodeError:
            return self._count(hf.without_surrogates(text))

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text, in order."""
        return [self.count(text) for text in texts]


def _o200k() -> TextCounter:
    return BpeCounter(openai.o200k_base().count)


def _cl100k() -> TextCounter:
    return BpeCounter(openai.cl100k_base().count)


_BUILDERS: dict[str, Callable[[], TextCounter]] = {"o200k": _o200k, "cl100k": _cl100k}


def build(name: str) -> TextCounter:
    """The counter of a name or path. Takes 0.1 to 1 s: build it once.

    Raises:
        TokenizerError: When the name is unknown, or the file is missing or damaged.
    """
    builder = _BUILDERS.get(name.removesuffix("_base"))
    if builder is not None:
        return builder()
    if name.endswith(".json"):
        return hf.build(name)
    known = ", ".join(_BUILDERS)
    raise TokenizerError(f"no tokenizer is named {name!r}", f"use {known}, or the path of a tokenizer.json")
