"""Learns from the usage in responses how a model counts, where our own tokenizer is another one.

Per class of content there is a factor, the provider's tokens over ours. All factors of a model are fitted
together by least squares over the calls, begun with a weak belief in the default, so that calls of several
classes teach each its own. Beside it stands how far estimates were off. All state is sums (and maxima), so
what several workers learnt is put together by adding.

- Errors shrink with length, so they are kept apart for short, middle and long requests. What is known of the
  other lengths stands in: shorter ones as they are, longer ones widened by the square root of the ratio.
- An error counts only once the classes of its request were seen before; the first one says nothing.
- The upper bound adds some standard errors: of the requests around their estimate, and of the factors, which
  are in doubt where few calls had such a mixture; and never less than a third more than the worst ever seen.
  For classes never seen it adds a wide default, and never makes more tokens than the text has bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, sqrt

from flows.stages.content import LATIN, Content, Measured
from flows.stages.fitting import Fit, Sums
from schemas.responses import CountKind

LENGTHS_TOKENS = (300, 2_500, 20_000)
"""Typical length of a short, a middle and a long request."""
_BOUNDS_TOKENS = (1_000, 6_000)
"""Where short ends, and middle."""
MAX_CALLS = 500.0
"""Calls that are remembered, about: older ones fade."""
ENOUGH_CALLS = 6.0
"""Calls after which estimates may be called calibrated."""
ENOUGH_DOUBT = 0.5
"""Most doubt of the mixture's factor at which they are, in that of one long call of it."""
_KNOWN_CALLS = 0.3
_POOL_CALLS = 3.0
_SIGMAS, _FEW_CALLS, _PEAK_RATIO = 4.5, 3.0, 1.34
_LEAST_VARIANCE = 0.005**2
Lengths = tuple[float, float, float]
_ZEROS: Lengths = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Errors:
    """How far estimates of one class of content were off."""

    calls: float = 0.0
    """Calls seen, each weighted with the share of this class."""
    checked: Lengths = _ZEROS
    """Those of them whose error counts, by length."""
    squares: Lengths = _ZEROS
    """Sum of their squared relative errors."""
    peak_ratio: float = 0.0
    """Most that a call mostly of this class had over its estimate, as a share, scaled to a long one."""

    def plus(self, other: "Errors", keep_ratio: float = 1.0) -> "Errors":
        """Both together, of this one only a share."""
        return Errors(
            self.calls * keep_ratio + other.calls,
            _sum(self.checked, keep_ratio, other.checked),
            _sum(self.squares, keep_ratio, other.squares),
            max(self.peak_ratio * keep_ratio, other.peak_ratio),
        )


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is assumed of a model before anything is learnt."""

    factor: float = 1.0
    """Provider's tokens over ours."""
    margin_ratio: float = 0.6
    """What the upper bound adds, as a share, for texts in Latin letters."""
    foreign_ratio: float = inf
    """The same for other scripts: they may be any size, unless the tokenizer is known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many tokens a request will have at the provider."""

    tokens: int
    """The likeliest number."""
    upper_tokens: int
    """A number that it will not exceed."""
    kind: CountKind
    """`calibrated` where enough was learnt of all classes it has much of, else `estimate`."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one model counts. A value: `observe` and `plus` make new ones."""

    sums: Sums = field(default_factory=Sums)
    """What the factors are fitted from."""
    errors: Mapping[Content, Errors] = field(default_factory=dict[Content, Errors])
    """How far off each class was; absent ones were never seen."""
    defaults: Defaults = Defaults()
    """What is assumed of classes that were never seen."""
    fit: Fit = field(init=False, repr=False, compare=False)
    """The factors."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fit", self.sums.fit(self.defaults.factor))

    def estimate(self, measured: Measured) -> Estimate:
        """What the provider will count."""
        flat = measured.flat_tokens
        expected = self._expected(measured)
        margin = self._margin(measured)
        upper = 0.0
        for kind, tokens in expected.items():
            added = margin if self._of(kind).calls >= _KNOWN_CALLS else self._assumed(kind)
            most = tokens * (1 + added) + 1
            upper += min(most, max(measured.utf8_bytes.get(kind, most), tokens))
        trust: CountKind = "calibrated" if self._trusted(measured) else "estimate"
        return Estimate(round(sum(expected.values())) + flat, int(upper) + bool(expected) + flat, trust)

    def observe(self, measured: Measured, provider_tokens: int) -> "Calibration":
        """What is known after a response told the provider's count, cached tokens included."""
        seen, size = provider_tokens - measured.flat_tokens, measured.text_tokens
        if seen <= 0 or size <= 0:
            return self
        expected = self._expected(measured)
        whole = sum(expected.values())
        counts = all(self._of(kind).calls >= _KNOWN_CALLS for kind in expected)
        error = seen / whole - 1 if counts else 0.0
        shares = _shares(measured)
        errors = dict(self.errors)
        for kind, share in shares.items():
            at, checked = _length(size), share if counts else 0.0
            peak = max(0.0, error) * _to_long(size) if share >= 0.5 else 0.0
            fresh = Errors(share, _at(at, checked), _at(at, checked * error * error), peak)
            known = self._of(kind)
            errors[kind] = known.plus(fresh, min(1.0, MAX_CALLS / (known.calls + 1)))
        weight = sqrt(min(size, LENGTHS_TOKENS[-1]) / LENGTHS_TOKENS[-1])
        sums = self.sums.plus(Sums.of(shares, seen / size, weight), _keep_ratio(self.sums.weight))
        return Calibration(sums, errors, self.defaults)

    def plus(self, other: "Calibration") -> "Calibration":
        """What two workers learnt, together. In any order the same but for rounding; our defaults hold."""
        kinds = {**self.errors, **other.errors}
        errors = {kind: self._of(kind).plus(other.errors.get(kind, Errors())) for kind in kinds}
        return Calibration(self.sums.plus(other.sums), errors, self.defaults)

    def _of(self, kind: Content) -> Errors:
        return self.errors.get(kind, Errors())

    def _expected(self, measured: Measured) -> dict[Content, float]:
        """The provider's tokens of each class, as far as we know."""
        default = self.defaults.factor
        return {
            kind: tokens * self.fit.factors.get(kind, default)
            for kind, tokens in measured.tokens.items()
            if tokens
        }

    def _trusted(self, measured: Measured) -> bool:
        """Whether enough calls of such a mixture were seen."""
        shares = _shares(measured)
        known = all(self._of(kind).calls >= _KNOWN_CALLS for kind in shares)
        checked = sum(sum(errors.checked) for errors in self.errors.values())
        return known and bool(shares) and checked >= ENOUGH_CALLS and self.fit.doubt(shares) <= ENOUGH_DOUBT

    def _assumed(self, kind: Content) -> float:
        defaults = self.defaults
        return defaults.margin_ratio if kind in LATIN else defaults.foreign_ratio

    def _margin(self, measured: Measured) -> float:
        """What the upper bound adds to the estimates of known classes, as a share."""
        size = measured.text_tokens
        shares = _shares(measured)
        checked = sum(sum(known.checked) for known in self.errors.values())
        if checked < _KNOWN_CALLS or not shares:
            return max((self._assumed(kind) for kind in shares), default=self.defaults.margin_ratio)
        variance = sum(share * self._variance(kind, _length(size)) for kind, share in shares.items())
        doubt = self.fit.doubt(shares) * sum(
            share * self._variance(kind, len(LENGTHS_TOKENS) - 1) for kind, share in shares.items()
        )
        learnt = _SIGMAS * (1 + _FEW_CALLS / checked) * sqrt(variance + doubt)
        peak = sum(share * self._of(kind).peak_ratio for kind, share in shares.items())
        return max(learnt, _PEAK_RATIO * peak / _to_long(size))

    def _variance(self, kind: Content, length: int) -> float:
        """Mean squared relative error of a class at a length, drawn towards that of all."""
        all_squares, all_checked = 0.0, 0.0
        for known in self.errors.values():
            all_squares += _squares(known, length)
            all_checked += sum(known.checked)
        own = self._of(kind)
        pooled = _POOL_CALLS * all_squares / all_checked
        return max(_LEAST_VARIANCE, (_squares(own, length) + pooled) / (sum(own.checked) + _POOL_CALLS))


