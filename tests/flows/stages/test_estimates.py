"""What is assumed of models before anything is learnt."""

import pytest

from flows.stages.calibrate import Calibration
from flows.stages.content import Content, Measured
from flows.stages.estimates import AsCounted, assumed
from tests.flows.stages.making import route

THAI = Measured({Content.SCRIPT: 1000}, {Content.SCRIPT: 5000})


def upper(provider: str, tokenizer: str, measured: Measured) -> int:
    return Calibration(defaults=assumed(provider, tokenizer)).estimate(measured).upper_tokens


@pytest.mark.parametrize(
    ("provider", "tokenizer", "most"),
    [("openai", "o200k", 1052), ("openai", "o200k_base", 1052), ("openai", "cl100k", 1302),
     ("vllm", "o200k", 1302), ("gemini", "o200k", 1302), ("anthropic", "o200k", 1682)],
)  # fmt: skip
def test_bounds_are_wide_where_the_tokenizer_is_another_one(provider: str, tokenizer: str, most: int):
    prose = Measured({Content.PROSE: 1000}, {Content.PROSE: 5000})

    assert upper(provider, tokenizer, prose) == most


def test_other_scripts_may_be_any_size_unless_the_tokenizer_is_known():
    assert upper("openai", "o200k", THAI) == 1052
    assert upper("anthropic", "o200k", THAI) == 5001


def test_what_is_known_and_no_text_is_no_estimate():
    assert upper("anthropic", "o200k", Measured(flat_tokens=70)) == 70


def test_our_own_count_is_the_bound_where_nothing_else_is_asked():
    found = AsCounted().of(route("p:m"), Measured({Content.CODE: 10}, {Content.CODE: 30}, 5))

    assert (found.tokens, found.upper_tokens, found.kind) == (15, 15, "exact")
