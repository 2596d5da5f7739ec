"""Documents, a counter, and the rules that every compressed text must keep."""

import re

from hypothesis import strategies as st

from flows.stages.compression.assembly import GAP
from flows.stages.compression.records import Compressed

_TOKEN = re.compile(r"[A-Za-z]{1,9}|\d{1,3}|[^\sA-Za-z\d]|\s{2,}")
_WORDS = [
    *("river", "dam", "lake", "stone", "Anna", "Berlin", "Peru", "1912", "3.75", "2,400", "water", "flow"),
    *("rises", "built", "bridge", "engineer", "not", "under", "valley", "storm", "gate", "keeper", "tower"),
    *("Marta", "opened", "closed", "twice", "city"),
]


class WordCounter:
    """Counts pieces of words; near enough to a tokenizer, and no vocabulary to load."""

    kind = "estimate"

    def __init__(self) -> None:
        self.counts = 0

    def count(self, text: str) -> int:
        """Tokens of a text."""
        self.counts += 1
        return len(_TOKEN.findall(text))

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        return [self.count(text) for text in texts]


def sentences() -> st.SearchStrategy[str]:
    """A sentence of 3 to 14 words."""
    return st.lists(st.sampled_from(_WORDS), min_size=3, max_size=14).map(
        lambda words: " ".join(words).capitalize() + "."
    )


def paragraphs() -> st.SearchStrategy[str]:
    """Prose, code, a table, a list or lines of a log."""
    prose = st.lists(sentences(), min_size=1, max_size=5).map(" ".join)
    lines = st.lists(sentences(), min_size=1, max_size=6)
    code = lines.map(lambda each: "```python\ndef " + "\n    ".join(["f(a, b):", *each]) + "\n```")
    table = lines.map(lambda each: "\n".join(["| a | b |", "|---|---|", *(f"| 1 | {x} |" for x in each)]))
    items = lines.map(lambda each: "\n".join(f"- {x}" for x in each))
    log = lines.map(lambda each: "\n".join(f"2026-01-0{at} 10:00:00 INFO {x}" for at, x in enumerate(each)))
    return st.one_of(prose, prose, code, table, items, log)


def documents() -> st.SearchStrategy[str]:
    """A text of up to twelve paragraphs, some under headers."""
    header = st.one_of(st.just(""), sentences().map(lambda words: f"## {words}\n"))
    section = st.tuples(header, paragraphs()).map("".join)
    return st.lists(section, min_size=1, max_size=12).map("\n\n".join)


def faults(source: str, result: Compressed, budget_tokens: int) -> set[str]:
    """The rules that a compressed text breaks."""
    found: set[str] = set()
    if result.after_tokens > budget_tokens or WordCounter().count(result.text) != result.after_tokens:
        found.add("budget")
    if not result.text:
        return found
    at = 0
    pieces = [piece.strip() for piece in result.text.split(GAP)]
    for number, piece in enumerate(pieces):
        place = source.find(piece, at)
        if place < 0:
            return found | {"extractive"}
        if _inside_word(source, place) or _inside_word(source, place + len(piece)):
            found.add("whole words")
        if number == 0 and piece and source[:place].strip():
            found.add("gap")
        at = place + len(piece)
    if pieces[-1] and source[at:].strip() and not source.rstrip().endswith(pieces[-1]):
        found.add("gap")
    if len(re.findall("(?m)^```", source)) % 2 == 0 and len(re.findall("(?m)^```", result.text)) % 2:
        found.add("fences")
    return found


def _inside_word(source: str, at: int) -> bool:
    return 0 < at < len(source) and source[at - 1].isalnum() and source[at].isalnum()
