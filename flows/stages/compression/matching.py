"""Finds the terms of a question in a text.

One `str.find` per term over the whole text, then a look at the word around each find: that is 30 times
faster than taking the text to words. What a word of the text is worth is remembered per term.
"""

import re
from typing import NamedTuple

from flows.stages.compression.query import Term
from flows.stages.compression.words import near, root, stem

MAX_FINDS = 50_000
"""Finds of one needle that are looked at: the bound for hostile texts."""
MAX_FUZZY_CHARS = 2_000_000
"""Longest text in which misspelt terms are looked for."""

_WORD = re.compile(r"[^\W_]{1,64}")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
COMPOUND_CHARS = 5
"""A term of so many characters is found at the end of a compound, too: `number` in `phonenumber`."""

_COMPOUND_WORTH = 0.6
_FORM_WORTH, _ROOT_WORTH, _PREFIX_WORTH, _FUZZY_WORTH = 0.7, 0.8, 0.45, 0.7


class Hit(NamedTuple):
    """A term in the text."""

    start: int
    """Where its word begins."""
    end: int
    """Where it ends."""
    term: int
    """Number of the term in the question."""
    worth: float
    """How well it matches, over 0 to 1."""


def folded(text: str) -> str:
    """The text in lower case, sign for sign at the same place."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "I").lower()


def find_terms(text: str, low: str, terms: tuple[Term, ...]) -> list[list[Hit]]:
    """The hits of each term, in order. `low` is the text, folded."""
    found: list[list[Hit]] = []
    for number, term in enumerate(terms):
        hits = _exact(low, term, number) if term.exact else _inflected(text, low, term, number)
        if not hits and len(low) <= MAX_FUZZY_CHARS:
            hits = _misspelt(low, term, number)
        found.append(hits)
    return found


def worth(term: Term, word: str) -> float:
    """How well a word of the text matches a term, 0 to 1."""
    if word == term.word:
        return 1.0
    stemmed = stem(word)
    if stemmed == term.stem:
        return 1.0
    if term.word.isdigit():
        return _FORM_WORTH if word in term.forms else 0.0
    if word in term.forms:
        return _FORM_WORTH
    rooted = root(stemmed)
    if len(rooted) >= 4 and (rooted in (term.root, term.stem) or stemmed == term.root):
        return _ROOT_WORTH
    shared = 0
    for mine, other in zip(stemmed, term.stem, strict=False):
        if mine != other:
            break
        shared += 1
    return _PREFIX_WORTH if shared >= 5 and shared >= 0.6 * max(len(stemmed), len(term.stem)) else 0.0


def _exact(low: str, term: Term, number: int) -> list[Hit]:
    hits: list[Hit] = []
    size = len(term.word)
    at = low.find(term.word)
    while at >= 0 and len(hits) < MAX_FINDS:
        hits.append(Hit(at, at + size, number, 1.0))
        at = low.find(term.word, at + size)
    return hits


def _needles(term: Term) -> list[str]:
    """What to search for: beginnings that every matching word has."""
    shared = 0
    while shared < min(5, len(term.word), len(term.stem)) and term.word[shared] == term.stem[shared]:
        shared += 1
    needles = [term.word[:shared]]
    for form in sorted(term.forms):
        if not any(form.startswith(needle) for needle in needles):
            needles.append(form[:5])
    return needles


def _inflected(text: str, low: str, term: Term, number: int) -> list[Hit]:
    hits: list[Hit] = []
    seen = term.seen
    needles = _needles(term)
    for needle in needles:
        size = len(needle)
        at = low.find(needle)
        for _ in range(MAX_FINDS):
            if at < 0:
                break
            match = _WORD.match(low, at)
            end = match.end() if match else at + size
            before = text[at - 1] if at else " "
            if not before.isalnum() or (before.islower() and text[at].isupper()):
                word = low[at:end]
                value = seen.get(word)
                if value is None:
                    value = seen[word] = worth(term, word) or _camel_worth(term, text[at:end])
                if value:
                    hits.append(Hit(at, end, number, value))
            elif len(term.stem) >= COMPOUND_CHARS and stem(low[at:end]) == term.stem:
                hits.append(Hit(at, end, number, _COMPOUND_WORTH))
            at = low.find(needle, at + size)
    if len(needles) > 1:
        hits.sort()
    return hits


def _camel_worth(term: Term, word: str) -> float:
    """What the first part of a word in camel case is worth."""
    match = _CAMEL.match(word)
    return worth(term, match.group().lower()) if match and match.end() < len(word) else 0.0


def _misspelt(low: str, term: Term, number: int) -> list[Hit]:
    """Words near a term that the text does not know."""
    size = len(term.word)
    if size < 5 or not (term.word.isascii() and term.word.isalpha()):
        return []
    pattern = re.compile(f"{term.word[:2]}[a-z]{{{size - 4},{size}}}(?![a-z])")
    hits: list[Hit] = []
    for match in pattern.finditer(low):
        word = match.group()
        if word not in term.seen:
            term.seen[word] = _FUZZY_WORTH if near(term.word, word) else 0.0
        if term.seen[word] and not low[max(0, match.start() - 1) : match.start()].isalnum():
            hits.append(Hit(match.start(), match.end(), number, _FUZZY_WORTH))
    return hits
