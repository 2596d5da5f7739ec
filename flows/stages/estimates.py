"""How many tokens a model will count: what is assumed of a provider before anything is learnt.

The defaults are wide, upwards: near a window the provider is asked, or the context is compressed a little
more than need be, until responses have told how the model counts.
"""

from typing import Protocol

from flows.stages.calibrate import Defaults, Estimate
from flows.stages.content import Measured
from schemas.calls import Route
from schemas.responses import CountKind

_OWN = Defaults(factor=1.0, margin_ratio=0.05, foreign_ratio=0.05)
"""OpenAI's models with OpenAI's vocabulary: only the envelope is in doubt."""
_EMBEDDED = Defaults(factor=1.0, margin_ratio=0.0, foreign_ratio=0.0)
"""What only quotes counts as we do."""
_PROVIDERS = {
    "anthropic": Defaults(factor=1.2, margin_ratio=0.4),
    "gemini": Defaults(factor=1.0, margin_ratio=0.3),
    "extractive": _EMBEDDED,
}
_OTHERS = Defaults(factor=1.0, margin_ratio=0.3)


class Estimates(Protocol):
    """Tells how many tokens a route's model will count; see `flows.calibrations`."""

    def of(self, route: Route, measured: Measured) -> Estimate:
        """The likeliest number, and one that it will not exceed."""
        ...


class AsCounted:
    """Our own count, for every model."""

    def of(self, route: Route, measured: Measured) -> Estimate:
        """The number itself."""
        tokens = measured.text_tokens + measured.flat_tokens
        kind: CountKind = "exact"
        return Estimate(tokens, tokens, kind)


def assumed(provider: str, tokenizer: str) -> Defaults:
    """What is assumed of a provider's models, where texts are counted with that tokenizer."""
    if provider == "openai" and tokenizer.startswith("o200k"):
        return _OWN
    return _PROVIDERS.get(provider, _OTHERS)
