"""The table of models, and how it fills in what an entry doesn't say."""

from typing import get_args

import orjson
import pytest
from anthropic.types.model_param import ModelParam
from openai.types.shared.chat_model import ChatModel

from flows.model_facts import LIMITS, PRICES, packaged, parse
from flows.settings_models import Defaults, Models
from schemas.calls import Route


def route_of(model: str, info: dict[str, object] | None = None, **params: object) -> Route:
    models = Models({}, Defaults())
    entry = {"model_name": "m", "litellm_params": {"model": model, "api_key": "k", **params}}
    models.add("model_list[0]", entry if info is None else {**entry, "model_info": info})
    return models.ordered()[0]


def known(provider: str) -> set[str]:
    return {model for own, model in packaged()._models if own == provider}


def test_names_are_those_of_the_official_sdks():
    claude = {str(name) for name in get_args(get_args(ModelParam)[0])}

    assert known("anthropic") <= claude
    assert known("openai") <= set(get_args(ChatModel))
    assert len(known("gemini")) >= 5


@pytest.mark.parametrize("provider", ["anthropic", "openai", "gemini"])
def test_sold_models_have_both_prices_and_both_limits(provider: str):
    for model in known(provider):
        facts = packaged().of(provider, model)
        assert {*LIMITS, *PRICES[:2]} <= facts.keys()
        assert facts["input_cost_per_token"] < facts["output_cost_per_token"] < 0.001
        assert facts.get("cache_read_input_token_cost", 0) < facts["input_cost_per_token"]
        assert facts["max_output_tokens"] < facts["max_input_tokens"]


def test_entry_without_numbers_gets_those_of_the_table():
    route = route_of("anthropic/claude-opus-5-5")

    assert (route.input_cost_usd, route.output_cost_usd) == (4e-6, 20e-6)
    assert (route.cache_read_cost_usd, route.cache_write_cost_usd) == (0.2e-6, 5e-6)
    assert (route.max_input_tokens, route.max_output_tokens) == (1_000_000, 128_000)


def test_own_numbers_beat_the_table():
    route = route_of(
        "openai/gpt-5-mini", {"max_input_tokens": 9, "max_tokens": 8, "output_cost_per_token": 7}
    )

    assert (route.max_input_tokens, route.max_output_tokens) == (9, 8)
    assert (route.input_cost_usd, route.output_cost_usd, route.cache_read_cost_usd) == (0, 7, None)


def test_price_among_the_parameters_is_an_own_price():
    route = route_of("openai/gpt-5-mini", input_cost_per_token=0.5)

    assert (route.input_cost_usd, route.output_cost_usd) == (0.5, 0)
    assert route.max_input_tokens == 272_000


@pytest.mark.parametrize("model", ["gpt-5-mini-2025-08-07", "GPT-5-mini", "gpt-5-mini-latest"])
def test_dated_name_is_the_model_without_its_date(model: str):
    assert packaged().of("openai", model) == packaged().of("openai", "gpt-5-mini") != {}


@pytest.mark.parametrize("provider", ["hosted_vllm", "openai", "together_ai"])
def test_open_model_has_a_window_wherever_it_is_served(provider: str):
    assert packaged().of(provider, "meta-llama/Llama-3.3-70B-Instruct") == {"max_input_tokens": 131_072}


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "unheard-of"),
        ("ollama", "gpt-oss-20b"),
        ("vllm", "claude-opus-5"),
        ("openai", "claude-opus-5"),
    ],
)
def test_nothing_is_known_of_other_models(provider: str, model: str):
    assert packaged().of(provider, model) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"models": []}',
        b'{"models": {"a": 1}}',
        b'{"models": {"a": {}}}',
        b'{"models": {"a": {"litellm_provider": "p", "max_input_tokens": 1.5}}}',
        b'{"models": {"a": {"litellm_provider": "p", "input_cost_per_token": -1}}}',
        b'{"models": {"a": {"litellm_provider": "p", "input_cost_per_token": "1"}}}',
    ],
)
def test_anything_else_is_no_table(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        parse(data)


def test_table_says_when_it_was_read_and_from_where():
    from importlib.resources import files

    table = orjson.loads(files("flows").joinpath("models.json").read_bytes())

    assert table["read_on"] >= "2026-11-23"
    assert all(isinstance(source, str) for source in table["sources"])
    assert len(packaged()) == len(table["models"]) > 60
