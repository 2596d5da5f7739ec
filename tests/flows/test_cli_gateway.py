"""`weir gateway`: its options, and what the environment says."""

import pytest

from connectors.gateway.ports import Problem
from connectors.kafka.ports import LOWEST, is_free
from connectors.process.errors import NotReady
from flows import cli_gateway
from flows.cli import run
from flows.cli_gateway import Options, child_args, chosen_url, gateway_settings, main, models_of, port_of
from flows.settings import Settings
from flows.settings_keys import SettingsError
from schemas.calls import Route
from schemas.cluster import Cluster
from tests.support.command import DEAD


def route(name: str, provider: str = "openai") -> Route:
    return Route(f"{provider}:{name}", name, provider, name)


@pytest.mark.parametrize(
    ("option", "env", "port"),
    [(None, {}, 8080), (None, {"WEIR_GATEWAY_PORT": " 81 "}, 81), (5, {"WEIR_GATEWAY_PORT": "81"}, 5)],
)
def test_a_port_is_the_option_else_the_variable_else_8080(option: int | None, env: dict[str, str], port: int):
    assert port_of(option, env) == port


@pytest.mark.parametrize("text", ["x", "-1", "65536", "8.0", "٣"])
def test_a_variable_that_is_no_port_is_told(text: str):
    with pytest.raises(SettingsError, match="WEIR_GATEWAY_PORT: must be a port"):
        port_of(None, {"WEIR_GATEWAY_PORT": text})


def test_settings_come_from_options_and_environment():
    env = {"WEIR_GATEWAY_HOST": "::1", "WEIR_GATEWAY_ORIGINS": "https://b, https://a/"}

    made = gateway_settings(Options(ordinal=1, instances=2, tls_cert="c", tls_key="k", drain_s=3), env)

    assert (made.host, made.port, made.ordinal, made.instances) == ("::1", 8080, 1, 2)
    assert (made.tls_cert, made.origins, made.drain.total_seconds()) == ("c", ("https://a", "https://b"), 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(ordinal=2, instances=2), "--ordinal: must be 0 to 1"),
        (Options(ordinal=-1, instances=2), "--ordinal"),
        (Options(tls_cert="c"), "go together"),
        (Options(tls_key="k"), "go together"),
    ],
)
def test_options_that_do_not_fit_each_other_are_told(options: Options, message: str):
    with pytest.raises(SettingsError, match=message):
        gateway_settings(options, {})


def test_models_are_auto_names_and_aliases_once_each_with_their_owner():
    routes = (route("small"), route("small", "ollama"), route("large", "anthropic"))
    settings = Settings(routes=routes, aliases={"best": "large"})

    found = models_of(settings, 7)

    assert [(model["id"], model["owned_by"]) for model in found] == [
        ("auto", "weir"),
        ("small", "openai"),
        ("large", "anthropic"),
        ("best", "anthropic"),
    ]
    assert found[0] == {"id": "auto", "object": "model", "created": 7, "owned_by": "weir"}


def test_up_takes_the_port_that_is_named_and_else_one_that_is_free(monkeypatch: pytest.MonkeyPatch):
    assert chosen_url({"WEIR_GATEWAY_PORT": "81"}) == "http://127.0.0.1:81"
    monkeypatch.setattr(cli_gateway, "is_free", lambda port: port != 8080)
    for env in ({}, {"WEIR_GATEWAY_PORT": "0"}):
        port = int(chosen_url(env).rpartition(":")[2])
        assert port >= LOWEST
        assert is_free(port)
    assert chosen_url({"WEIR_GATEWAY_HOST": "::1", "WEIR_GATEWAY_PORT": "9"}) == "http://[::1]:9"


def test_the_gateway_of_up_shows_no_key():
    assert child_args("http://127.0.0.1:81", None) == ("--port", "81", "--no-first-key")
    assert child_args("http://[::1]:81", "c.yaml")[-2:] == ("--config", "c.yaml")


def test_without_kafka_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", DEAD)

    code = main(["--port", "0", "--no-first-key"])

    told = capsys.readouterr().err
    assert code == 1
    assert told.startswith(f"weir: no Kafka at {DEAD}")
    assert told.count("\n") == 1


def test_the_command_hands_its_options_on(monkeypatch: pytest.MonkeyPatch):
    got: list[Options] = []
    monkeypatch.setattr(cli_gateway, "serve", lambda options, say: got.append(options) or 3)

    code = run(["gateway", "--port", "9", "--ordinal", "1", "--instances", "3", "--tls-cert", "c"])

    assert (code, got) == (3, [Options(None, None, 9, 1, 3, "c", None)])


def test_a_first_key_is_shown_once_and_none_where_there_are_keys(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    made: list[str | None] = ["lk_1", None]

    async def first_key(cluster: Cluster, env: object) -> str | None:
        return made.pop(0)

    monkeypatch.setattr(cli_gateway, "first_key", first_key)
    cli_gateway.show_first_key(Cluster(), said.append)
    cli_gateway.show_first_key(Cluster(), said.append)

    assert said == ["admin key, shown once: lk_1"]


def test_a_first_key_that_kafka_does_not_take_is_told(monkeypatch: pytest.MonkeyPatch):
    async def first_key(cluster: Cluster, env: object) -> str | None:
        raise Problem(503, "overloaded", "not now")

    monkeypatch.setattr(cli_gateway, "first_key", first_key)

    with pytest.raises(NotReady, match="not now"):
        cli_gateway.show_first_key(Cluster(), str)
