"""Marks: open offsets, notes, the watermark, and the metadata of a commit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.rules.marks import NOBODY, RELEASED, Mark, Marks, Note, read_mark

INHERITED = Note(3, 4)
ENDS = Note(30, 40)


def marks(next_offset: int = 10, high: int = 0, answered: set[int] | None = None) -> Marks:
    return Marks(next_offset, INHERITED, ENDS, high, answered or set())


def test_with_nothing_read_the_watermark_is_the_next_offset_with_the_ends():
    assert marks().watermark() == (10, ENDS)


def test_with_nothing_read_and_answers_ahead_the_note_is_the_inherited_one():
    assert marks(high=11).watermark() == (10, INHERITED)
    assert marks(high=10).watermark() == (10, ENDS)


def test_the_watermark_is_the_lowest_open_offset_whatever_settles_first():
    owned = marks()
    owned.read([10, 11, 12], 12)
    owned.settle(11)

    assert owned.watermark()[0] == 10
    owned.settle(10)
    assert owned.watermark()[0] == 12
    owned.settle(12)
    owned.settle(12)
    assert owned.watermark()[0] == 13


def test_the_watermark_carries_the_note_of_its_own_batch():
    owned = marks()
    owned.read([10, 11], 11)
    owned.durable(response=34, usage=44)
    owned.read([12], 12)
    owned.durable(response=35)
    owned.read([13], 13)

    assert owned.watermark() == (10, ENDS)
    owned.settle(10)
    assert owned.watermark() == (11, ENDS)
    owned.settle(11)
    assert owned.watermark() == (12, Note(35, 45))
    owned.settle(12)
    assert owned.watermark() == (13, Note(36, 45))


def test_acknowledgements_that_come_late_take_nothing_back():
    owned = marks()
    owned.durable(response=50)
    owned.durable(response=20, usage=10)

    assert owned.ends == Note(51, 40)
    owned.durable(usage=60)
    assert owned.ends == Note(51, 61)


def test_offsets_below_high_keep_the_inherited_note():
    owned = marks(high=12)
    owned.read([10, 11, 12, 13], 13)

    assert owned.watermark() == (10, INHERITED)
    owned.settle(10)
    assert owned.watermark() == (11, INHERITED)
    owned.settle(11)
    assert owned.watermark() == (12, ENDS)


def test_a_batch_that_ends_below_high_makes_no_note():
    owned = marks(high=12)
    owned.read([10, 11], 11)

    assert list(owned.notes) == [(10, INHERITED)]


def test_what_earlier_owners_answered_is_left_out_until_high_is_passed():
    owned = marks(high=13, answered={11, 12})

    assert owned.read([10, 11], 11) == [10]
    assert owned.read([12, 13], 13) == [13]
    assert owned.answered == set()
    owned.settle(10)
    assert owned.watermark()[0] == 13


def test_offsets_that_were_read_before_are_not_read_again():
    owned = marks()
    owned.read([10, 11], 11)

    assert owned.read([9, 10, 11, 12], 12) == [12]
    assert owned.read([], 8) == []
    assert owned.next == 13


def test_a_batch_of_fences_only_moves_the_watermark_past_them():
    owned = marks()

    assert owned.read([], 14) == []
    assert owned.watermark() == (15, ENDS)


def test_notes_do_not_pile_up_while_nothing_is_open_at_the_commit():
    owned = marks()
    for offset in range(10, 110):
        owned.read([offset], offset)
        owned.settle(offset)
        owned.durable(response=offset, usage=offset)
        assert owned.watermark() == (offset + 1, owned.ends)

    assert len(owned.notes) <= 2


@pytest.mark.parametrize("metadata", ["", "1", "1;2;3", "2;1;1;0;0;-1", "1;x;1;0;0;-1", "1;1;1;0;0;-1;9"])
def test_metadata_of_another_writer_is_not_read(metadata: str):
    assert read_mark(5, metadata) is None


@pytest.mark.parametrize(
    "metadata", ["1;-1;0;0;0;-1", "1;0;-1;0;0;-1", "1;0;0;-2;0;-1", "1;0;0;0;-1;-1", "1;0;0;0;0;-2"]
)
def test_metadata_with_numbers_that_cannot_be_is_not_read(metadata: str):
    assert read_mark(5, metadata) is None


LARGE = st.integers(0, 2**63 - 1)


@given(
    offset=LARGE,
    note=st.builds(Note, LARGE, LARGE),
    crashes=st.integers(RELEASED, 10**6),
    fed=LARGE,
    suspect=st.one_of(st.just(NOBODY), LARGE),
)
def test_metadata_is_read_as_it_was_written_and_stays_short(
    offset: int, note: Note, crashes: int, fed: int, suspect: int
):
    mark = Mark(offset, note, crashes, fed, suspect)

    assert read_mark(offset, mark.metadata()) == mark
    assert len(mark.metadata()) <= 90
