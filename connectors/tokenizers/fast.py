"""The fastest counter: `gigatoken`, where it counts as the oracle does, and as long as it keeps its size.

It remembers every word it has ever seen: that makes it fast on text that comes again, and its table grows
without end on text that doesn't (random names, base64). So the process's memory is looked at now and then;
over the bound the table is given back, the spare counter counts on, and later the vocabulary is loaded anew.
Both count the same, so nobody notices but by the time it takes.
"""

import base64
import os
from collections.abc import Callable, Sequence, Sized
from typing import Protocol

from connectors.tokenizers.cutting import longest_prefix
from connectors.tokenizers.probe import probe_texts
from connectors.tokenizers.text import without_surrogates

LOOK_LETTERS = 4 * 1024 * 1024
"""Characters counted between two looks at the memory."""
MAX_GROWTH_BYTES = 256 * 1024 * 1024
"""Growth of the process since the vocabulary was loaded, over which it is given back."""
_SCHEMES = {"o200k": "o200k", "cl100k": "gpt4"}
"""gigatoken's names for the patterns that cut a text into words."""

Encode = Callable[[str], Sized]
"""Makes tokens of a text; a text with lone surrogates is a `TypeError`."""


class Spare(Protocol):
    """Counts the same, slower and in bounded memory."""

    kind: str

    def count(self, text: str) -> int: ...
    def fits(self, text: str, limit: int) -> bool: ...


class FastCounter:
    """Counts with a fast tokenizer while it stays small, else with the spare one.

    `rest_letters`: how much the spare one counts before the fast one is loaded again; that takes 0.3 s, in
    which nothing else of the process runs. `spare` is called when first needed.
    """

    kind = "estimate"

    def __init__(
        self,
        load: Callable[[], Encode],
        spare: Callable[[], Spare],
        rest_letters: int,
        memory_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._load, self._make_spare, self._rest_letters = load, spare, rest_letters
        self._memory_bytes = memory_bytes or resident_bytes
        self._spare: Spare | None = None
        self._encode: Encode | None = load()
        self._start_bytes = self._memory_bytes()
        self._left_letters = LOOK_LETTERS

    def count(self, text: str) -> int:
        """Tokens of a text; a lone surrogate counts as a replacement character."""
        self._left_letters -= len(text)
        if self._left_letters < 0:
            self._look()
        if self._encode is None:
            return self._other().count(text)
        try:
            return len(self._encode(text))
        except TypeError:
            return len(self._encode(without_surrogates(text)))

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text, in order."""
        return [self.count(text) for text in texts]

    def fits(self, text: str, limit: int) -> bool:
        """Whether a text has at most `limit` tokens; a far longer one isn't looked at whole."""
        if len(text) > 32 * limit:
            return self._other().fits(text, limit)
        return self.count(text) <= limit

    def prefix(self, text: str, limit: int) -> str:
        """The longest prefix of at most `limit` tokens."""
        return longest_prefix(self.count, text, limit)

    @property
    def resting(self) -> bool:
        """Whether the spare counter counts."""
        return self._encode is None

    def _other(self) -> Spare:
        if self._spare is None:
            self._spare = self._make_spare()
        return self._spare

    def _look(self) -> None:
        self._left_letters = LOOK_LETTERS
        if self._encode is None:
            self._encode = self._load()
            self._start_bytes = self._memory_bytes()
        elif self._memory_bytes() - self._start_bytes > MAX_GROWTH_BYTES:
            self._encode = None
            self._left_letters = self._rest_letters


def agree(encode: Encode, counts: Sequence[int]) -> bool:
    """Whether a tokenizer counts the probe as the oracle does."""
    return [len(encode(text)) for text in probe_texts()] == list(counts)


def of_vocabulary(name: str, tokens: Sequence[bytes]) -> Encode:
    """gigatoken with a vocabulary of OpenAI's.

    Raises:
        ImportError: When gigatoken isn't there.
    """
    from gigatoken.gigatoken_rs import BPETokenizer

    lines = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))
    file = os.memfd_create(f"weir-{name}")
    try:
        with os.fdopen(file, "wb", closefd=False) as out:
            out.write(lines)
        return BPETokenizer.from_tiktoken(f"/proc/self/fd/{file}", _SCHEMES[name]).encode
    finally:
        os.close(file)


def of_json(data: bytes) -> Encode:
    """gigatoken with a `tokenizer.json`. It may end the process on a bad one: try in a child first.

    Raises:
        ImportError: When gigatoken isn't there.
        ValueError: When it is of a kind that gigatoken lacks.
    """
    from gigatoken.gigatoken_rs import load_hf_json

    return load_hf_json(data).encode


def resident_bytes() -> int:
    """Memory that this process holds."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
