"""The choice under a budget, with prices by bytes: one token each."""

import pytest

from flows.stages.compression.blocks import Block
from flows.stages.compression.packing import GAP_TOKENS, Packer, Unit

TEXT = "".join(letter * 10 for letter in "abcdefghij")


def packer(*units: tuple[int, int, float], header: bool = False) -> Packer:
    """A packer over units in blocks of their own, or all under one header of 10 signs."""
    blocks = [Block(start, end, "prose", len(units) if header else -1) for start, end, _ in units]
    blocks.append(Block(90, 100, "header", -1))
    made = [Unit(start, end, number, worth) for number, (start, end, worth) in enumerate(units)]
    return Packer(TEXT, blocks, made, 1.0)


def kept(packed: Packer) -> list[int]:
    return [number for number, unit in enumerate(packed.units) if unit.kept]


def test_the_most_worth_for_its_tokens_comes_first():
    packed = packer((0, 10, 1.0), (10, 20, 3.0), (20, 30, 2.0))

    assert packed.fill(25, exchange=False) == 2
    assert kept(packed) == [1, 2]
    assert packed.used_tokens == 20 + 2 * GAP_TOKENS


def test_a_unit_that_did_not_fit_takes_the_place_of_others_that_are_worth_less_together():
    small, large = (0, 10, 2.0), (10, 35, 4.0)
    without, exchanged, dearer = packer(small, large), packer(small, large), packer((0, 10, 5.0), large)

    without.fill(30, exchange=False)
    exchanged.fill(30, exchange=True)
    dearer.fill(30, exchange=True)

    assert kept(without) == [0]
    assert kept(exchanged) == [1]
    assert kept(dearer) == [0]


def test_a_header_is_paid_for_once():
    packed = packer((0, 10, 1.0), (10, 20, 1.0), header=True)

    packed.fill(100, exchange=False)

    assert [price for _, price in packed.picks] == [10 + 12 + GAP_TOKENS, 10 + GAP_TOKENS]


def test_what_is_given_back_is_what_came_last_and_can_be_taken_again():
    packed = packer((0, 10, 1.0), (10, 20, 3.0), (20, 30, 2.0))
    packed.fill(100, exchange=False)

    assert packed.give_back(12) == [0, 2]
    assert kept(packed) == [1]
    assert packed.used_tokens == pytest.approx(10 + GAP_TOKENS)
    assert packed.fill(100, exchange=False) == 2


def test_what_is_larger_than_the_budget_says_so():
    packed = packer((0, 50, 9.0), (50, 60, 1.0))

    packed.fill(20, exchange=True)

    assert [unit.reason for unit in packed.units if not unit.kept] == ["size"]
