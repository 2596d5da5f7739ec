"""The files of `weir submit`: the input, OUT, and the small state file beside OUT.

OUT is only ever appended to, after its half-written end (a kill leaves one) was cut off. The state file is
written before the first request, whole or not at all.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import orjson

from connectors.kafka.reading import Place
from flows.submission import Done, read_output
from schemas.codes import NOT_REMEMBERED

STATE_SUFFIX = ".weir-submit.json"
MENDABLE = frozenset(code.value for code in NOT_REMEMBERED)
"""Codes of failures that asking again may mend."""


@dataclass(frozen=True, slots=True)
class Input:
    """The lines to submit: a file, or stdin where the path is `None`."""

    path: Path | None
    """The file."""
    digest: bytes = b""
    """Hash of its bytes; empty for stdin."""
    count: int | None = None
    """Its number of lines; unknown for stdin."""

    @classmethod
    def of(cls, name: str) -> "Input":
        """Open an input by its name, `-` for stdin; a file is read once for its hash.

        Raises:
            OSError: When the file can't be read.
        """
        if name == "-":
            return cls(None)
        hashed = blake2b(digest_size=16)
        count = 0
        last = b"\n"
        with Path(name).open("rb") as file:
            while block := file.read(1 << 20):
                hashed.update(block)
                count += block.count(b"\n")
                last = block[-1:]
        return cls(Path(name), hashed.digest(), count + (last != b"\n"))

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Number, from 1, and bytes of each line."""
        if self.path is None:
            yield from enumerate(sys.stdin.buffer, start=1)
            return
        with self.path.open("rb") as file:
            yield from enumerate(file, start=1)


class Output:
    """Where answers go: a file that is appended to, or stdout where the path is `None`."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def resume(self, name: str, *, retry_failed: bool) -> list[Done]:
        """Read what an earlier run wrote, cut off a half line, and with `retry_failed` the mendable failures.

        Raises:
            ForeignOutputError: When the file holds something else; it is left as it is.
        """
        if self.path is None or not self.path.exists():
            return []
        with self.path.open("rb") as file:
            done, whole_bytes = read_output(name, file)
        os.truncate(self.path, whole_bytes)
        if retry_failed and any(one.code in MENDABLE for one in done):
            return self._without_mendable(done)
        return done

    def _without_mendable(self, done: list[Done]) -> list[Done]:
        assert self.path is not None
        kept = self.path.with_name(self.path.name + ".part")
        with self.path.open("rb") as old, kept.open("wb") as new:
            new.writelines(text for text, one in zip(old, done, strict=True) if one.code not in MENDABLE)
        kept.replace(self.path)
        return [one for one in done if one.code not in MENDABLE]

    def write(self, texts: list[bytes]) -> None:
        """Append lines; they are in the file when this returns."""
        if not texts:
            return
        file = self._file or (sys.stdout.buffer if self.path is None else self.path.open("ab"))
        self._file = file
        file.write(b"".join(texts))
        file.flush()

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._file is not None and self.path is not None:
            self._file.close()
        self._file = None


@dataclass(frozen=True, slots=True)
class State:
    """Where the topics stood before the first request of a submission."""

    name: str
    """The submission."""
    starts: Mapping[Place, int]
    """Offset of each partition of requests and responses."""

    def save(self, out: Path) -> None:
        """Write the state file of an OUT."""
        starts: dict[str, dict[str, int]] = {}
        for place, offset in self.starts.items():
            starts.setdefault(place.topic, {})[str(place.partition)] = offset
        target = state_path(out)
        part = target.with_name(target.name + ".part")
        part.write_bytes(orjson.dumps({"version": 1, "name": self.name, "starts": starts}))
        part.replace(target)

    @classmethod
    def load(cls, out: Path) -> "State | None":
        """Read the state file of an OUT; `None` where there is none or it is damaged."""
        try:
            held = orjson.loads(state_path(out).read_bytes())
            starts = {
                Place(topic, int(partition)): int(offset)
                for topic, offsets in held["starts"].items()
                for partition, offset in offsets.items()
            }
            return cls(str(held["name"]), starts)
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, ValueError, AttributeError, TypeError):
            return None


def state_path(out: Path) -> Path:
    """The state file of an OUT."""
    return out.with_name(out.name + STATE_SUFFIX)
