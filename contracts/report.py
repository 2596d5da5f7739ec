"""What a check found: mismatches, and how much was looked at."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One place where contract and code differ."""

    contract: str
    """Path in the contract."""
    code: str
    """Path in the code."""
    problem: str
    """What differs, in words."""

    def __str__(self) -> str:
        return f"{self.contract} <> {self.code}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check."""

    mismatches: tuple[Mismatch, ...]
    """Empty when contract and code agree."""
    counts: Mapping[str, int]
    """How many of each kind were compared; none of them is 0 when all is well."""

    @property
    def ok(self) -> bool:
        """Whether contract and code agree, and there was something to compare."""
        return not self.mismatches and all(self.counts.values())


def both(contract: str, code: str, said: Iterable[str], done: Iterable[str]) -> Iterator[Mismatch]:
    """Names that only one of the two sides has."""
    says, does = list(said), list(done)
    for name in says:
        if name not in does:
            yield Mismatch(f"{contract}.{name}", code, "is in the contract, not in the code")
    for name in does:
        if name not in says:
            yield Mismatch(contract, f"{code}.{name}", "is in the code, not in the contract")


def differ(contract: str, code: str, says: object, does: object) -> Iterator[Mismatch]:
    """A mismatch where the two values aren't equal."""
    if says != does or isinstance(says, bool) != isinstance(does, bool):
        yield Mismatch(contract, code, f"the contract says {says!r}, the code {does!r}")
