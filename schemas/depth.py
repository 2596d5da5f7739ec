"""How deeply a JSON value may be nested: writers give up at some depth, so what is read is held to less."""

import orjson

LEVELS = 254
"""Levels that orjson writes."""


def written(value: object, most_levels: int) -> bytes | None:
    """The value as compact JSON; `None` where it is nested deeper than so many levels, at most 253.

    It is written with levels to spare: where that is too deep for the writer, so is the value.
    """
    spare = LEVELS - most_levels
    for _ in range(spare):
        value = [value]
    try:
        return orjson.dumps(value)[spare:-spare]
    except orjson.JSONEncodeError:
        return None


def deeper(text: bytes, value: object, most_levels: int) -> bool:
    """Whether the value of these bytes is nested deeper; most bytes have too few brackets for it."""
    return text.count(b"{") + text.count(b"[") > most_levels and written(value, most_levels) is None
