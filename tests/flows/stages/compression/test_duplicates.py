"""What repeats, and what only looks as if it did."""

import pytest

from flows.stages.compression.duplicates import Seen

BLOCK = "the keeper of the old tower by the lake closes the gate when the water rises above the mark at night"


@pytest.mark.parametrize(
    "other",
    [
        BLOCK,
        BLOCK.replace(" ", "  "),
        BLOCK.replace("night", "dusk"),
        f"{BLOCK} again",
        BLOCK.replace("old ", ""),
    ],
)
def test_equal_and_nearly_equal_blocks_repeat(other: str):
    seen = Seen()

    assert not seen.repeats(BLOCK)
    assert seen.repeats(other)


@pytest.mark.parametrize(
    "other",
    [
        BLOCK.replace("night", "22:00"),
        BLOCK.replace("lake", "Oro"),
        BLOCK.replace("closes the", "never closes the"),
        BLOCK.replace("closes", "doesn't close"),
        "quite another text about the weather in the hills and what the sheep there think of it at night",
        f"{BLOCK} and then goes home to sleep for a long while under a warm blanket of wool and straw",
    ],
)
def test_a_figure_a_name_or_a_negation_makes_a_difference(other: str):
    seen = Seen()

    assert not seen.repeats(BLOCK)
    assert not seen.repeats(other)


def test_short_blocks_repeat_only_when_they_are_equal():
    seen = Seen()

    assert [seen.repeats(each) for each in ("it opens", "it opens.", "it  opens")] == [False, False, True]
