"""The fake provider's memory: a log of its calls and how many were open at once."""

import time
from collections import Counter

import orjson

from connectors.bench.facts import CallEnd, ProviderCall


class Entry:
    """One call while it lasts; becomes a line of the log."""

    __slots__ = ("end", "end_ms", "request_id", "start_ms")

    def __init__(self, request_id: str, start_ms: float) -> None:
        self.request_id = request_id
        self.start_ms = start_ms
        self.end_ms: float | None = None
        self.end: CallEnd = "open"


class Book:
    """Calls in the order of their start."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._calls: Counter[str] = Counter()
        self._open = 0
        self._max_open = 0

    def begin(self, request_id: str) -> tuple[Entry, int]:
        """A call's last byte arrived; its entry and which call of that request it is, from 1."""
        entry = Entry(request_id, now_ms())
        self._entries.append(entry)
        self._calls[request_id] += 1
        self._open += 1
        self._max_open = max(self._max_open, self._open)
        return entry, self._calls[request_id]

    def finish(self, entry: Entry, end: CallEnd) -> None:
        """A call ended; only its first end counts."""
        if entry.end_ms is None:
            entry.end_ms, entry.end = now_ms(), end
            self._open -= 1

    def reset(self) -> None:
        """Forget all calls but those that are open."""
        self._entries = [entry for entry in self._entries if entry.end_ms is None]
        self._calls = Counter(entry.request_id for entry in self._entries)
        self._max_open = self._open

    def log(self) -> bytes:
        """One JSON line a call."""
        return b"".join(
            orjson.dumps([e.request_id, e.start_ms, e.end_ms, e.end], option=orjson.OPT_APPEND_NEWLINE)
            for e in self._entries
        )

    def stats(self) -> dict[str, int]:
        """Calls, requests, open calls, and most at once."""
        return {
            "calls": len(self._entries),
            "requests": len(self._calls),
            "open": self._open,
            "max_open": self._max_open,
            "most_calls_per_request": max(self._calls.values(), default=0),
        }


def read_log(lines: bytes) -> tuple[ProviderCall, ...]:
    """Read what `Book.log` wrote."""
    return tuple(ProviderCall(*orjson.loads(line)) for line in lines.splitlines())


def now_ms() -> float:
    """Unix time in milliseconds."""
    return time.time_ns() / 1e6
