"""Cuts a text into blocks: headers, paragraphs, fences, tables, lines of a log.

Blocks are places in the text, in order, without overlap; between them stands only white space. Each block
knows the header it stands under. Cutting is linear in the length of the text.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_BLOCK_CHARS = 4_000
"""A paragraph that is longer is cut at the end of a sentence, else at a space."""

_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
_FENCE_MARKS = ("```", "~~~")
_BLANK = re.compile(r"\n(?:[^\S\n]*\n)+")
_HEADER = re.compile(r"#{1,6}[ \t]+[^\n]*")
_LOG_LINE = re.compile(
    r"\W{0,2}(?:\d{4}[-/]\d\d[-/]\d\d[T ,]+\d\d:\d\d|\w{3} +\d{1,2} \d\d:\d\d:\d\d|\d\d:\d\d:\d\d|"
    r"\d{1,3}(?:\.\d{1,3}){3} |\d{9,13}\b|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|TRACE)\b)"
)
_LOG_LINES, _PROBED_LINES, _LOG_SHARE = 4, 40, 0.6
_SPACE = re.compile(r"\s")
_SENTENCE_END = re.compile(r"[.!?。！？][\"”’')\]]*\s+")


class Block(NamedTuple):
    """A piece of the text that hangs together."""

    start: int
    """Where it begins."""
    end: int
    """Where it ends; not part of it."""
    kind: str
    """`header`, `prose`, `fence`, `table` or `log`."""
    header: int
    """Number of the header block that it stands under; -1 where there is none."""


def blocks_of(text: str) -> list[Block]:
    """The blocks of a text, in order. A header with nothing under it is prose."""
    found: list[Block] = []
    header = -1
    at = 0
    for start, end in _fences(text):
        header = _add_paragraphs(text, at, start, header, found)
        found.append(Block(start, end, "fence", header))
        at = end
    _add_paragraphs(text, at, len(text), header, found)
    used = {block.header for block in found}
    return [
        block._replace(kind="prose") if block.kind == "header" and number not in used else block
        for number, block in enumerate(found)
    ]


def _fences(text: str) -> Iterator[tuple[int, int]]:
    """Fenced code, from its opening to its closing line. One that is never closed is none."""
    opening: re.Match[str] | None = None
    for match in _fence_lines(text):
        if opening is None:
            opening = match
        elif match.group().strip().startswith(opening.group(1)) and match.group().strip().strip("`~") == "":
            yield opening.start(), match.end()
            opening = None


def _fence_lines(text: str) -> Iterator[re.Match[str]]:
    """Lines that open or close a fence. Only those with a mark in them are looked at."""
    at = 0
    marks = [text.find(mark) for mark in _FENCE_MARKS]
    while (found := min((mark for mark in marks if mark >= 0), default=-1)) >= 0:
        line = text.rfind("\n", at, found) + 1 or at
        if match := _FENCE.match(text, line):
            yield match
        end = text.find("\n", found)
        if end < 0:
            return
        at = end + 1
        marks = [
            text.find(mark, at) if 0 <= where < at else where
            for mark, where in zip(_FENCE_MARKS, marks, strict=True)
        ]


def _add_paragraphs(text: str, start: int, end: int, header: int, found: list[Block]) -> int:
    """Add what stands between two fences; the number of the last header."""
    at = start
    for match in _BLANK.finditer(text, start, end):
        header = _add_paragraph(text, at, match.start(), header, found)
        at = match.end()
    return _add_paragraph(text, at, end, header, found)


def _add_paragraph(text: str, start: int, end: int, header: int, found: list[Block]) -> int:
    """Add what stands between two blank lines: bodies, and header lines between them."""
    body = start
    if text.find("#", start, end) >= 0:
        for line, stop in lines_of(text, start, end):
            if text[line] == "#" and _HEADER.match(text, line, stop):
                _add_body(text, body, line, header, found)
                header, body = len(found), stop
                found.append(Block(line, stop, "header", -1))
    _add_body(text, body, end, header, found)
    return header


def _add_body(text: str, start: int, end: int, header: int, found: list[Block]) -> None:
    body = text[start:end].rstrip()
    end = start + len(body)
    start = end - len(body.lstrip("\n"))
    if start == end:
        return
    kind = _kind(text, start, end) if "\n" in body else "prose"
    if kind == "log":
        found.extend(Block(*line, kind, header) for line in lines_of(text, start, end))
    elif kind == "table" or end - start <= MAX_BLOCK_CHARS:
        found.append(Block(start, end, kind, header))
    else:
        found.extend(Block(*piece, kind, header) for piece in _cut(text, start, end))


def lines_of(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines that aren't blank, without their ends."""
    at = start
    while at < end:
        stop = text.find("\n", at, end)
        stop = end if stop < 0 else stop
        if not text[at:stop].isspace() and stop > at:
            yield at, stop
        at = stop + 1


def _kind(text: str, start: int, end: int) -> str:
    """What the lines of a paragraph are, by its first ones."""
    probed = text[start : min(end, start + 20_000)].split("\n", _PROBED_LINES)[:_PROBED_LINES]
    if sum([line.count("|") >= 2 or line.count("\t") >= 2 for line in probed]) >= 0.8 * len(probed):
        return "table"
    if len(probed) < _LOG_LINES:
        return "prose"
    logged = sum(1 for line in probed if _LOG_LINE.match(line))
    return "log" if logged >= max(_LOG_LINES, _LOG_SHARE * len(probed)) else "prose"


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A long paragraph in pieces; a word is never cut, so a piece may be longer than the bound."""
    while end - start > MAX_BLOCK_CHARS:
        limit = start + MAX_BLOCK_CHARS
        cut = text.rfind("\n", start + MAX_BLOCK_CHARS // 2, limit) + 1
        if not cut:
            ends = [
                match.end() for match in _SENTENCE_END.finditer(text, start + MAX_BLOCK_CHARS // 2, limit)
            ]
            cut = ends[-1] if ends else text.rfind(" ", start + 1, limit) + 1
        if not cut:
            space = _SPACE.search(text, limit, end)
            cut = space.end() if space else end
        yield start, cut
        start = cut
    if start < end:
        yield start, end
