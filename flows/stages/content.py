"""What kind of text it is, by a look at a sample: tokenizers differ by kind more than by anything else.

A text is cut into pieces of 4,096 characters, each of one class. The look costs some microseconds a piece.
"""

from bisect import bisect_right
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

PIECE_LETTERS = 4096
"""Characters of a piece."""
_SAMPLE_LETTERS = 512
"""Characters that are looked at."""


class Content(StrEnum):
    """A class of text."""

    PROSE = "prose"
    """Words in Latin letters."""
    CODE = "code"
    """Programs and markup: many signs between the words."""
    DATA = "data"
    """JSON and tables of quoted values: many quotation marks."""
    DIGITS = "digits"
    """Logs, tables, ids: many digits."""
    ACCENTED = "accented"
    """Latin letters, many with marks."""
    CJK = "cjk"
    """Chinese, Japanese, Korean."""
    CYRILLIC = "cyrillic"
    """Cyrillic and Greek."""
    ARABIC = "arabic"
    """Arabic and Hebrew."""
    INDIC = "indic"
    """The scripts of India."""
    SCRIPT = "script"
    """Thai and every other script."""
    SIGNS = "signs"
    """Symbols and emoji."""


LATIN = frozenset({Content.PROSE, Content.CODE, Content.DATA, Content.DIGITS, Content.ACCENTED})
"""Classes in Latin letters: all tokenizers know them, and differ little."""


_STARTS: tuple[tuple[int, Content], ...] = (
    (0x0000, Content.ACCENTED),
    (0x0370, Content.CYRILLIC),
    (0x0530, Content.SCRIPT),
    (0x0590, Content.ARABIC),
    (0x0780, Content.SCRIPT),
    (0x0900, Content.INDIC),
    (0x0E00, Content.SCRIPT),
    (0x1100, Content.CJK),
    (0x1200, Content.SCRIPT),
    (0x1E00, Content.ACCENTED),
    (0x2000, Content.SIGNS),
    (0x2E80, Content.CJK),
    (0xA000, Content.SCRIPT),
    (0xAC00, Content.CJK),
    (0xD7B0, Content.SCRIPT),
    (0xF900, Content.CJK),
    (0xFB00, Content.ARABIC),
    (0xFE30, Content.CJK),
    (0xFE70, Content.ARABIC),
    (0xFF00, Content.CJK),
    (0xFFF0, Content.SCRIPT),
    (0x1D000, Content.SIGNS),
    (0x20000, Content.CJK),
    (0x40000, Content.SCRIPT),
)
"""First code point of each range, and what is written there."""
_FIRSTS = [first for first, _ in _STARTS]
_DIGITS = b"0123456789"
_QUOTES = b'"'
_SIGNS = b'{}()[]<>;=_#$@|&*+\\/"`~^%:'
_FOREIGN_SHARE, _MARKED_SHARE = 0.2, 0.02
_DIGITS_SHARE, _SIGNS_SHARE, _QUOTES_SHARE = 0.15, 0.06, 0.05


def classify(text: str) -> Content:
    """The class of a text, by the characters at its beginning, middle and end."""
    sample = _sample(text)
    plain = sample.encode("ascii", "ignore")
    foreign = len(sample) - len(plain)
    if foreign > _MARKED_SHARE * len(sample):
        script = _script(sample)
        if script is not Content.ACCENTED and foreign > _FOREIGN_SHARE * len(sample):
            return script
        if script is Content.ACCENTED:
            return script
    if _share(plain, _QUOTES) > _QUOTES_SHARE:
        return Content.DATA
    if _share(plain, _DIGITS) > _DIGITS_SHARE:
        return Content.DIGITS
    return Content.CODE if _share(plain, _SIGNS) > _SIGNS_SHARE else Content.PROSE


def _share(plain: bytes, letters: bytes) -> float:
    """Share of some letters in a text."""
    return (len(plain) - len(plain.translate(None, letters))) / max(len(plain), 1)


def _sample(text: str) -> str:
    if len(text) <= _SAMPLE_LETTERS:
        return text
    part, middle = _SAMPLE_LETTERS // 4, len(text) // 2
    return text[:part] + text[middle - part : middle + part] + text[-part:]


def _script(sample: str) -> Content:
    """What most of the characters beyond ASCII belong to."""
    found = Tally(_STARTS[bisect_right(_FIRSTS, ord(letter)) - 1][1] for letter in sample if letter > "\x7f")
    return found.most_common(1)[0][0]


@dataclass(frozen=True, slots=True)
class Measured:
    """Our own count of a request's texts, by class."""

    tokens: Mapping[Content, int] = field(default_factory=dict[Content, int])
    """Tokens of each class."""
    utf8_bytes: Mapping[Content, int] = field(default_factory=dict[Content, int])
    """Length of each class in UTF-8: no tokenizer of bytes makes more tokens of it."""
    flat_tokens: int = 0
    """Tokens that are known and not text of the request: the envelope, pictures."""

    @property
    def text_tokens(self) -> int:
        """Tokens of all texts."""
        return sum(self.tokens.values())

    @property
    def most_tokens(self) -> int:
        """More than any tokenizer of bytes makes of it."""
        return sum(self.utf8_bytes.values()) + self.flat_tokens

    def with_flat(self, flat_tokens: int) -> "Measured":
        """The same texts, with another envelope."""
        return self if flat_tokens == self.flat_tokens else replace(self, flat_tokens=flat_tokens)


class Counter(Protocol):
    """Counts tokens; see `flows.ports.Counter`."""

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        ...


def measure(texts: Sequence[str], counter: Counter, flat_tokens: int = 0) -> Measured:
    """Count texts by class, with one call of the counter."""
    return measure_many([texts], counter, [flat_tokens])[0]


def measure_many(
    groups: Sequence[Sequence[str]], counter: Counter, flat_tokens: Sequence[int]
) -> list[Measured]:
    """Count the texts of many requests by class, with one call of the counter for all."""
    pieces = [[piece for text in group for piece in _pieces(text)] for group in groups]
    counts = iter(counter.count_many([piece for group in pieces for piece in group]))
    return [_measured(group, counts, flat) for group, flat in zip(pieces, flat_tokens, strict=True)]


def _measured(pieces: Sequence[str], counts: Iterator[int], flat_tokens: int) -> Measured:
    tokens: dict[Content, int] = {}
    utf8_bytes: dict[Content, int] = {}
    for piece in pieces:
        kind = classify(piece)
        tokens[kind] = tokens.get(kind, 0) + next(counts)
        utf8_bytes[kind] = utf8_bytes.get(kind, 0) + _bytes(piece)
    return Measured(tokens, utf8_bytes, flat_tokens)


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + PIECE_LETTERS] for at in range(0, len(text), PIECE_LETTERS))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
