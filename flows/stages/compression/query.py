"""Reads a question: its terms, and what kind of answer it looks for."""

import re
from dataclasses import dataclass, field

from flows.stages.compression.words import STOP_WORDS, forms, root, stem

MAX_TERMS = 48
"""Terms of a question that are looked for; of longer questions the last ones are left out."""
MAX_QUERY_CHARS = 8_000
"""Characters of a question that are read."""

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9]+(?:[-_./:@][A-Za-z0-9]+)+|\w*\d\w*|\w+_\w+")
_JOINT = re.compile(r"[-./:@]")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f\uac00-\ud7af]+")

_CUES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (cue, re.compile(pattern))
    for cue, pattern in (
        (
            "date",
            r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|time|century)|\bhow long ago\b|\byear\b",
        ),
        (
            "number",
            r"\bhow (?:many|much|long|old|far|tall|big|high|large|deep|fast|often|wide|heavy|hot|cold)\b|"
            r"\b(?:number|percentage|percent|population|amount|average|temperature|ratio|cost)\b",
        ),
        ("person", r"\bwho(?:se|m|s|'s)?\b|\bwhich (?:person|player|actor|team|king|president|author)"),
        (
            "place",
            r"\bwhere\b|\b(?:what|which) (?:country|city|state|place|town|continent|river|county)|\blocat",
        ),
    )
)
_FAULT = re.compile(
    r"\b(?:err(?:or)?s?|fail(?:s|ed|ure|ures|ing)?|faults?|caused?s?|wrong|crash(?:es|ed)?|exceptions?|why|"
    r"problems?|broken?|bugs?|issues?)\b"
)


@dataclass(slots=True)
class Term:
    """Something to look for in the text."""

    word: str
    """As asked, in lower case."""
    stem: str
    """Without its inflection."""
    root: str
    """Without its derivation either."""
    place: int
    """Place in the question; neighbours differ by one."""
    forms: frozenset[str] = frozenset()
    """Irregular forms that count as hits."""
    exact: bool = False
    """Whether it is an identifier, found as it stands, wherever it stands."""
    capital: bool = False
    """Whether the question writes it as a proper noun."""
    seen: dict[str, float] = field(default_factory=dict[str, float])
    """Words of the text met so far, and how well each one matches, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question, read."""

    terms: tuple[Term, ...]
    """What to look for, in the order of the question."""
    cue: str
    """The kind of answer: `date`, `number`, `person`, `place`, or nothing."""
    fault: bool
    """Whether it asks for what went wrong."""


def read_query(text: str) -> Query:
    """The terms and cues of a question; same question, same result."""
    text = text[:MAX_QUERY_CHARS]
    low = text.lower()
    terms = _terms(text, STOP_WORDS) or _terms(text, frozenset())
    terms += [term for term in _identifiers(text) if term.word not in {each.word for each in terms}]
    terms += _bigrams(low)
    cue = next((name for name, pattern in _CUES if pattern.search(low)), "")
    return Query(tuple(terms[:MAX_TERMS]), cue, bool(_FAULT.search(low)))


def _terms(text: str, stop: frozenset[str]) -> list[Term]:
    found: dict[str, Term] = {}
    for place, match in enumerate(_WORD.finditer(text)):
        word = match.group()
        if _UNSPACED.match(word):
            continue
        camel = [piece.lower() for piece in _CAMEL.findall(word)]
        pieces = [word.lower(), *(piece for piece in camel if len(camel) > 1 and len(piece) > 2)]
        for piece in pieces:
            if piece in stop or (len(piece) == 1 and not piece.isdigit()):
                continue
            key = stem(piece)
            if key not in found:
                capital = place > 0 and word[0].isupper()
                found[key] = Term(piece, key, root(key), place, forms(piece, key), capital=capital)
    return list(found.values())


def _identifiers(text: str) -> list[Term]:
    """Names of requests, files, functions, addresses: what has digits, or joints inside."""
    found: dict[str, Term] = {}
    for match in _IDENTIFIER.finditer(text):
        word = match.group().lower()
        long = len(word) >= 6 and any(sign.isdigit() for sign in word)
        if long or "_" in word or (len(word) > 6 and _JOINT.search(word)):
            found.setdefault(word, Term(word, word, word, -5, exact=True, capital=True))
    return list(found.values())


def _bigrams(low: str) -> list[Term]:
    """Pairs of signs where a script writes without spaces."""
    found: dict[str, Term] = {}
    for run in _UNSPACED.findall(low):
        for at in range(max(1, len(run) - 1)):
            pair = run[at : at + 2]
            found.setdefault(pair, Term(pair, pair, pair, -5, exact=True))
    return list(found.values())
