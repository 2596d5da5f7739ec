"""Cuts a text, markdown or plain, into passages that can be quoted alone. Pure.

A passage is a sentence, a list item, a row of a table or a line of code, without its markers. Headings are
never passages; they and the line that introduces a list (it ends with a colon) go along as words that weigh.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sentence", "item", "row", "code"]

MAX_ITEM_CHARS = 280
"""A longer list item is cut into its sentences."""
MAX_CODE_CHARS = 160
"""A longer line of code is not quoted."""
TITLE_WORDS = 3
"""A first sentence of at most so many words is a title."""

_FENCE = re.compile(r"^\s*(```+|~~~+)\s*([\w+-]*)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^\s*(=+|-{2,})\s*$")
_RULE = re.compile(r"^\s*(?:[-*_]\s*){3,}$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_TABLE_LINE = re.compile(r"^[\s|:-]+$")
_SENTENCE_END = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"')\]]))\s+(?=[\"'(\[]?[A-Z0-9`À-Þ])|(?<=[。！？])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|No|Fig|approx|incl|[A-Z])\.$")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|!?\[([^\]]+)\]\[[^\]]*\]")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_STARS = re.compile(r"(?<![\w*])(\*{1,2})(?=[^\s*])([^*]+)(?<=\S)\1(?![\w*])")
_MARKS = re.compile(r"[*_~]")
_SHELLS = frozenset({"", "sh", "bash", "shell", "console", "text", "zsh"})


@dataclass(frozen=True, slots=True)
class Passage:
    """What may be quoted."""

    text: str
    """Its words, without markers."""
    kind: Kind
    """What it was."""
    lead: str = ""
    """The line that introduced the list or code it stands in, colon included."""
    trail: str = ""
    """The headings above it, outermost first."""


@dataclass(slots=True)
class _Reader:
    """What is open while the lines go by."""

    passages: list[Passage] = field(default_factory=list[Passage])
    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    lines: list[str] = field(default_factory=list[str])
    table: list[list[str]] = field(default_factory=list[list[str]])
    code: list[str] = field(default_factory=list[str])
    fence: str = ""
    shell: bool = False
    in_item: bool = False
    lead: str = ""

    def line(self, line: str) -> None:
        """Take one line."""
        fence = _FENCE.match(line)
        if self.fence:
            if fence and fence[1].startswith(self.fence) and not fence[2]:
                self._end_code()
            else:
                self.code.append(line.strip())
        elif fence:
            self.flush()
            self.fence, self.shell = fence[1], fence[2].lower() in _SHELLS
        elif line.lstrip().startswith("|"):
            if not self.table:
                self._end_text()
            self.table.append([clean(cell) for cell in line.strip().strip("|").split("|")])
        else:
            self._text_line(line.lstrip().removeprefix(">") if line.lstrip().startswith(">") else line)

    def _text_line(self, line: str) -> None:
        self._end_table()
        if not line.strip():
            self._end_text()
        elif heading := _HEADING.match(line):
            self._end_text()
            self._head(len(heading[1]), heading[2])
        elif self.lines and not self.in_item and _UNDERLINE.match(line):
            text, self.lines = " ".join(self.lines), []
            self._head(1 if "=" in line else 2, text)
        elif _RULE.match(line):
            self._end_text()
        elif item := _ITEM.match(line):
            self._end_text()
            self.in_item = True
            self.lines.append(line[item.end() :].strip())
        else:
            self.lines.append(line.strip())

    def flush(self) -> None:
        """End what is open."""
        self._end_table()
        self._end_text()

    def _head(self, level: int, text: str) -> None:
        self.headings = [found for found in self.headings if found[0] < level]
        self.headings.append((level, clean(text)))
        self.lead = ""

    def _end_text(self) -> None:
        if not self.lines:
            return
        text, in_item = clean(" ".join(self.lines)), self.in_item
        self.lines, self.in_item = [], False
        if in_item and len(text) <= MAX_ITEM_CHARS and not text.endswith(":"):
            self._add(text, "item", self.lead)
            return
        found = sentences(text)
        lead, topic = (self.lead, found[0] if found else "") if in_item else ("", "")
        if found and found[-1].endswith(":"):
            self.lead = found.pop()
        elif not in_item:
            self.lead = ""
        for sentence in found:
            self._add(sentence, "sentence", lead if sentence is topic else "", topic)

    def _end_table(self) -> None:
        rows, self.table = self.table, []
        ruled = len(rows) > 1 and all(_TABLE_LINE.fullmatch(cell or "-") for cell in rows[1])
        names = rows[0] if ruled else []
        for row in rows[2:] if ruled else rows:
            cells = [
                f"{names[place]}: {cell}" if place and place < len(names) and names[place] else cell
                for place, cell in enumerate(row)
                if cell
            ]
            if len(cells) > 1:
                self._add(f"{cells[0]} — {'; '.join(cells[1:])}", "row", "", " ".join(names))

    def _end_code(self) -> None:
        found = [line for line in self.code if line and len(line) <= MAX_CODE_CHARS]
        if self.shell or len(found) <= 2:
            for line in found:
                self._add(line.removeprefix("$ "), "code", self.lead)
        self.code, self.fence = [], ""

    def _add(self, text: str, kind: Kind, lead: str = "", topic: str = "") -> None:
        if any(char.isalnum() for char in text):
            trail = " ".join([*(heading for _, heading in self.headings), topic]).strip()
            self.passages.append(Passage(text, kind, lead, trail))


def passages(text: str) -> list[Passage]:
    """The passages of a text, in its order."""
    reader = _Reader()
    for line in _without_front_matter(_COMMENT.sub(" ", text)).splitlines():
        reader.line(line)
    reader.flush()
    return reader.passages


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; an abbreviation ends none, and a title in front stays with the first."""
    found: list[str] = []
    for part in filter(str.strip, _SENTENCE_END.split(text)):
        titled = len(found) == 1 and found[0].count(" ") < TITLE_WORDS and found[0][-1] not in "。！？"
        if found and (titled or _ABBREVIATION.search(found[-1])):
            found[-1] = f"{found[-1]} {part.strip()}"
        else:
            found.append(part.strip())
    return found


def clean(text: str) -> str:
    """The text without markdown's markers: links become their words, emphasis and tags go."""
    if "[" in text:
        text = _LINK.sub(lambda link: link[1] or link[2] or "", text)
    if "<" in text:
        text = _TAG.sub("", text)
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts = [text.replace("`", "")]
    # What stands between backticks keeps its stars and underscores.
    parts[::2] = [_EMPHASIS.sub(r"\2", part) if _MARKS.search(part) else part for part in parts[::2]]
    joined = " ".join("".join(parts).split())
    return _STARS.sub(r"\2", joined) if "*" in joined else joined


def _without_front_matter(text: str) -> str:
    if not text.startswith("---\n"):
        return text
    end = text.find("\n---", 3)
    return text if end < 0 else text[end + 4 :]
