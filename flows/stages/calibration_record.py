"""A calibration as JSON bytes and back: what workers tell each other.

Each worker writes its own under a key of model and worker, and adds up those of all: no two write the same.
Classes that a reader doesn't know are left out, so that versions can differ.
"""

from collections.abc import Mapping
from typing import cast

import orjson

from flows.stages.calibrate import Calibration, Defaults, Errors, Lengths
from flows.stages.content import Content
from flows.stages.fitting import Pair, Sums

VERSION = 1
"""Of the layout; others are refused."""
_KNOWN = frozenset(Content)


def to_bytes(calibration: Calibration) -> bytes:
    """The calibration's sums; its defaults are the reader's own."""
    sums = calibration.sums
    record = {
        "version": VERSION,
        "weight": sums.weight,
        "products": {f"{left} {right}": value for (left, right), value in sums.products.items()},
        "results": {kind.value: value for kind, value in sums.results.items()},
        "errors": {
            kind.value: [known.calls, known.checked, known.squares, known.peak_ratio]
            for kind, known in calibration.errors.items()
        },
    }
    return orjson.dumps(record)


def from_bytes(data: bytes, defaults: Defaults) -> Calibration:
    """What `to_bytes` wrote.

    Raises:
        ValueError: When it is something else.
    """
    try:
        record: object = orjson.loads(data)
        if not isinstance(record, dict) or cast(dict[str, object], record).get("version") != VERSION:
            raise ValueError(f"no calibration of version {VERSION}")
        return _read(cast(dict[str, object], record), defaults)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no calibration: {error!r}") from error


def _read(record: Mapping[str, object], defaults: Defaults) -> Calibration:
    products: dict[Pair, float] = {}
    for names, value in cast(dict[str, object], record["products"]).items():
        left, right = names.split(" ")
        if {left, right} <= _KNOWN:
            products[Content(left), Content(right)] = _number(value)
    results = {Content(name): _number(value) for name, value in _known(record["results"]).items()}
    errors = {Content(name): _errors(values) for name, values in _known(record["errors"]).items()}
    return Calibration(Sums(_number(record["weight"]), products, results), errors, defaults)


def _known(values: object) -> dict[str, object]:
    return {name: value for name, value in cast(dict[str, object], values).items() if name in _KNOWN}


def _errors(values: object) -> Errors:
    calls, checked, squares, peak = cast(list[object], values)
    return Errors(_number(calls), _lengths(checked), _lengths(squares), _number(peak))


def _lengths(values: object) -> Lengths:
    first, second, third = cast(list[object], values)
    return (_number(first), _number(second), _number(third))


def _number(value: object) -> float:
    """A sum: finite and not below zero."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no sum")
    return float(value)
