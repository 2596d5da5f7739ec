"""How a route's bytes travel, as an entry of `model_list` says it."""

from pathlib import Path

import pytest

from flows.settings_keys import SettingsError
from schemas.calls import Route
from tests.flows.settings_files import entry, loaded


def route_of(folder: Path, params: str, **env: str) -> Route:
    settings = loaded(folder, entry(f"model: ollama/x, {params}"), **env)
    assert settings.warnings == ()
    return settings.routes[0]


def test_a_key_may_stand_in_a_file(tmp_path: Path):
    route = route_of(tmp_path, "api_key: 'file:/run/secrets/key'")

    assert (route.api_key, route.api_key_file) == (None, "/run/secrets/key")


def test_without_any_of_it_the_bytes_travel_as_ever(tmp_path: Path):
    route = route_of(tmp_path, "temperature: 0")

    assert (route.api_key_file, route.client, route.proxy) == (None, "http", None)
    assert (route.ca_file, route.client_cert_file, route.verify_tls) == (None, None, True)


def test_proxy_client_and_certificate_are_read(tmp_path: Path):
    params = "client: SDK, proxy: os.environ/WAY, ca_file: ca.pem, client_cert_file: me.pem"
    route = route_of(tmp_path, params, WAY="http://me:word@proxy:3128")

    assert (route.client, route.proxy) == ("sdk", "http://me:word@proxy:3128")
    assert (route.ca_file, route.client_cert_file) == ("ca.pem", "me.pem")


def test_the_proxy_may_be_left_to_the_environment(tmp_path: Path):
    assert route_of(tmp_path, "proxy: environment").proxy == "environment"


@pytest.mark.parametrize(
    ("value", "verify_tls", "ca_file"),
    [("false", False, None), ("'True'", True, None), ("/etc/ca.pem", True, "/etc/ca.pem")],
)
def test_litellms_ssl_verify_is_a_flag_or_a_file(
    tmp_path: Path, value: str, verify_tls: bool, ca_file: str | None
):
    route = route_of(tmp_path, f"ssl_verify: {value}")

    assert (route.verify_tls, route.ca_file) == (verify_tls, ca_file)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("model: ollama/x, api_key: 'file:'", "api_key: `file:` is followed by the path of a file"),
        ("model: vllm/x, client: sdk", "`sdk` is there for anthropic, gemini, ollama; not for `vllm`"),
        ("model: ollama/x, client: grpc", "client: must be one of http, sdk"),
        ("model: ollama/x, proxy: proxy:3128", "proxy: must begin with http:// or https://, or be `env"),
        ("model: ollama/x, ssl_verify: 5", "ssl_verify: must be true or false"),
        ("model: ollama/x, ca_file: ''", "ca_file: must be a text"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, params: str, said: str):
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, entry(params))

    assert said in str(caught.value)
