"""Repeated requests: within ten minutes, on its partition, the same (tenant, id, body) is not called again.

A preallocated table: a ring of entries, oldest overwritten first, and an open-addressing index with linear
probing over it. Nothing grows while it is used. Keys are mixed with the partition, so one table serves all
partitions of a worker; an entry holds only for the ownership (`epoch`) it was made in.
"""

from array import array
from enum import Enum, auto
from typing import NamedTuple

from schemas.packed import NO_OFFSET

_EMPTY = (1 << 32) - 1
_MASK = (1 << 64) - 1
_MIX = 0x9E3779B97F4A7C15


class Verdict(Enum):
    """What a request is to the window."""

    NEW = auto()
    """Not seen before, or seen at this very offset: go on."""
    IN_FLIGHT = auto()
    """A repeat of an earlier request that has no answer yet: wait for it."""
    ANSWERED = auto()
    """A repeat of an earlier request that was answered."""
    CONFLICT = auto()
    """The same id with another body."""


class Ask(NamedTuple):
    """A request as the window knows it."""

    place: int
    """Source and partition as one number."""
    epoch: int
    """This ownership of the partition."""
    request_hash: int
    """Hash of tenant and id."""
    body_hash: int
    """Hash of what is asked."""
    offset: int
    """Offset of the request record."""


class Seen(NamedTuple):
    """The verdict, and the earlier request it is about."""

    verdict: Verdict
    """What the request is."""
    offset: int = NO_OFFSET
    """Offset of the earlier request."""
    response_offset: int = NO_OFFSET
    """Offset of its response, where it has one."""


_NEW = Seen(Verdict.NEW)


class Window:
    """The requests of the last `span_s` seconds, at most `entries` of them."""

    def __init__(self, entries: int, span_s: float) -> None:
        self.entries = entries
        self.span_s = span_s
        self.overwritten = 0
        """Entries that were overwritten before their time was over."""
        bits = max(4, (entries * 2 - 1).bit_length())
        self._slot_mask = (1 << bits) - 1
        self._index = array("I", b"\xff" * (4 << bits))
        self._key = array("Q", b"\xff" * (8 * entries))
        self._body = array("Q", b"\xff" * (8 * entries))
        self._offset = array("Q", b"\xff" * (8 * entries))
        self._response = array("Q", b"\xff" * (8 * entries))
        self._time_s = array("I", b"\xff" * (4 * entries))
        self._epoch = array("I", b"\xff" * (4 * entries))
        self._used = 0
        self._next = 0

    def look(self, ask: Ask, now_s: float) -> Seen:
        """What a request is; a new one is entered as in flight. `now_s`: its timestamp, in seconds."""
        entry = self._find(_mix(ask))
        if entry is None:
            self._insert(ask, NO_OFFSET, now_s)
            return _NEW
        if self._epoch[entry] != ask.epoch or now_s - self._time_s[entry] > self.span_s:
            self._write(entry, ask, NO_OFFSET, now_s)
            return _NEW
        first, response = self._offset[entry], self._response[entry]
        if first >= ask.offset:
            return _NEW
        if self._body[entry] != ask.body_hash:
            return Seen(Verdict.CONFLICT, first, response)
        return Seen(Verdict.IN_FLIGHT if response == NO_OFFSET else Verdict.ANSWERED, first, response)

    def settle(self, ask: Ask, response_offset: int, keep: bool) -> None:
        """A request was answered; where it isn't remembered (`keep` false) the next one is new."""
        entry = self._find(_mix(ask))
        if entry is None or self._epoch[entry] != ask.epoch or self._offset[entry] != ask.offset:
            return
        if keep:
            self._response[entry] = response_offset
        else:
            self._epoch[entry] = _EMPTY

    def learn(self, ask: Ask, response_offset: int, time_s: float) -> None:
        """Enter what the log tells of an earlier request; `NO_OFFSET` where it only started."""
        entry = self._find(_mix(ask))
        if entry is None:
            self._insert(ask, response_offset, time_s)
        elif (
            self._epoch[entry] != ask.epoch
            or ask.offset < self._offset[entry]
            or response_offset != NO_OFFSET
        ):
            self._write(entry, ask, response_offset, time_s)

    def __len__(self) -> int:
        return self._used

    def _find(self, key: int) -> int | None:
        slot = key & self._slot_mask
        index = self._index
        while (entry := index[slot]) != _EMPTY:
            if self._key[entry] == key:
                return entry
            slot = (slot + 1) & self._slot_mask
        return None

    def _insert(self, ask: Ask, response: int, time_s: float) -> None:
        entry = self._next
        self._next = (entry + 1) % self.entries
        if self._used == self.entries:
            live = self._epoch[entry] != _EMPTY and time_s - self._time_s[entry] <= self.span_s
            self.overwritten += live
            self._forget(entry)
        else:
            self._used += 1
        key = _mix(ask)
        slot = key & self._slot_mask
        while self._index[slot] != _EMPTY:
            slot = (slot + 1) & self._slot_mask
        self._index[slot] = entry
        self._key[entry] = key
        self._write(entry, ask, response, time_s)

    def _write(self, entry: int, ask: Ask, response: int, time_s: float) -> None:
        self._epoch[entry] = ask.epoch
        self._body[entry] = ask.body_hash
        self._offset[entry] = ask.offset
        self._response[entry] = response
        self._time_s[entry] = max(0, int(time_s))

    def _forget(self, entry: int) -> None:
        """Take the oldest entry out of the index; those that were pushed on by it move back.

        It stands where its key belongs: only an older one could have pushed it on.
        """
        index, mask = self._index, self._slot_mask
        hole = self._key[entry] & mask
        slot = (hole + 1) & mask
        while (other := index[slot]) != _EMPTY:
            home = self._key[other] & mask
            if (slot - home) & mask >= (slot - hole) & mask:
                index[hole] = other
                hole = slot
            slot = (slot + 1) & mask
        index[hole] = _EMPTY


def _mix(ask: Ask) -> int:
    """Fold the partition into the request's hash."""
    return (ask.request_hash ^ ((ask.place + 1) * _MIX)) & _MASK
