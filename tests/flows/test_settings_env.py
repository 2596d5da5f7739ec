"""What the environment sets, and the models it names."""

from typing import get_args

import anthropic
import openai
import pytest

from flows.settings import COUNTING, load
from flows.settings_env import CONVERSATIONS, DELIVERY, HOSTED, KAFKA, VARIABLES, Hosted, ollama_url
from flows.settings_providers import KEY_VARIABLES


def test_environment_names_models_before_the_embedded_one():
    env = {
        "OLLAMA_HOST": "box",
        "OLLAMA_MODEL": "llama3",
        "OPENAI_API_KEY": "secret",
        "WEIR_OPENAI_MODEL": "gpt-x",
        "OPENAI_BASE_URL": "http://proxy/v1/",
    }
    settings = load(None, env)
    first, second, last = settings.catalogue().find("auto")

    assert (first.name, first.api_base) == ("ollama:llama3", "http://box:11434")
    assert (second.name, second.api_base, second.api_key) == ("openai:gpt-x", "http://proxy/v1", "secret")
    assert last.name == "extractive:extractive"
    assert ["price" in line for line in settings.warnings] == [True]


def test_openai_key_alone_gets_a_model():
    assert load(None, {"OPENAI_API_KEY": "k"}).routes[0].provider == "openai"


def test_each_key_alone_gets_a_model_that_its_sdk_knows():
    env = {"ANTHROPIC_API_KEY": "a", "GOOGLE_API_KEY": "g", "OPENAI_API_KEY": "o"}
    routes = load(None, env).routes

    assert [(route.provider, route.api_key) for route in routes[:-1]] == [
        ("anthropic", "a"), ("gemini", "g"), ("openai", "o"),
    ]  # fmt: skip
    literal, _ = get_args(anthropic.types.Model)
    assert routes[0].model in get_args(literal)
    assert routes[2].model in get_args(openai.types.ChatModel)


@pytest.mark.parametrize("hosted", HOSTED, ids=lambda hosted: hosted.provider)
def test_the_environment_names_another_model_and_address(hosted: Hosted):
    env = {
        KEY_VARIABLES[hosted.provider][0]: "k",
        hosted.variable: "mine",
        hosted.base_variable: "http://box/",
    }
    route = load(None, env).routes[0]

    assert (route.name, route.api_base) == (f"{hosted.provider}:mine", "http://box")


def test_ollama_host_without_a_model_is_a_warning():
    settings = load(None, {"OLLAMA_HOST": "box"})

    assert [route.provider for route in settings.routes] == ["extractive"]
    assert "OLLAMA_MODEL" in settings.warnings[0]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("box:1", "http://box:1"),
        ("http://box", "http://box:80"),
        ("https://box/", "https://box:443"),
        (":5000", "http://127.0.0.1:5000"),
    ],
)
def test_ollama_host_means_what_ollama_means_by_it(host: str, url: str):
    assert ollama_url(host) == url


def test_every_variable_sets_a_field_that_there_is():
    tables = {"kafka": KAFKA, "delivery": DELIVERY, "counting": COUNTING, "conversations": CONVERSATIONS}

    assert all(variable.field in tables[variable.section] for variable in VARIABLES.values())
    delivery = {variable.field for variable in VARIABLES.values() if variable.section == "delivery"}
    assert delivery == set(DELIVERY)


def test_sasl_is_read_from_the_environment():
    env = {
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_MECHANISM": "scram-sha-256",
        "KAFKA_SASL_USERNAME": "u",
        "KAFKA_SASL_PASSWORD": "p",
        "KAFKA_SSL_CAFILE": "ca.pem",
    }
    cluster = load(None, env).cluster

    assert (cluster.security, cluster.sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-256")
    assert (cluster.username, cluster.password, cluster.ca_file) == ("u", "p", "ca.pem")
