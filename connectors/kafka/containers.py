"""How kafka-python 3.0.12 makes the parts of its messages, without a look at each field's description.

A part has a dozen fields, each with a version range, a tag and a default; a poll and a produce request make
a dozen parts. What the fields of a kind say in a version is looked up once.
"""

from functools import cache
from typing import Any, cast

from kafka.protocol.data_container import DataContainer

PARTS: tuple[tuple[type, str], ...] = (
    (DataContainer, "_struct"),
    (DataContainer, "_version"),
    (DataContainer, "tags"),
    (DataContainer, "unknown_tags"),
)
"""What a later version must have, too."""

_init: Any = cast(Any, DataContainer).__init__


@cache
def _fields(kind: type, version: int | None) -> tuple[frozenset[str], tuple[tuple[str, Any], ...]] | None:
    """Names of fields without a tag, and the version's defaults; `None` where there is no such version."""
    struct: Any = cast(Any, kind)._struct
    if version is not None and not struct.min_version <= version <= struct.max_version:
        return None
    plain = frozenset(field.name for field in struct._fields if field._tag is None)
    there = [field for field in struct._fields if version is not None and field.for_version_q(version)]
    return plain, tuple((field.name, field.default) for field in there)


def fill(self: Any, *args: Any, version: int | None = None, **values: Any) -> None:
    """Set the fields that are given and the defaults of others; what isn't plain goes the old way."""
    fields = None if args else _fields(type(self), version)
    if fields is None or not fields[0].issuperset(values):
        _init(self, *args, version=version, **values)
        return
    self._version = version
    self.tags = self.unknown_tags = None
    for name, default in fields[1]:
        if name not in values:
            setattr(self, name, default)
    for name, value in values.items():
        setattr(self, name, value)


def use_quick_containers() -> None:
    """For all clients of this process from now on."""
    cast(Any, DataContainer).__init__ = fill
