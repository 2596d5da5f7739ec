"""What is publicly known of models: windows, output limits and prices, by LiteLLM's names of the fields.

The table is `models.json` beside this file; it says when it was read, and from where. What an entry of
`model_list` says itself beats it.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import cast

import orjson

PRICES = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)
"""USD of one token."""
LIMITS = ("max_input_tokens", "max_output_tokens")
"""Tokens."""
OPEN = "open"
"""The provider of models that anybody may serve; only their windows are known."""
_NOT_OPEN = frozenset({"anthropic", "gemini", "ollama", "extractive"})
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
Facts = Mapping[str, float]
"""Some of the prices and limits, by name."""


class ModelFacts:
    """The table, by model."""

    def __init__(self, models: Mapping[tuple[str, str], Facts]) -> None:
        self._models = models

    def __len__(self) -> int:
        return len(self._models)

    def of(self, provider: str, model: str) -> Facts:
        """What is known of a provider's model; nothing of unknown ones. A date at its end may be missing."""
        plain = model.lower().rpartition("/")[2]
        keys = [(provider, plain), (provider, _DATED.sub("", plain))]
        if provider not in _NOT_OPEN:
            keys.append((OPEN, plain))
        return next((self._models[key] for key in keys if key in self._models), {})

    def completed(
        self, provider: str, model: str, info: Mapping[str, object], params: Mapping[str, object]
    ) -> dict[str, object]:
        """An entry's `model_info` with what it doesn't say itself; prices all or none."""
        known = self.of(provider, model)
        own = {name for name, value in [*info.items(), *params.items()] if value is not None}
        if "max_tokens" in info:  # LiteLLM's older name of the output's limit
            own.add("max_output_tokens")
        wanted = [name for name in LIMITS if name not in own]
        if own.isdisjoint(PRICES):
            wanted += PRICES
        return {**info, **{name: known[name] for name in wanted if name in known}}


def parse(data: bytes) -> ModelFacts:
    """The table from the bytes of its file.

    Raises:
        ValueError: When they are something else, or a number is missing or below zero.
    """
    try:
        models = cast(dict[str, dict[str, object]], orjson.loads(data)["models"])
        return ModelFacts({_key(name, entry): _facts(name, entry) for name, entry in models.items()})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no table of models: {error!r}") from error


@cache
def packaged() -> ModelFacts:
    """The table that comes with Weir."""
    return parse(files("flows").joinpath("models.json").read_bytes())


def _key(name: str, entry: Mapping[str, object]) -> tuple[str, str]:
    provider = str(entry["litellm_provider"])
    return provider, name.removeprefix(f"{provider}/")


def _facts(name: str, entry: Mapping[str, object]) -> dict[str, float]:
    found: dict[str, float] = {}
    for field in (*LIMITS, *PRICES):
        value = entry.get(field)
        if value is None:
            continue
        if not isinstance(value, int | float) or value < 0 or (field in LIMITS and type(value) is not int):
            raise ValueError(f"{name}: {field} is no number of its kind")
        found[field] = value
    return found
