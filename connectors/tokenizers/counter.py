"""Finds the counter of a name, and the fastest that counts right.

Names: `o200k` and `cl100k`, with or without `_base` (OpenAI's vocabularies, from the package `rs-bpe`); what
ends in `.json` is the path of a `tokenizer.json`; `hub:OWNER/MODEL` is a model on the Hugging Face hub. The
counts of text are those of that tokenizer; to any other model, and because the envelope of a chat is never
told, they are estimates.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Protocol

from connectors.tokenizers import fast, hf
from connectors.tokenizers.cutting import longest_prefix
from connectors.tokenizers.errors import TokenizerError
from connectors.tokenizers.probe import probe_texts
from connectors.tokenizers.text import without_surrogates
from connectors.tokenizers.trial import tried
from connectors.tokenizers.vocabulary import NAMES, Vocabulary, tokens_of, vocabulary

HUB = "hub:"
"""What the name of a model on the hub begins with; `hub:OWNER/MODEL@REVISION` names one revision."""
_log = logging.getLogger(__name__)

REST_LETTERS = 512 * 1024 * 1024
"""Characters that `rs-bpe` counts before a fast counter that grew too large is loaded again."""
SLOW_REST_LETTERS = 16 * 1024 * 1024
"""The same where the spare counter is `tokenizers`."""


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

    def fits(self, text: str, limit: int) -> bool:
        """Whether a text has at most `limit` tokens."""
        ...

    def prefix(self, text: str, limit: int) -> str:
        """The longest prefix of at most `limit` tokens."""
        ...


class BpeCounter:
    """Counts by a built-in vocabulary: 2 to 10 µs for a short prompt, 15 to 40 MB/s for a long one."""

    kind = "estimate"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._count = vocabulary.count
        self._count_till_limit = vocabulary.count_till_limit

    def count(self, text: str) -> int:
        """Tokens of a text; a lone surrogate counts as a replacement character."""
        try:
            return self._count(text)
        except UnicodeEncodeError:
            return self._count(without_surrogates(text))

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text, in order."""
        return [self.count(text) for text in texts]

    def fits(self, text: str, limit: int) -> bool:
        """Whether a text has at most `limit` tokens; stops counting where it hasn't."""
        return limit >= 0 and self._count_till_limit(without_surrogates(text), limit) is not None

    def prefix(self, text: str, limit: int) -> str:
        """The longest prefix of at most `limit` tokens."""
        return longest_prefix(self.count, text, limit)


def build(name: str) -> TextCounter:
    """The counter of a name, a path or a hub name. Takes 0.3 to 2 s: build it once.

    Raises:
        TokenizerError: When the name is unknown, or the file is missing or damaged.
    """
    short = name.removesuffix("_base")
    if short in NAMES:
        return _built_in(short)
    if name.startswith(HUB):
        from connectors.tokenizers import hub  # slow to import, and seldom needed

        return _of_file(str(hub.download(name.removeprefix(HUB))), name)
    if name.endswith(".json"):
        return _of_file(name, name)
    known = ", ".join(NAMES)
    hint = f"use {known}, the path of a tokenizer.json, or {HUB}OWNER/MODEL"
    raise TokenizerError(f"no tokenizer is named {name!r}", hint)


def _built_in(name: str) -> TextCounter:
    slow = BpeCounter(vocabulary(name))
    try:
        counter = fast.FastCounter(
            lambda: fast.of_vocabulary(name, tokens_of(name)), lambda: slow, REST_LETTERS
        )
    except (ImportError, OSError, ValueError, TypeError) as error:
        return _without_fast(slow, name, str(error))
    texts = probe_texts()
    if counter.count_many(texts) != slow.count_many(texts):
        return _without_fast(slow, name, "it counts the probe differently")
    return counter


def _of_file(path: str, name: str) -> TextCounter:
    data = hf.checked(hf.read(Path(path)), name)
    slow = partial(hf.counter_of, data, name)
    if not tried(data, name):
        return _without_fast(slow(), name, "it counts the probe differently, or doesn't know the format")
    return fast.FastCounter(partial(fast.of_json, data), slow, SLOW_REST_LETTERS)


def _without_fast(counter: TextCounter, name: str, why: str) -> TextCounter:
    _log.info("the fast counter is not used for %s: %s", name, why)
    return counter
