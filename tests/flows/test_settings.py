"""The settings: LiteLLM's file, ours, the environment; three classes of keys."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import COUNTING, HEALTH, LIMITS, RETRY, Counting, Settings, load
from flows.settings_env import DELIVERY, KAFKA
from flows.stages.health import HealthPolicy
from flows.stages.limits import Limits
from flows.stages.retry import RetryPolicy
from schemas.calls import Route, Timeouts
from schemas.cluster import Cluster, Delivery
from tests.flows.settings_files import entry, loaded, write

FULL = """
model_list:
  - model_name: smart
    litellm_params:
      model: openai/gpt-x
      api_base: http://a:1/v1/
      api_key: os.environ/KEY_A
      order: 2
      temperature: 0.3
      max_tokens: 100
      timeout: 90
      stream_timeout: 5s
      max_parallel_requests: 7
      drop_params: true
      rpm: 60
    model_info: {input_cost_per_token: 1e-6, output_cost_per_token: 0.000002, max_input_tokens: 8000,
                 max_output_tokens: 500, supports_vision: true, base_model: x}
  - model_name: local
    litellm_params: {model: "ollama_chat/llama3:8b", input_cost_per_token: 0.5}
    model_info: {max_tokens: 300}
  - model_name: smart
    litellm_params: {model: vllm/gpt-x, order: 1, api_base: os.environ/BASE_B}
  - model_name: smart
    litellm_params: {model: vllm/gpt-x}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 4
  retry_after: 1
  timeout: 30
  stream_timeout: 3
  cooldown_time: 7
  allowed_fails: 2
  fallbacks: [{smart: [local]}]
  default_fallbacks: [smart]
  model_group_alias: {best: smart, other: {model: local, hidden: true}}
litellm_settings: {drop_params: false, cache: true}
general_settings: {master_key: sk-1234}
environment_variables: {BASE_B: "http://b:2"}
weir:
  kafka: {bootstrap: "k1:9092, k2:9092", prefix: dev., partitions: 6}
  delivery: {session: 6s, heartbeat: 500ms, credits: 50, buffer_bytes: 4MiB, ledger: TRAILING}
  retry: {base: 100ms, factor: 3}
  limits: {max_request_bytes: 1 MB, default_timeout: 5m}
  recall: {timeout: 3s}
  references: {roots: ["file:///a", "s3://b"], max_bytes: 1MB}
  counting: {tokenizer: cl100k}
