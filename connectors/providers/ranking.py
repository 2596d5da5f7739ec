"""How well passages answer a question: Okapi BM25 with light stems, headings and hints. Pure.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, for the formula.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from connectors.providers.passages import Passage

K1 = 1.2
"""How soon a repeated word stops counting."""
B = 0.5
"""How much length is held against a passage."""
TRAIL_RATIO = 0.45
"""What a word is worth that stands in a heading above, and not in the passage."""
TOPIC_TERMS = 12
"""How many of a text's frequent words stand in for the question when a summary is asked."""
MIN_WORDS = 4
"""A shorter passage says little."""

_WORD = re.compile(r"[^\W_]+|[぀-ヿ㐀-鿿]")
_WIDE = re.compile(r"[぀-ヿ㐀-鿿]")
_SUFFIXES = ("ations", "ation", "ments", "ment", "ings", "ing", "ions", "ion", "ed", "es", "ly", "s", "e")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be been being but by can could did do does doing for from get had has have "
        "he her here his how i if in into is it its itself just me may might must my no nor not of on or our "
        "out own shall she should so some such than that the their them then there these they this those to "
        "too us was we were what when where which while who whom whose why will with would you your please "
        "tell explain describe give show about say says s t re ve ll d m",
    )
)
_SUMMARY = re.compile(
    r"\b(summar\w*|overview|gist|tl;?dr|main points?|key points?|in short)\b", re.IGNORECASE
)
_AMOUNT = re.compile(r"\bhow (many|much|long|often|large|big|fast|far)\b|\bwhen\b|\bnumber\b", re.IGNORECASE)
_REASON = re.compile(r"\bwhy\b|\breason", re.IGNORECASE)
_MANNER = re.compile(r"\bhow (do|can|to|should|would)\b|\bcommand|\brun\b", re.IGNORECASE)
_BECAUSE = re.compile(r"\b(because|since|so that|therefore|thus|else|otherwise|instead)\b|:", re.IGNORECASE)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without its ending, so that its forms meet; rough on purpose."""
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith(("ies", "ied")):
        return word[:-3] + "y"
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not (suffix == "s" and word[-2] == "s"):
            word = word[: -len(suffix)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def words(text: str) -> list[str]:
    """The stems of a text, in order; each wide character is a word."""
    found = _WORD.findall(text.lower())
    if not text.isascii() and _WIDE.search(text):
        found = [part for word in found for part in (word if _WIDE.search(word) else (word,))]
    return [stem(word) for word in found]


def terms_of(question: str, found: Sequence[Passage]) -> list[str]:
    """What to look for, in the question's order; for a summary, the text's own frequent words."""
    if _SUMMARY.search(question):
        counts = Counter(word for passage in found for word in words(passage.text))
        common = [word for word, _ in counts.most_common() if len(word) > 3 and word not in _STOPS]
        return common[:TOPIC_TERMS]
    asked = list(dict.fromkeys(words(question)))
    return [word for word in asked if word not in _STOPS] or asked


def scores(question: str, found: Sequence[Passage]) -> list[float]:
    """How well each passage answers; 0 where it has no word of the question, not even above it."""
    terms = terms_of(question, found)
    texts = [words(f"{passage.lead} {passage.text}") for passage in found]
    wanted = frozenset(terms)
    trails = {trail: wanted.intersection(words(trail)) for trail in {passage.trail for passage in found}}
    counts = [Counter(word for word in text if word in wanted) for text in texts]
    rarity = _rarity(terms, counts)
    mean = sum(map(len, texts)) / max(len(texts), 1)
    pairs = {(one, two): rarity[one] + rarity[two] for one, two in pairwise(terms)}
    result: list[float] = []
    for passage, text, count in zip(found, texts, counts, strict=True):
        score = _score(count, trails[passage.trail], rarity, len(text) / max(mean, 1.0))
        if len(count) > 1:
            score += 0.3 * sum(pairs.get(pair, 0.0) for pair in set(pairwise(text)))
        result.append(score * _hints(question, passage, text, terms) if score else 0.0)
    if _SUMMARY.search(question):
        return [score * _weight_in_summary(place, found[place]) for place, score in enumerate(result)]
    return result


def _weight_in_summary(place: int, passage: Passage) -> float:
    """A text says first what it is about, and seldom in tables and code."""
    return (1 + 3 / (1 + place)) * (0.3 if passage.kind in ("row", "code") else 1.0)


def _rarity(terms: Sequence[str], counts: Sequence[Counter[str]]) -> dict[str, float]:
    total = len(counts)
    having = Counter(term for count in counts for term in count)
    return {term: math.log(1 + (total - having[term] + 0.5) / (having[term] + 0.5)) for term in terms}


def _score(count: Counter[str], above: frozenset[str], rarity: dict[str, float], length: float) -> float:
    """BM25, less where the passage covers only a part of the question."""
    damp = K1 * (1 - B + B * length)
    score = covered = 0.0
    for term, weight in rarity.items():
        if times := count[term]:
            score += weight * times * (K1 + 1) / (times + damp)
            covered += weight
        elif term in above:
            score += weight * TRAIL_RATIO
            covered += weight * TRAIL_RATIO
    whole = sum(rarity.values())
    return score * (0.4 + 0.6 * covered / whole) if whole else 0.0


def _hints(question: str, passage: Passage, text: Sequence[str], terms: Sequence[str]) -> float:
    """What the form of the question says about the form of its answer, as a factor."""
    factor = 0.5 if len(text) < MIN_WORDS and passage.kind != "code" else 1.0
    if passage.kind == "code":
        factor *= 1.3 if _MANNER.search(question) else 0.6
    if passage.kind == "row":
        factor *= 0.8
    if passage.text.endswith("?"):
        factor *= 0.5
    if _AMOUNT.search(question) and any(char.isdigit() for char in passage.text):
        factor *= 1.3
    if _REASON.search(question) and _BECAUSE.search(passage.text):
        factor *= 1.2
    if any(term in text[:4] for term in terms):
        factor *= 1.15
    return factor


_STOPS = frozenset(stem(word) for word in _STOP) | _STOP
