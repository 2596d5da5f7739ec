"""Answers and streams gone wrong, by seed: what a server, a proxy or a cosmic ray may send."""

import random
from typing import Any

import orjson

STRANGE: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, 2**63, -(2**63), "", "x", "\x00", "data: [DONE]", "NaN",
    [], [[]], {}, {"": None}, [None], ["x"], [{}], [[{}]], {"error": {}}, {"error": "x"}, {"error": []},
]  # fmt: skip
"""Values that nobody expects where they stand."""
RAW = [
    b"\\ud800", b"\xed\xa0\x80", b"\xff\xfe", b"\x00", b"1e999", b"-", b"9" * 400, b"[" * 3000,
    b'{"a":' * 3000, b"\r", b"\n\n", b"\r\n\r\n", b"data:", b": ", b"event: error\n", b"\xef\xbb\xbf",
    b"NaN", b"Infinity", b'"', b"\\", b"}", b"]", b",",
]  # fmt: skip
"""Bytes that nobody expects: lone surrogates, huge numbers, deep nesting, ends of lines and of JSON."""
MOST_CHANGES = 4


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The bytes with one to four changes."""
    for _ in range(dice.randint(1, MOST_CHANGES)):
        data = dice.choice(CHANGES)(data, dice)
    return data


def cuts(data: bytes, dice: random.Random) -> list[bytes]:
    """The bytes in one to eight parts, as a network may deliver them."""
    places = sorted(dice.randint(0, len(data)) for _ in range(dice.randint(0, 7)))
    return [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if end > start
    ]


def _flip(data: bytes, dice: random.Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(data: bytes, dice: random.Random) -> bytes:
    start, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    return dice.choice((data[:start], data[:start] + data[end:], data[start:]))


def _double(data: bytes, dice: random.Random) -> bytes:
    start, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    return data[:end] + data[start:end] * dice.randint(1, 3) + data[end:]


def _insert(data: bytes, dice: random.Random) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + dice.choice(RAW) + data[at:]


def _lines(data: bytes, dice: random.Random) -> bytes:
    """Lines doubled, dropped or in another order."""
    lines = data.split(b"\n")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(lines))
        match dice.randrange(3):
            case 0:
                lines.insert(dice.randint(0, len(lines)), lines[at])
            case 1 if len(lines) > 1:
                del lines[at]
            case _:
                other = dice.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
    return b"\n".join(lines)


def _swap(data: bytes, dice: random.Random) -> bytes:
    """Another type at some place of the JSON: of the whole, or of one of a stream's lines."""
    try:
        return orjson.dumps(_swapped(orjson.loads(data), dice))
    except orjson.JSONDecodeError:
        pass
    lines = data.split(b"\n")
    at = dice.randrange(len(lines))
    head, mark, tail = lines[at].partition(b"{")
    try:
        lines[at] = head + orjson.dumps(_swapped(orjson.loads(mark + tail), dice))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return data
    return b"\n".join(lines)


def _swapped(value: Any, dice: random.Random) -> Any:
    """The value with one place of it changed; deep places are as likely as high ones."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        match dice.randrange(12):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return {**value, dice.choice(list(value)): value[key]}
            case _:
                return {**value, key: _swapped(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.9:
        at = dice.randrange(len(value))
        if dice.randrange(8) == 0:
            return [*value, value[at]]
        return [*value[:at], _swapped(value[at], dice), *value[at + 1 :]]
    return dice.choice(STRANGE)


CHANGES = [_flip, _cut, _double, _insert, _lines, _swap, _swap, _swap, _swap]
"""All ways to change bytes; types are swapped most."""
