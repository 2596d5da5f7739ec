"""How deeply JSON is nested: told by a writer, to the level."""

import orjson
import pytest

from schemas.depth import LEVELS, deeper, written


def nested(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("most", [1, 100, 200, 253])
def test_a_value_is_written_up_to_its_level_and_no_deeper(most: int):
    inside, outside = nested(most), nested(most + 1)

    assert written(inside, most) == orjson.dumps(inside)
    assert written(outside, most) is None
    assert not deeper(orjson.dumps(inside), inside, most)
    assert most + 1 > LEVELS - 1 or deeper(orjson.dumps(outside), outside, most)


def test_many_brackets_side_by_side_are_not_deep():
    flat = [[] for _ in range(1000)]

    assert not deeper(orjson.dumps(flat), flat, 10)
