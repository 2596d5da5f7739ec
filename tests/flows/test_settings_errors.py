"""What is wrong with a configuration is said in one line that names the key."""

from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import load
from flows.settings_keys import SettingsError
from tests.flows.settings_files import entry, loaded, write


def refused(folder: Path, text: str, **env: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text, **env)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message.removeprefix(str(folder / "weir.yaml: "))


def test_password_in_the_file_may_name_a_variable(tmp_path: Path):
    text = "weir: {kafka: {security: SASL_SSL, sasl_mechanism: PLAIN, username: u, password: os.environ/PW}}"

    assert loaded(tmp_path, text, PW="p").cluster.password == "p"
    assert "needs sasl_mechanism, username and password" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("modle_list: []", "modle_list: unknown key; did you mean `model_list`?"),
        ("qqq: 1", "qqq: unknown key"),
        (
            entry("model: openai/x, api_bsae: y"),
            "model_list[0].litellm_params.api_bsae: unknown key; did you mean `api_base`?",
        ),
        (
            entry("model: openai/x", "    model_info: {max_inputs_token: 5, xyz: 1}\n"),
            "model_list[0].model_info.xyz: unknown",
        ),
        (
            "router_settings: {num_retrys: 1}",
            "router_settings.num_retrys: unknown key; did you mean `num_retries`?",
        ),
        ("router_settings: {num_retries: -1}", "router_settings.num_retries: must be a whole number"),
        ("weir: {kafka: {bootstraps: x}}", "weir.kafka.bootstraps: unknown key; did you mean `bootstrap`?"),
        ("weir: {kafka: {partitions: many}}", "weir.kafka.partitions: must be a whole number"),
        ("weir: {kafka: {prefix: 'a b'}}", "weir.kafka.prefix: must be"),
        ("weir: {kafka: {security: TLS}}", "weir.kafka.security: must be one of"),
        (
            "weir: {kafka: {security: SASL_SSL, username: u, password: p}}",
            "weir.kafka: SASL_SSL needs sasl_mechanism",
        ),
        ("weir: {delivery: {session: soon}}", "weir.delivery.session: must be a duration"),
        ("weir: {delivery: {session: 1s}}", "weir.delivery: session must be at least three heartbeats"),
        ("weir: {delivery: {commit_every: 1ms}}", "weir.delivery.commit_every: must be at least 10ms"),
        ("weir: {recall: {timeout: 0s}}", "weir.recall.timeout: must be a duration over 0"),
        (
            "weir: {conversations: {turn_bytes: 9MiB}}",
            "weir.conversations: turn_bytes and history_bytes",
        ),
        ("weir: {references: {root: x}}", "weir.references.root: unknown key; did you mean `roots`?"),
        (
            "weir: {references: {max_bytes: 1GB}}",
            "weir.references.held_bytes: must be at least max_bytes",
        ),
        (
            "weir: {limits: {max_request_bytes: 0}}",
            "weir.limits.max_request_bytes: must be a number of bytes",
        ),
        ("weir: 7", "weir: must be a mapping"),
        ("weir: {1: 2}", "weir: must be a mapping"),
        ("[]", "the file: must be a mapping"),
        ("model_list: {}", "model_list: must be a list"),
        ("model_list: [{litellm_params: {model: openai/x}}]", "model_list[0].model_name: must be a text"),
        (
            "model_list: [{model_name: auto, litellm_params: {model: openai/x}}]",
            "model_list[0].model_name: `auto` means",
        ),
        (entry("api_base: http://x"), "model_list[0].litellm_params.model: must be a text"),
        (entry("model: mystery"), "model_list[0].litellm_params.model: name its provider, as"),
        (
            entry("model: openai/x, extra_headers: {a: os.environ/NONE}"),
            "model_list[0].litellm_params.extra_headers.a: has no value, or its variable is not set",
        ),
        (
            entry("model: openai/x, extra_headers: {a: [b]}"),
            "model_list[0].litellm_params.extra_headers.a: must be a text",
        ),
        (
            entry("model: openai/x, extra_headers: b"),
            "model_list[0].litellm_params.extra_headers: must be a mapping",
        ),
        (
            entry("model: openai/x, cache_read_input_token_cost: much"),
            "model_list[0].litellm_params.cache_read_input_token_cost: must be a number",
        ),
        (
            entry("model: olama/x"),
            "model_list[0].litellm_params.model: provider `olama` is unknown; did you mean `ollama`?",
        ),
        (
            entry("model: zzz/x"),
            "model_list[0].litellm_params.model: provider `zzz` is unknown; known: anthropic",
        ),
        (
            entry("model: openai/x, api_base: localhost:1"),
            "model_list[0].litellm_params.api_base: must begin with http",
        ),
        (
            entry("model: openai/x, base_url: os.environ/NONE"),
            "model_list[0].litellm_params.base_url: the variable of",
        ),
        (
            entry("model: openai/x, timeout: 0"),
            "model_list[0].litellm_params.timeout: must be a duration over 0",
        ),
        (
            entry("model: openai/x", "router_settings: {fallbacks: [{m: [n]}]}"),
            "router_settings.fallbacks.m[0]: no model is named `n`",
        ),
        (
            entry("model: openai/x", "router_settings: {fallbacks: [{n: [m]}]}"),
            "router_settings.fallbacks.n: no model is named `n`",
        ),
        (
            entry("model: openai/x", "router_settings: {model_group_alias: {a: big}}"),
            "router_settings.model_group_alias.a: no model is named `big`",
        ),
        (
            entry("model: openai/x", "router_settings: {model_group_alias: {auto: m}}"),
            "router_settings.model_group_alias: `auto` is taken",
        ),
    ],
)
def test_wrong_file_is_refused_in_one_line_that_names_the_key(tmp_path: Path, text: str, place: str):
    assert refused(tmp_path, text).startswith(place)


def test_alias_that_is_nearly_right_gets_a_hint(tmp_path: Path):
    text = entry("model: openai/x", "router_settings: {model_group_alias: {best: extractiv}}")

    assert refused(tmp_path, text).endswith("did you mean `extractive`?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIR_SESSION_MS", "2s"),
        ("WEIR_PARTITIONS", "-7"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("WEIR_LEDGER", "no"),
    ],
)
def test_wrong_variable_is_named_and_its_value_is_not_shown(name: str, value: str):
    with pytest.raises(SettingsError, match=f"^{name}: must be ") as caught:
        load(None, {name: value})

    assert value not in str(caught.value).removeprefix(name).split()


@pytest.mark.parametrize(
    "text",
    ["a: [1", "weir: {a: 1}\nweir: {b: 2}", "a: !!python/object:os.system x", "\x00", "when: 2026-99-99"],
)
def test_file_that_is_not_yaml_is_refused_in_one_line(tmp_path: Path, text: str):
    with pytest.raises(SettingsError, match="is not valid YAML") as caught:
        loaded(tmp_path, text)

    assert "\n" not in str(caught.value)


def test_merge_keys_of_yaml_are_no_duplicates(tmp_path: Path):
    text = "weir:\n  retry: &a {base: 1s}\n  health: {cooldown: 2s}\n  limits: {}\n"

    assert loaded(tmp_path, text).retry.base == timedelta(seconds=1)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"none\.yaml: can't be read: No such file"):
        load(str(tmp_path / "none.yaml"), {})


def test_file_that_includes_itself_is_refused(tmp_path: Path):
    write(tmp_path, "include: [weir.yaml]", "other.yaml")

    with pytest.raises(SettingsError, match="includes itself"):
        loaded(tmp_path, "include: [other.yaml]")
