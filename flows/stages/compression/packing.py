"""Chooses what stays: the most worth for the tokens of the budget.

Greedy by worth per token, where a part that needs its header or the head of its code pays for them unless
they are there already. Prices are estimates from characters; `compressor` counts the text that comes out and
lets the packer give back or go on.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from flows.stages.compression.blocks import Block
from flows.stages.compression.duplicates import Seen

GAP_TOKENS = 1.3
"""Price of a mark at a gap, on average."""
MISFITS = 1_000
"""Units that may be found not to fit before a round ends."""
EXCHANGES = 8
"""Units that did not fit and may take the place of others, most in a round."""


@dataclass(slots=True)
class Unit:
    """A candidate: a part of a block, or a whole block."""

    start: int
    """Where it begins in the text."""
    end: int
    """Where it ends."""
    block: int
    """Number of its block."""
    worth: float
    """Chance to hold the answer, times a constant."""
    role: str = "text"
    """As in `Part`; `close` is never a candidate."""
    tokens: float = 0.0
    """What it costs: estimated at first, counted once it went over the budget."""
    kept: bool = False
    """Whether it stays."""
    reason: str = "relevance"
    """Why it goes, where it does."""


@dataclass(slots=True)
class Packer:
    """The choice so far."""

    text: str
    blocks: list[Block]
    units: list[Unit]
    tokens_per_byte: float
    used_tokens: float = 0.0
    """Price of all that stays."""
    picks: list[tuple[list[int], float]] = field(default_factory=list[tuple[list[int], float]])
    """Units that came together, and their price, oldest first."""
    _heap: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    _of_block: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    _header_uses: dict[int, int] = field(default_factory=dict[int, int])
    _repeats: dict[int, bool] = field(default_factory=dict[int, bool])
    _seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        for number, unit in enumerate(self.units):
            self._of_block.setdefault(unit.block, []).append(number)
            unit.tokens = size(self.text, unit.start, unit.end) * self.tokens_per_byte
        self._heap = [
            (-unit.worth / self._price(number), number)
            for number, unit in enumerate(self.units)
            if unit.role != "close"
        ]
        heapify(self._heap)

    def fill(self, budget_tokens: float, exchange: bool) -> int:
        """Take units until none fits any more; how many were taken.

        With `exchange` those that did not fit may push out others that are worth less.
        """
        taken = 0
        late: list[tuple[float, int]] = []
        least = max(3.0, 0.002 * budget_tokens)
        while self._heap and self.used_tokens + least <= budget_tokens and len(late) < MISFITS:
            density, number = heappop(self._heap)
            unit = self.units[number]
            if unit.kept or self._is_repeat(unit):
                continue
            price = self._price(number)
            actual = -unit.worth / price
            if actual > density * (1 - 1e-9) and self._heap and actual > self._heap[0][0]:
                heappush(self._heap, (actual, number))
            elif self.used_tokens + price > budget_tokens:
                if price > budget_tokens:
                    unit.reason = "size"
                late.append((actual, number))
            else:
                self._take(number, price)
                taken += 1
        if exchange:
            taken += self._exchange([number for _, number in late], budget_tokens)
        for each in late:
            heappush(self._heap, each)
        return taken

    def _exchange(self, late: list[int], budget_tokens: float) -> int:
        """Let what did not fit take the place of what is worth less than it; how many did."""
        taken = 0
        for number in sorted(late, key=lambda number: -self.units[number].worth)[:EXCHANGES]:
            unit, price = self.units[number], self._price(number)
            if unit.kept or price > budget_tokens or not self.picks:
                continue
            freed, lost, count = budget_tokens - self.used_tokens, 0.0, 0
            while freed < price and count < len(self.picks):
                count += 1
                numbers, paid = self.picks[-count]
                freed += paid
                lost += sum(self.units[each].worth for each in numbers)
            if lost < unit.worth and freed >= price:
                self.give_back(freed - budget_tokens + self.used_tokens)
                self._take(number, self._price(number))
                taken += 1
        return taken

    def give_back(self, tokens: float) -> list[int]:
        """Drop what came last until at least so many tokens are free; which units went."""
        freed = 0.0
        gone: list[int] = []
        while self.picks and freed < tokens:
            numbers, price = self.picks.pop()
            freed += price
            self.used_tokens -= price
            gone += numbers
            for number in numbers:
                self.units[number].kept = False
                self._use_header(number, -1)
                if self.units[number].role != "close":
                    heappush(self._heap, (-self.units[number].worth / self._price(number), number))

        return gone

    def _take(self, number: int, price: float) -> None:
        numbers = [number, *self._needed(number)]
        for each in numbers:
            self.units[each].kept = True
            self._use_header(each, 1)
        self.used_tokens += price
        self.picks.append((numbers, price))
        header = self.blocks[self.units[number].block].header
        first = header >= 0 and self._header_uses[header] == len(numbers)
        family = self._of_block[self.units[number].block]
        self._reprice(family if first or len(numbers) > 1 else (number - 1, number + 1))

    def _reprice(self, numbers: Iterable[int]) -> None:
        """Units whose header or head is paid for, or whose neighbour stays, are cheaper than they were."""
        for each in numbers:
            if 0 <= each < len(self.units) and not self.units[each].kept and self.units[each].role != "close":
                heappush(self._heap, (-self.units[each].worth / self._price(each), each))

    def _use_header(self, number: int, by: int) -> None:
        header = self.blocks[self.units[number].block].header
        if header >= 0:
            self._header_uses[header] = self._header_uses.get(header, 0) + by

    def _needed(self, number: int) -> list[int]:
        """The head and the close that a part of code or a table goes with, where they aren't kept yet."""
        unit = self.units[number]
        if unit.role == "text":
            return []
        family = self._of_block[unit.block]
        ends = [each for each in (family[0], family[-1]) if self.units[each].role in ("head", "close")]
        return [each for each in dict.fromkeys(ends) if each != number and not self.units[each].kept]

    def _price(self, number: int) -> float:
        unit = self.units[number]
        tokens = unit.tokens + GAP_TOKENS * (1 - self._kept_neighbours(number))
        header = self.blocks[unit.block].header
        if header >= 0 and not self._header_uses.get(header):
            tokens += (self.blocks[header].end - self.blocks[header].start + 2) * self.tokens_per_byte
        if unit.role != "text":
            for each in self._needed(number):
                tokens += self.units[each].tokens
        return tokens if tokens > 1.0 else 1.0

    def _kept_neighbours(self, number: int) -> int:
        """How many units next to it in its block stay: with one the gaps don't get more, with two fewer."""
        units, block = self.units, self.units[number].block
        before = number > 0 and units[number - 1].kept and units[number - 1].block == block
        after = number + 1 < len(units) and units[number + 1].kept and units[number + 1].block == block
        return before + after

    def _is_repeat(self, unit: Unit) -> bool:
        """Whether the block of a unit repeats one that was met; of equals the first met stays."""
        found = self._repeats.get(unit.block)
        if found is None:
            block = self.blocks[unit.block]
            found = self._repeats[unit.block] = self._seen.repeats(self.text[block.start : block.end])
        if found:
            unit.reason = "duplicate"
        return found


def size(text: str, start: int, end: int) -> int:
    """Bytes of a stretch of text in UTF-8: nearer to its tokens than characters are."""
    if text.isascii():
        return end - start
    stretch = text[start:end]
    return end - start if stretch.isascii() else len(stretch.encode("utf-8", "surrogatepass"))


def chance(worth: float) -> float:
    """A unit's worth from its logarithm."""
    return math.exp(min(worth, 60.0))
