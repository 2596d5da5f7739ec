"""The providers of the settings: their keys, prices of the prompt cache, headers."""

from pathlib import Path

import pytest

from connectors.providers.openai_quirks import QUIRKS
from flows.settings_providers import KEY_VARIABLES, PROVIDERS
from tests.flows.settings_files import entry, loaded


def test_every_server_that_speaks_openais_format_is_known():
    assert set(QUIRKS) <= PROVIDERS


@pytest.mark.parametrize("provider", [name for name, variables in KEY_VARIABLES.items() if variables])
def test_entry_without_a_key_takes_its_providers_own_variable(tmp_path: Path, provider: str):
    for name in KEY_VARIABLES[provider]:
        settings = loaded(tmp_path, entry(f"model: {provider}/x"), **{name: " k ", "OTHER_API_KEY": "no"})

        assert settings.routes[0].api_key == "k"
        assert settings.warnings == ()


@pytest.mark.parametrize("provider", ["custom_openai", "vllm", "ollama"])
def test_key_of_one_provider_goes_to_no_other(tmp_path: Path, provider: str):
    settings = loaded(tmp_path, entry(f"model: {provider}/x"), OPENAI_API_KEY="k", GROQ_API_KEY="k")

    assert settings.routes[0].api_key is None


def test_first_variable_that_is_set_counts_and_a_named_key_beats_them(tmp_path: Path):
    env = {"PERPLEXITYAI_API_KEY": " ", "PERPLEXITY_API_KEY": "second"}

    assert loaded(tmp_path, entry("model: perplexity/x"), **env).routes[0].api_key == "second"
    named = loaded(tmp_path, entry("model: perplexity/x, api_key: own"), **env)
    assert named.routes[0].api_key == "own"
    missing = loaded(tmp_path, entry("model: perplexity/x, api_key: os.environ/NONE"), **env)
    assert missing.routes[0].api_key is None


def test_providers_of_plugins_have_no_variable(tmp_path: Path):
    text = entry("model: mine/x", "weir: {plugins: [a.b]}\n")

    assert loaded(tmp_path, text, MINE_API_KEY="k").routes[0].api_key is None


@pytest.mark.parametrize("place", ["litellm_params", "model_info"])
def test_prices_of_the_prompt_cache_stand_beside_the_others(tmp_path: Path, place: str):
    prices = "{cache_read_input_token_cost: 3e-7, cache_creation_input_token_cost: 0}"
    params = "{model: openai/x, " + (prices[1:] if place == "litellm_params" else "}")
    info = prices if place == "model_info" else "{}"
    text = f"model_list:\n  - {{model_name: m, litellm_params: {params}, model_info: {info}}}\n"
    settings = loaded(tmp_path, text)

    route = settings.routes[0]
    assert (route.cache_read_cost_usd, route.cache_write_cost_usd) == (3e-7, 0.0)
    assert settings.warnings == ()


def test_prices_of_the_prompt_cache_are_those_of_the_input_where_nothing_is_said(tmp_path: Path):
    route = loaded(tmp_path, entry("model: openai/x, input_cost_per_token: 1e-6")).routes[0]

    assert (route.cache_read_cost_usd, route.cache_write_cost_usd) == (None, None)


def test_headers_and_thinking_reach_the_calls_and_headers_do_not_show(tmp_path: Path):
    params = "extra_headers: {X-Org: o, X-Key: os.environ/HEADER, X-Number: 7}, thinking: {type: enabled}"
    settings = loaded(tmp_path, entry(f"model: openai/x, {params}"), HEADER="secret-1")

    assert settings.routes[0].params == {
        "extra_headers": {"X-Org": "o", "X-Key": "secret-1", "X-Number": "7"},
        "thinking": {"type": "enabled"},
    }
    assert settings.warnings == ()
    assert "X-Key" in repr(settings)
    assert "secret-1" not in repr(settings)
