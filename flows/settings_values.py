"""Reads single values of a configuration: each parser takes what YAML or an environment variable gave.

A parser raises `ValueError` with what was expected; the caller adds the place.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar, cast

from flows.settings_keys import Section, SettingsError, check_keys

Parser: TypeAlias = Callable[[object], object]
Parsers: TypeAlias = Mapping[str, Parser]
Frozen = TypeVar("Frozen")

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "": 1000}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|)")
_SIZES = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SIZE = re.compile(r"([0-9]+)\s*([a-z]*)")
_REFERENCE = "os.environ/"


def duration(value: object) -> timedelta:
    """A length of time: `500ms`, `10s`, `5m`, `1h`, `7d`, or a number of seconds."""
    if not isinstance(value, bool):
        found = _DURATION.fullmatch(str(value).strip().lower())
        if found:
            length_ms = float(found[1]) * _UNITS_MS[found[2]]
            if length_ms <= timedelta(days=36500) / timedelta(milliseconds=1):
                return timedelta(milliseconds=length_ms)
    raise ValueError("a duration such as `500ms`, `10s` or `5m`, or a number of seconds")


def some_duration(value: object) -> timedelta:
    """A length of time over 0."""
    length = duration(value)
    if not length:
        raise ValueError("a duration over 0")
    return length


def millis(value: object) -> timedelta:
    """A length of time as a bare number of milliseconds."""
    return timedelta(milliseconds=count(value))


def count(value: object) -> int:
    """A whole number, 0 or more."""
    if not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,15}", str(value).strip(), re.ASCII):
        return int(str(value))
    raise ValueError("a whole number, 0 or more")


def positive(value: object) -> int:
    """A whole number over 0."""
    number = count(value)
    if not number:
        raise ValueError("a whole number over 0")
    return number


def size(value: object) -> int:
    """A number of bytes, over 0: `1048576`, `64MB`, `8MiB`."""
    found = None if isinstance(value, bool) else _SIZE.fullmatch(str(value).strip().lower())
    if found and found[2] in _SIZES and int(found[1]):
        return int(found[1]) * _SIZES[found[2]]
    raise ValueError("a number of bytes such as `8MiB` or `1048576`")


def amount(value: object) -> float:
    """A number, 0 or more."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = -1.0
        if 0 <= number < float("inf"):
            return number
    raise ValueError("a number, 0 or more")


def growth(value: object) -> float:
    """A factor of 1 or more."""
    number = amount(value)
    if number < 1:
        raise ValueError("a number, 1 or more")
    return number


def flag(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError("true or false")


def text(value: object) -> str:
    """A text that isn't empty."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("a text")


def topic_prefix(value: object) -> str:
    """What may stand before a topic's name; may be empty."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]{0,100}", value, re.ASCII):
        return value
    raise ValueError("a text of at most 100 letters, digits, dots, dashes and underscores")


def texts(value: object) -> tuple[str, ...]:
    """Texts: a list, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list):
        found = tuple(text(part) for part in cast(list[object], parts) if part != "")
        if found:
            return found
    raise ValueError("a list of texts")


def choice(*allowed: str) -> Parser:
    """One of the given texts, in any case."""

    def parse(value: object) -> str:
        for name in allowed:
            if str(value).strip().lower() == name.lower():
                return name
        raise ValueError(f"one of {', '.join(allowed)}")

    return parse


def parsed(place: str, value: object, parser: Callable[[object], Frozen]) -> Frozen:
    """The value as the parser reads it.

    Raises:
        SettingsError: When it can't; the value itself is not shown, it may be a secret.
    """
    try:
        return parser(value)
    except ValueError as error:
        raise SettingsError(f"{place}: must be {error}") from None


def filled(place: str, values: Mapping[str, object], base: Frozen, parsers: Parsers) -> Frozen:
    """A copy of the frozen dataclass `base` with the values of a section in it; `None` leaves a field alone.

    Raises:
        SettingsError: On an unknown key or a value that can't be read.
    """
    check_keys(place, values, Section(frozenset(parsers)))
    given = {key: value for key, value in values.items() if value is not None}
    changes = {key: parsed(f"{place}.{key}", value, parsers[key]) for key, value in given.items()}
    return changed(base, changes)


def changed(base: Frozen, changes: Mapping[str, object]) -> Frozen:
    """A copy of the frozen dataclass `base` with some fields changed."""
    return cast(Frozen, replace(cast(Any, base), **changes))


def mapping(place: str, value: object) -> dict[str, object]:
    """A mapping with text keys; nothing at all counts as an empty one.

    Raises:
        SettingsError: When it is something else.
    """
    if value is None:
        return {}
    if isinstance(value, dict):
        members = cast(dict[object, object], value)
        if all(isinstance(key, str) for key in members):
            return cast(dict[str, object], members)
    raise SettingsError(f"{place or 'the file'}: must be a mapping of names to values")


def items(place: str, value: object) -> list[object]:
    """A list; nothing at all counts as an empty one.

    Raises:
        SettingsError: When it is something else.
    """
    if value is None:
        return []
    if isinstance(value, list):
        return cast(list[object], value)
    raise SettingsError(f"{place}: must be a list")


def resolved(value: object, env: Mapping[str, str]) -> object:
    """The value, or where it is `os.environ/NAME` that variable's; `None` when it isn't set."""
    if isinstance(value, str) and value.startswith(_REFERENCE):
        return env.get(value.removeprefix(_REFERENCE)) or None
    return value
