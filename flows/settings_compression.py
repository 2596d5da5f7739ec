"""What stands under `weir: compression:`."""

from dataclasses import dataclass
from datetime import timedelta

from flows.settings_values import Parsers, positive, some_duration, text

COMPRESSION: Parsers = {"processes": positive, "timeout": some_duration, "scorer": text}


@dataclass(frozen=True, slots=True)
class Compression:
    """How what is too long for a window is compressed."""

    processes: int | None = None
    """Processes that compress; `None`: half as many as there are cores, at least one."""
    timeout: timedelta = timedelta(seconds=60)
    """Longest time for one request."""
    scorer: str = ""
    """`MODULE:NAME` of what makes a scorer of units (`UnitScorer`), for embeddings or the like; else none."""
