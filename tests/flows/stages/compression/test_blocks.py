"""Blocks and parts: every sign is in one, and none is cut inside a word."""

from hypothesis import given, settings

from flows.stages.compression.blocks import MAX_BLOCK_CHARS, Block, blocks_of
from flows.stages.compression.parts import LONG_PART_CHARS, parts_of
from tests.flows.stages.compression.making import documents


def kinds(text: str) -> list[tuple[str, str, int]]:
    return [(text[block.start : block.end], block.kind, block.header) for block in blocks_of(text)]


def parts(text: str) -> list[tuple[str, str]]:
    """The parts of all blocks with their roles."""
    return [
        (text[part.start : part.end], part.role)
        for block in blocks_of(text)
        for part in parts_of(text, block)
    ]


@settings(max_examples=80, deadline=None)
@given(documents())
def test_blocks_and_parts_cover_the_text_without_overlap(text: str):
    at = 0
    for block in blocks_of(text):
        assert text[at : block.start].strip() == ""
        assert block.start >= at
        assert (
            "".join(text[part.start : part.end] for part in parts_of(text, block))
            == text[block.start : block.end]
        )
        at = block.end
    assert text[at:].strip() == ""


def test_paragraphs_stand_under_the_header_before_them():
    assert kinds("Zero.\n\n# One\nA.\n\nB.\n# Two\nC.") == [
        ("Zero.", "prose", -1),
        ("# One", "header", -1),
        ("A.", "prose", 1),
        ("B.", "prose", 1),
        ("# Two", "header", -1),
        ("C.", "prose", 4),
    ]


def test_a_header_with_nothing_under_it_is_prose_and_a_hash_without_a_space_no_header():
    assert kinds("  \n# One\n## Two\nA.\n#tag") == [
        ("# One", "prose", -1),
        ("## Two", "header", -1),
        ("A.\n#tag", "prose", 1),
    ]


def test_code_stays_in_its_fence_blank_lines_and_hashes_included():
    text = "Before.\n```python\n# a\n\nx = 1\n```\nAfter.\n\n~~~\n```\n~~~"

    assert [kind for _, kind, _ in kinds(text)] == ["prose", "fence", "prose", "fence"]
    assert kinds("```\nnever closed")[0][1] == "prose"


def test_logs_are_cut_into_lines_and_tables_are_known():
    log = "\n".join(f"2026-01-0{at} 10:00:00 INFO opened" for at in range(1, 6))
    table = "| a | b |\n|---|---|\n| 1 | 2 |"

    assert [kind for _, kind, _ in kinds(f"{log}\n\n{table}\n\nx | y")] == ["log"] * 5 + ["table", "prose"]


def test_a_long_paragraph_is_cut_at_a_line_a_sentence_or_a_space_and_never_in_a_word():
    for unit in ("A line of words\n", "A sentence of words. ", "word ", "w" * 6_000 + " "):
        text = unit * max(3, 20_000 // len(unit))
        cut = blocks_of(text)

        assert len(cut) >= 3
        assert not [each for each in cut if text[each.end - 1 : each.end + 1].isalnum() and each != cut[-1]]
        if len(unit) < 100:
            assert max(block.end - block.start for block in cut) <= MAX_BLOCK_CHARS


def test_sentences_end_where_they_end():
    text = 'Dr. Oro met J. Marta in the U.S. capital. "Was it 3.5 m?" It was! Rain. fell.'

    assert [part.strip() for part, _ in parts(text)] == [
        "Dr. Oro met J. Marta in the U.S. capital.",
        '"Was it 3.5 m?"',
        "It was!",
        "Rain. fell.",
    ]
    assert [part for part, _ in parts("水坝很高。它在河边。")] == ["水坝很高。", "它在河边。"]
    assert [part for part, _ in parts("- a\n- bc\n\n?\n.\nAnna")] == ["- a\n", "- bc", "?\n.\n", "Anna"]


def test_long_sentences_are_cut_at_clauses():
    text = "the water flows, and " * 100 + "w" * 1_000

    cut = [part for part, _ in parts(text)]
    assert "".join(cut) == text
    assert all(part.endswith((" ", "w")) for part in cut)
    assert all(len(part) <= LONG_PART_CHARS for part in cut[:-1])
    assert [len(part) for part, _ in parts("w" * 500 + ". Next.")] == [502, 5]


def test_code_is_a_head_statements_and_a_close():
    body = "\n".join(
        f"    value_{at} = prepare(value, {at}, 'some words to make it long')" for at in range(4)
    )
    text = f"```python\n# a.py\n@wraps\ndef f(\n    a,\n    b,\n):\n{body}\n\n    return value\n```"

    cut = parts(text)
    assert cut[0] == ("```python\n# a.py\n@wraps\ndef f(\n    a,\n    b,\n):\n", "head")
    assert [role for _, role in cut[1:]] == ["body"] * (len(cut) - 2) + ["close"]
    assert len(cut) > 3
    assert cut[-1][0] == "```"


def test_short_code_is_one_part_and_comments_alone_are_all_head():
    assert parts("```\nx = 1\n```") == [("```\nx = 1\n```", "head")]
    assert [role for _, role in parts("```\n# a\n# b\n# c\n```")] == ["head", "close"]
    assert [role for _, role in parts("```\nf(\n" + "a,\n" * 30 + ")\n```")] == ["head", "body", "close"]


def test_a_table_is_its_first_rows_and_the_others():
    assert parts("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |") == [
        ("| a | b |\n|---|---|\n", "head"),
        ("| 1 | 2 |\n", "body"),
        ("| 3 | 4 |", "body"),
    ]
    assert parts_of("a\tb\tc\n1\t2\t3", Block(0, 11, "table", -1))[0].end == 6
