"""Cuts a block into parts: sentences, the head and statements of code, the head and rows of a table.

A part never ends inside a word or a number. The head of code (its fence and signature) and of a table (its
first rows) goes with any other part of it, and so does the closing fence.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from flows.stages.compression.blocks import Block

LONG_PART_CHARS = 400
"""A sentence that is longer is cut at a clause or a space."""
_MIN_BODY_CHARS = 120
_HEAD_LINES = 12

_ENDS = re.compile(
    r"[.!?\n。！？](?:(?<=[\n。！？])|(?<=[.!?])(?P<quotes>[\"”’')\]]*)\s+(?=[\"“‘'(\[]*[^\W_a-z]))"
)
"""Begins with a set of signs, which the search skips to: half the time of alternatives."""
_ABBREVIATIONS = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "st", "vs", "no", "vol", "jr", "sr", "prof", "gen", "col", "sgt", "lt"),
        *("capt", "inc", "ltd", "co", "corp", "etc", "e.g", "i.e", "u.s", "u.k", "fig", "al", "dept", "rev"),
        *("hon", "approx", "ed", "eds", "p", "pp", "ca", "c"),
    ]
)
_CLAUSE = re.compile(r"[,;:}\])]\s|\s")
_COMMENT = ("#", "//", "@", "/*", "*", '"""', "--")
_RULE = re.compile(r"[\s|:+=-]+$")


class Part(NamedTuple):
    """What is kept or dropped as one."""

    start: int
    """Where it begins."""
    end: int
    """Where it ends, the white space after it included."""
    role: str
    """`text`; `head`, which goes with all parts of its block; `body`; `close`, the last line of a fence."""


def parts_of(text: str, block: Block) -> list[Part]:
    """The parts of a block, in order, without gaps between them."""
    if block.kind == "fence":
        return _code(text, block.start, block.end)
    if block.kind == "table":
        return _table(text, block.start, block.end)
    if block.kind == "log":
        return [Part(block.start, block.end, "text")]
    return [Part(start, end, "text") for start, end in _sentences(text, block.start, block.end)]


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = start
    for match in _ENDS.finditer(text, start, end):
        if match.group(1) == "" and text[match.start()] == "." and _abbreviated(text, at, match.start()):
            continue
        stop = match.end()
        if stop - at < 3:
            continue
        found.append((at, stop))
        at = stop
    if at < end:
        found.append((at, end))
    if any(stop - begin > LONG_PART_CHARS for begin, stop in found):
        return [piece for span in found for piece in _clauses(text, *span)]
    return found


def _abbreviated(text: str, start: int, dot: int) -> bool:
    """Whether the word before a full stop is an abbreviation or an initial."""
    word = text[max(start, dot - 12) : dot].rpartition(" ")[2].lower().lstrip("(\"'[")
    return (
        word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or (2 < len(word) < 6 and "." in word)
    )


def _clauses(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONG_PART_CHARS:
        match = _CLAUSE.search(text, start + LONG_PART_CHARS // 2, end)
        if match is None:
            break
        yield start, match.end()
        start = match.end()
    if start < end:
        yield start, end


def _code(text: str, start: int, end: int) -> list[Part]:
    """The opening line with what introduces it and the signature; statements; the closing line."""
    lines = _whole_lines(text, start, end)
    if len(lines) <= 3:
        return [Part(start, end, "head")]
    last = len(lines) - 1
    first = 1
    while first < last and _introduces(text[slice(*lines[first])]):
        first += 1
    after, depth = first, 0
    while after < min(last, first + _HEAD_LINES):
        line = text[slice(*lines[after])]
        depth += line.count("(") - line.count(")") + line.count("[") - line.count("]")
        after += 1
        if depth <= 0:
            break
    after = min(max(after, 1), last)
    head = Part(start, lines[after - 1][1], "head")
    body = [Part(*span, "body") for span in _statements(text, lines[after:last])]
    return [head, *body, Part(*lines[last], "close")]


def _introduces(line: str) -> bool:
    line = line.strip()
    return not line or line.startswith(_COMMENT)


def _statements(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Groups of lines that begin at the smallest indent."""
    if not lines:
        return
    indents = [_indent(text[slice(*line)]) for line in lines]
    base = min((indent for indent in indents if indent >= 0), default=0)
    start, at = lines[0]
    for (begin, stop), indent in zip(lines, indents, strict=True):
        if 0 <= indent <= base and begin - start > _MIN_BODY_CHARS:
            yield start, begin
            start = begin
        at = stop
    yield start, at


def _indent(line: str) -> int:
    """White space before the first sign; -1 on a blank line."""
    bare = line.lstrip()
    return len(line) - len(bare) if bare else -1


def _table(text: str, start: int, end: int) -> list[Part]:
    """The first row, with the rule under it, and the other rows."""
    lines = _whole_lines(text, start, end)
    heads = 2 if len(lines) > 1 and _RULE.match(text[slice(*lines[1])]) else 1
    rows = [Part(*line, "body") for line in lines[heads:]]
    return [Part(start, lines[heads - 1][1], "head"), *rows]


def _whole_lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """All lines with their ends."""
    starts = [start, *(stop + 1 for _, stop in _breaks(text, start, end) if stop + 1 < end)]
    return list(zip(starts, [*starts[1:], end], strict=True))


def _breaks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = text.find("\n", start, end)
    while at >= 0:
        yield start, at
        at = text.find("\n", at + 1, end)