def _shares(measured: Measured) -> dict[Content, float]:
    """The share of each class in our count."""
    size = measured.text_tokens
    return {kind: tokens / size for kind, tokens in measured.tokens.items() if tokens}


def _squares(known: Errors, length: int) -> float:
    """Sum of squared errors, as they would be at a length: those of longer calls are widened."""
    return sum(
        squares * max(1.0, LENGTHS_TOKENS[other] / LENGTHS_TOKENS[length])
        for other, squares in enumerate(known.squares)
    )


def _length(size_tokens: int) -> int:
    """Which of the lengths a request has."""
    return sum(size_tokens >= bound for bound in _BOUNDS_TOKENS)


def _to_long(size_tokens: int) -> float:
    """By what an error of a request of this size shrinks on a long one; at most 1."""
    return min(1.0, sqrt(size_tokens / LENGTHS_TOKENS[-1]))


def _keep_ratio(weight: float) -> float:
    return min(1.0, MAX_CALLS / (weight + 1))


def _at(length: int, value: float) -> Lengths:
    return (value if length == 0 else 0.0, value if length == 1 else 0.0, value if length == 2 else 0.0)


def _sum(one: Lengths, keep_ratio: float, other: Lengths) -> Lengths:
    first, second, third = (left * keep_ratio + right for left, right in zip(one, other, strict=True))
    return (first, second, third)