"""


@pytest.fixture
def full(tmp_path: Path) -> Settings:
    return loaded(tmp_path, FULL, KEY_A="hidden-a")


def test_routes_stand_as_their_models_are_first_named_and_then_by_order(full: Settings):
    assert [route.name for route in full.routes] == [
        "vllm:gpt-x",
        "openai:gpt-x",
        "vllm:gpt-x#2",
        "ollama:llama3:8b",
        "extractive:extractive",
    ]


def test_route_has_all_that_its_entry_says(full: Settings):
    assert full.routes[1] == Route(
        name="openai:gpt-x",
        model_name="smart",
        provider="openai",
        model="gpt-x",
        api_base="http://a:1/v1",
        api_key="hidden-a",
        input_cost_usd=1e-6,
        output_cost_usd=2e-6,
        max_input_tokens=8000,
        max_output_tokens=500,
        max_connections=7,
        timeouts=Timeouts(5.0, 90.0, 5.0, 90.0),
        drop_params=True,
        params={"temperature": 0.3, "max_tokens": 100},
    )


def test_defaults_come_from_the_router_and_older_names_are_read(full: Settings):
    local = full.routes[3]

    assert local.timeouts == Timeouts(5.0, 30.0, 3.0, 30.0)
    assert (local.max_output_tokens, local.input_cost_usd, local.max_connections) == (300, 0.5, 4096)
    assert full.routes[0].api_base == "http://b:2"


def test_own_sections_fill_the_tree(full: Settings):
    assert (full.cluster.bootstrap, full.cluster.prefix, full.cluster.partitions) == (
        ("k1:9092", "k2:9092"),
        "dev.",
        6,
    )
    delivery = full.delivery
    assert (delivery.session, delivery.credits, delivery.ledger) == (timedelta(seconds=6), 50, "trailing")
    assert delivery.buffer_bytes == 4 * 1024 * 1024
    assert (full.limits.max_request_bytes, full.limits.default_timeout) == (10**6, timedelta(minutes=5))
    assert full.outside.recall.timeout == timedelta(seconds=3)
    assert full.outside.references.roots == ("file:///a", "s3://b")
    assert full.outside.references.max_bytes == 10**6
    assert full.counting.tokenizer == "cl100k"


def test_litellms_router_settings_become_policies(full: Settings):
    second = timedelta(seconds=1)

    assert full.retry == RetryPolicy(retries_per_route=4, base=second / 10, factor=3.0, min_wait=second)
    assert full.health == HealthPolicy(allowed_fails=2, cooldown=7 * second)
    assert full.aliases == {"best": "smart", "other": "local"}
    assert full.fallbacks == {"smart": ("local",), "*": ("smart",)}


def test_what_has_no_effect_is_a_warning_each(full: Settings):
    assert sorted(line.split(":")[0] for line in full.warnings) == [
        "general_settings.master_key",
        "litellm_settings.cache",
        "model_list[0].litellm_params.rpm",
        "model_list[0].model_info.base_model",
        "model_list[0].model_info.supports_vision",
        "router_settings.routing_strategy",
    ]


def test_secrets_do_not_show(tmp_path: Path):
    settings = loaded(tmp_path, FULL, KEY_A="hidden-a", KAFKA_SASL_PASSWORD="hidden-b")

    assert settings.cluster.password == "hidden-b"
    assert "hidden-" not in repr(settings)
    assert "hidden-" not in str(settings.catalogue())


def test_catalogue_and_policies_are_ready_for_the_stages(full: Settings):
    assert full.catalogue().find("best")[0].name == "vllm:gpt-x"
    assert full.admit_policy().limits is full.limits
    assert full.admit_policy().reply_prefixes == ("reply.", "dev.reply.gateway")


def test_embedded_model_can_be_named_beside_a_file_and_auto_leaves_it_out(full: Settings):
    catalogue = full.catalogue()

    assert catalogue.find("extractive") == full.routes[-1:]
    assert full.routes[-1] not in catalogue.find("auto")


def test_auto_comes_to_the_embedded_model_where_the_file_lists_it(tmp_path: Path):
    settings = loaded(tmp_path, entry("model: extractive"))

    assert [route.model_name for route in settings.catalogue().find("auto")] == ["m"]


def test_nothing_at_all_gives_the_embedded_model():
    assert load(None, {}) == Settings()


def test_file_without_models_takes_those_of_the_environment(tmp_path: Path):
    path = write(tmp_path, "weir: {kafka: {group: g}}")
    settings = load(None, {"WEIR_CONFIG": path, "OLLAMA_MODEL": "llama3"})

    assert [route.name for route in settings.routes] == ["ollama:llama3", "extractive:extractive"]
    assert (settings.cluster.group, settings.source) == ("g", path)


def test_environment_beats_the_file(tmp_path: Path):
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "e:1",
        "WEIR_TOPIC_PREFIX": "t.",
        "WEIR_SESSION_MS": "2000",
        "WEIR_INSTANCE_ID": "worker-0",
        "WEIR_CREDITS": "",
        "WEIR_TOKENIZER": "o200k",
    }
    settings = loaded(tmp_path, FULL, KEY_A="x", **env)

    assert (settings.cluster.bootstrap, settings.cluster.prefix) == (("e:1",), "t.")
    assert (settings.delivery.session, settings.delivery.credits) == (timedelta(seconds=2), 50)
    assert (settings.delivery.instance_id, settings.counting.tokenizer) == ("worker-0", "o200k")


def test_every_field_can_be_set_in_the_file_and_no_other():
    pairs = [(KAFKA, Cluster), (DELIVERY, Delivery), (RETRY, RetryPolicy), (HEALTH, HealthPolicy),
             (LIMITS, Limits), (COUNTING, Counting)]  # fmt: skip

    for parsers, tree in pairs:
        assert set(parsers) == {field.name for field in fields(tree)}


def test_plugins_come_from_file_and_environment_and_open_the_providers(tmp_path: Path):
    text = entry("model: mine/x", "weir: {plugins: [a.b]}\n")
    settings = loaded(tmp_path, text, WEIR_PLUGINS="c, a.b")

    assert settings.plugins == ("a.b", "c")
    assert settings.routes[0].provider == "mine"


def test_missing_key_variable_is_a_warning_only(tmp_path: Path):
    settings = loaded(tmp_path, entry("model: openai/x, api_key: os.environ/NONE"))

    assert settings.routes[0].api_key is None
    assert "os.environ/NONE is not set" in settings.warnings[0]


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("openai/meta/llama", "openai", "meta/llama"),
        ("ollama:llama3:8b", "ollama", "llama3:8b"),
        ("openai::gpt-x", "openai", "gpt-x"),
        ("gpt-9", "openai", "gpt-9"),
        ("extractive", "extractive", "extractive"),
        ("lm_studio/x", "lmstudio", "x"),
        ("claude-9", "anthropic", "claude-9"),
        ("gemini/gemini-9", "gemini", "gemini-9"),
        ("openrouter/openai/gpt-x", "openrouter", "openai/gpt-x"),
    ],
)
def test_provider_is_found_in_the_models_name(tmp_path: Path, model: str, provider: str, name: str):
    route = loaded(tmp_path, entry(f'model: "{model}"')).routes[0]

    assert (route.provider, route.model) == (provider, name)


def test_provider_may_stand_on_its_own(tmp_path: Path):
    route = loaded(tmp_path, entry("model: meta/llama, custom_llm_provider: hosted_vllm")).routes[0]

    assert route.name == "hosted_vllm:meta/llama"


def test_entries_that_weir_does_not_serve_are_left_out_with_a_warning(tmp_path: Path):
    text = """
model_list:
  - {model_name: e, litellm_params: {model: openai/x}, model_info: {mode: embedding}}
  - {model_name: "*", litellm_params: {model: "openai/*"}}
"""
    settings = loaded(tmp_path, text)

    assert [route.provider for route in settings.routes] == ["extractive"]
    assert ["left out" in line for line in settings.warnings] == [True, True]


def test_included_files_are_merged_and_the_includer_wins(tmp_path: Path):
    write(tmp_path, entry("model: openai/a", "weir: {kafka: {group: inner, prefix: p}}\n"), "models.yaml")
    text = entry("model: openai/b", "include: [models.yaml]\nweir: {kafka: {group: outer}}\n")
    settings = loaded(tmp_path, text)

    assert [route.model for route in settings.routes[:2]] == ["a", "b"]
    assert (settings.cluster.group, settings.cluster.prefix) == ("outer", "p")


@pytest.mark.parametrize(
    ("env", "prefixes"),
    [
        ({}, ("reply.",)),
        ({"WEIR_TOPIC_PREFIX": "a."}, ("reply.", "a.reply.gateway")),
        ({"WEIR_REPLY_PREFIXES": "mine."}, ("mine.", "reply.gateway")),
    ],
)
def test_answers_may_always_go_to_the_gateways(env: dict[str, str], prefixes: tuple[str, ...]):
    assert load(None, env).delivery.reply_prefixes == prefixes
