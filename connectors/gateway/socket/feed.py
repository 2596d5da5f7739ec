"""The last rows of a watched topic, numbered: what every socket reads from, at its own pace. Pure.

Nothing is queued for a socket here: it remembers the `seq` it has, and a slow one finds its place gone.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

import orjson

from connectors.gateway.socket.protocol import Scalar
from schemas.base import JsonObject

Filter = Mapping[str, Scalar | list[Scalar]]
"""Field, dotted where nested, to the value or values it may have."""

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is shown."""

    at_ms: int
    """Its timestamp, Unix time in milliseconds."""
    key: str
    """Its key as text."""
    value: JsonObject
    """What is shown of its value."""
    tenant: str | None
    """Whose it is; `None` for what concerns all."""
    size_bytes: int
    """About what it takes in memory and on a wire."""

    def matches(self, wanted: Filter, viewer: str | None) -> bool:
        """Whether a filter and a viewer's tenant (`None`: all) let it through."""
        if viewer is not None and self.tenant is not None and self.tenant != viewer:
            return False
        return all(_equal(_at(self.value, name), allowed) for name, allowed in wanted.items())

    def to_bytes(self, seq: int, viewer: str | None) -> bytes:
        """Its JSON, with the series of other tenants left out."""
        value = self.value
        if viewer is not None and isinstance(value.get("series"), list):
            value = value | {"series": [one for one in value["series"] if _is_of(one, viewer)]}
        return orjson.dumps({"seq": seq, "at_ms": self.at_ms, "key": self.key, "value": value})


@dataclass(slots=True)
class Feed:
    """A topic's last rows; bounded in number and bytes."""

    epoch: str
    """Names this count of rows; another gateway, or a later count, has another."""
    max_rows: int = 500
    """Most rows held."""
    max_bytes: int = 2 * 1024 * 1024
    """Most bytes held."""
    ready: bool = False
    """Whether the topic's past has been read, so that a snapshot is whole."""
    seq: int = 0
    """Number of the newest row; 0 before the first."""
    held_bytes: int = 0
    """Bytes held."""
    rows: deque[Row] = field(default_factory=deque[Row])
    """The rows, oldest first; the last one is number `seq`."""

    @property
    def gone(self) -> int:
        """Number of the newest row that is not held any more."""
        return self.seq - len(self.rows)

    def append(self, row: Row) -> None:
        """Take a row; the oldest go where a bound is passed."""
        self.rows.append(row)
        self.seq += 1
        self.held_bytes += row.size_bytes
        while len(self.rows) > self.max_rows or (self.held_bytes > self.max_bytes and len(self.rows) > 1):
            self.held_bytes -= self.rows.popleft().size_bytes

    def holds(self, cursor: int) -> bool:
        """Whether all rows after a number are held."""
        return self.gone <= cursor <= self.seq

    def after(
        self, cursor: int, wanted: Filter, viewer: str | None, most: int, most_bytes: int
    ) -> tuple[int, list[bytes]]:
        """Rows after a number that match, oldest first, and the number up to which was looked."""
        found: list[bytes] = []
        total = 0
        for seq, row in enumerate(islice(self.rows, cursor - self.gone, None), cursor + 1):
            if row.matches(wanted, viewer):
                found.append(row.to_bytes(seq, viewer))
                total += len(found[-1])
                if len(found) >= most or total >= most_bytes:
                    return seq, found
        return self.seq, found

    def last(self, wanted: Filter, viewer: str | None, most: int, most_bytes: int) -> tuple[int, list[bytes]]:
        """The newest rows that match, oldest first, and the number of the row before the oldest looked at."""
        found: list[bytes] = []
        total = 0
        seq = self.seq
        for row in reversed(self.rows):
            if row.matches(wanted, viewer):
                text = row.to_bytes(seq, viewer)
                if found and total + len(text) > most_bytes:
                    break
                found.append(text)
                total += len(text)
            seq -= 1
            if len(found) >= most:
                break
        return seq, found[::-1]


def _is_of(series: object, viewer: str) -> bool:
    return isinstance(series, dict) and series.get("tenant") == viewer


def _at(value: JsonObject, name: str) -> object:
    """A field by its name, or by the dotted way to it."""
    if name in value:
        return value[name]
    at: object = value
    for part in name.split("."):
        if not isinstance(at, dict) or part not in at:
            return _ABSENT
        at = at[part]
    return at


def _equal(found: object, allowed: Scalar | list[Scalar]) -> bool:
    """Equal to one of the values; true is not 1."""
    values = allowed if isinstance(allowed, list) else [allowed]
    return any(found == one and isinstance(found, bool) == isinstance(one, bool) for one in values)
