"""Puts the text together again from what stays, and writes the record of what went."""

from flows.stages.compression.blocks import Block
from flows.stages.compression.packing import Unit
from flows.stages.compression.records import Dropped, Kept

GAP = "[…]"
"""Stands where something was left out."""


def assemble(text: str, blocks: list[Block], units: list[Unit]) -> str:
    """What stays, in its order, each header before what stands under it, a mark at each gap."""
    spans = _spans(blocks, units)
    if not spans:
        return ""
    pieces: list[str] = []
    if _lost(text, 0, spans[0][0]):
        pieces.append(f"{GAP}\n\n")
    for (start, end, block), (after, _, next_block) in zip(
        spans, [*spans[1:], (len(text), 0, -1)], strict=True
    ):
        if not _lost(text, end, after):
            pieces.append(text[start:after] if next_block >= 0 else text[start:end].rstrip())
            continue
        pieces.append(text[start:end].rstrip())
        pieces.append(_gap(blocks, block, next_block))
    return "".join(pieces)


def record(
    text: str, blocks: list[Block], units: list[Unit], any_kept: bool
) -> tuple[tuple[Kept, ...], tuple[Dropped, ...]]:
    """Runs of units that stayed and went."""
    kept: list[Kept] = []
    dropped: list[Dropped] = []
    last = ""
    for unit in units:
        state = "" if unit.kept and any_kept else unit.reason
        if not state:
            if last == "" and kept:
                kept[-1] = Kept(kept[-1].start, unit.end, kept[-1].units + 1)
            else:
                kept.append(Kept(unit.start, unit.end, 1))
        elif dropped and last == state:
            dropped[-1] = Dropped(dropped[-1].start, unit.end, dropped[-1].units + 1, state)
        else:
            dropped.append(Dropped(unit.start, unit.end, 1, state))
        last = state
    return tuple(kept), tuple(dropped)


def _spans(blocks: list[Block], units: list[Unit]) -> list[tuple[int, int, int]]:
    """What stays: from, to, and the block it belongs to; headers included."""
    spans: list[tuple[int, int, int]] = []
    shown = -1
    for unit in units:
        if not unit.kept:
            continue
        header = blocks[unit.block].header
        if header >= 0 and header != shown:
            shown = header
            spans.append((blocks[header].start, blocks[header].end, header))
        spans.append((unit.start, unit.end, unit.block))
    return spans


def _lost(text: str, start: int, end: int) -> bool:
    """Whether more than white space stands between."""
    return start < end and not text[start:end].isspace()


def _gap(blocks: list[Block], block: int, following: int) -> str:
    if following < 0:
        return f"\n\n{GAP}"
    kind, other = blocks[block].kind, blocks[following].kind
    if kind == "header" and blocks[following].header == block:
        return f"\n{GAP} " if other == "prose" else f"\n{GAP}\n"
    if kind == "log" and other == "log":
        return f"\n{GAP}\n"
    if block == following:
        return f" {GAP} " if kind == "prose" else f"\n{GAP}\n"
    return f"\n\n{GAP}\n\n"
