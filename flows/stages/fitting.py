"""Fits a factor for each class by least squares, from sums that can be added."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.stages.content import Content

BELIEF = 0.003
"""Weight of the default factor: that of a small part of one long call of one class."""
_LEAST, _MOST = 0.2, 10.0
_CLASSES = tuple(Content)
Pair = tuple[Content, Content]


@dataclass(frozen=True, slots=True)
class Sums:
    """The normal equations of a model's factors, over the calls so far.

    A call is one equation: the shares of its classes in our count, times their factors, make the provider's
    count over ours.
    """

    weight: float = 0.0
    """Sum of the calls' weights."""
    products: Mapping[Pair, float] = field(default_factory=dict[Pair, float])
    """Sums of the products of two shares, each pair once, in the order of the classes."""
    results: Mapping[Content, float] = field(default_factory=dict[Content, float])
    """Sums of the products of a share and the ratio."""

    @staticmethod
    def of(shares: Mapping[Content, float], ratio: float, weight: float) -> "Sums":
        """One call."""
        kinds = [kind for kind in _CLASSES if kind in shares]
        products = {
            (left, right): weight * shares[left] * shares[right]
            for at, left in enumerate(kinds)
            for right in kinds[at:]
        }
        return Sums(weight, products, {kind: weight * shares[kind] * ratio for kind in kinds})

    def plus(self, other: "Sums", keep_ratio: float = 1.0) -> "Sums":
        """Both together, of this one only a share."""
        products = {pair: value * keep_ratio for pair, value in self.products.items()}
        for pair, value in other.products.items():
            products[pair] = products.get(pair, 0.0) + value
        results = {kind: value * keep_ratio for kind, value in self.results.items()}
        for kind, value in other.results.items():
            results[kind] = results.get(kind, 0.0) + value
        return Sums(self.weight * keep_ratio + other.weight, products, results)

    def fit(self, default: float) -> "Fit":
        """The factors of all classes seen, begun with the default."""
        kinds = tuple(kind for kind in _CLASSES if kind in self.results)
        matrix = [[self._product(left, right) for right in kinds] for left in kinds]
        for at in range(len(kinds)):
            matrix[at][at] += BELIEF
        inverse = _inverted(matrix)
        rights = [self.results[kind] + BELIEF * default for kind in kinds]
        factors = [sum(value * right for value, right in zip(row, rights, strict=True)) for row in inverse]
        return Fit({kind: min(max(found, _LEAST), _MOST) for kind, found in zip(kinds, factors, strict=True)},
                   tuple(tuple(row) for row in inverse))  # fmt: skip

    def _product(self, left: Content, right: Content) -> float:
        return self.products.get((left, right), self.products.get((right, left), 0.0))


@dataclass(frozen=True, slots=True)
class Fit:
    """Factors, and how well the calls determine them."""

    factors: Mapping[Content, float]
    """Provider's tokens over ours, 0.2 to 10, of the classes seen, in their order."""
    inverse: tuple[tuple[float, ...], ...] = ()
    """The inverse of the normal equations' matrix, rows and columns as the factors."""

    def doubt(self, shares: Mapping[Content, float]) -> float:
        """Variance of a mixture's factor, over that of one long call: small where such mixtures were seen."""
        at = [(row, shares[kind]) for row, kind in enumerate(self.factors) if kind in shares]
        return sum(self.inverse[row][column] * left * right for row, left in at for column, right in at)


def _inverted(matrix: list[list[float]]) -> list[list[float]]:
    """Invert a symmetric positive matrix; it needs no pivots."""
    size = len(matrix)
    rows = [row + [float(at == other) for other in range(size)] for at, row in enumerate(matrix)]
    for at in range(size):
        lead = rows[at][at]
        rows[at] = [value / lead for value in rows[at]]
        for other in range(size):
            by = rows[other][at]
            if other != at and by:
                rows[other] = [value - by * pivot for value, pivot in zip(rows[other], rows[at], strict=True)]
    return [row[size:] for row in rows]
