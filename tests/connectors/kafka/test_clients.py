"""Client settings and the probe: what is wrong with Kafka is said in one line, at once."""

import logging
import threading
import time
from datetime import timedelta

import kafka.errors as foreign
import pytest

from connectors.kafka.clients import (
    QuietHandler,
    admin,
    client_settings,
    connection_settings,
    group_name,
    probe,
    quieten_kafka_logs,
)
from connectors.kafka.errors import BadAnswer, BrokerDown, KafkaProblem, NotAllowed, translate
from connectors.kafka.ports import free_port, is_free
from schemas.cluster import Cluster


def test_plain_cluster_needs_no_credentials():
    settings = connection_settings(Cluster(("a:1", "b:2")))

    assert settings["bootstrap_servers"] == ["a:1", "b:2"]
    assert settings["security_protocol"] == "PLAINTEXT"
    assert settings["reconnect_backoff_max_ms"] == 500
    assert not [name for name in settings if name.startswith(("sasl", "ssl"))]


def test_sasl_and_tls_settings_are_passed_on():
    cluster = Cluster(
        security="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        username="u",
        password="p",
        ca_file="ca.pem",
        cert_file="c.pem",
        key_file="k.pem",
    )

    settings = connection_settings(cluster)

    assert settings["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (settings["sasl_plain_username"], settings["sasl_plain_password"]) == ("u", "p")
    assert (settings["ssl_cafile"], settings["ssl_certfile"], settings["ssl_keyfile"]) == (
        "ca.pem",
        "c.pem",
        "k.pem",
    )


def test_system_authorities_are_trusted_where_no_file_is_named():
    assert not [name for name in connection_settings(Cluster(security="SSL")) if name.startswith("ssl_")]


def test_producers_and_consumers_do_not_block_in_their_constructor():
    settings = client_settings(Cluster())

    assert settings["api_version"] == (4, 0)
    assert settings["metrics_enabled"] is False


def test_prefix_stands_before_the_group():
    assert group_name(Cluster(prefix="a.", group="weir")) == "a.weir"


def test_probe_says_the_address_when_nobody_listens():
    port = free_port()

    with pytest.raises(BrokerDown, match=rf"no Kafka at 127\.0\.0\.1:{port} .*start one with `weir up`"):
        probe(Cluster((f"127.0.0.1:{port}",)))


def test_probe_gives_up_on_a_listener_that_never_answers(silent_server: int):
    began_s = time.monotonic()

    with pytest.raises(BrokerDown, match="does not answer"):
        probe(Cluster((f"127.0.0.1:{silent_server}",)), timedelta(milliseconds=500))

    assert time.monotonic() - began_s < 3


def test_probe_of_something_that_is_no_address_says_so():
    with pytest.raises(BadAnswer, match="'nowhere' is not host:port"):
        probe(Cluster(("nowhere",)))


def test_probe_of_no_address_at_all_says_so():
    with pytest.raises(BrokerDown, match="no broker is configured"):
        probe(Cluster(()))


def test_unreadable_certificate_file_is_not_allowed(silent_server: int):
    cluster = Cluster((f"127.0.0.1:{silent_server}",), security="SSL", ca_file="/nonexistent/ca.pem")

    with pytest.raises(NotAllowed, match="certificate"):
        probe(cluster, timedelta(seconds=1))


def test_failed_probes_leave_no_thread_behind():
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(BrokerDown):
            probe(Cluster((f"127.0.0.1:{free_port()}",)))

    assert threading.active_count() == before


@pytest.mark.broker
def test_probe_tries_the_next_address(topics):
    probe(Cluster((f"127.0.0.1:{free_port()}", *topics.cluster.bootstrap)))


@pytest.mark.broker
def test_errors_inside_the_admin_client_are_translated(topics):
    with pytest.raises(BadAnswer, match="answered"), admin(topics.cluster):
        raise foreign.InvalidTopicError("bad name")


@pytest.mark.parametrize(
    ("error", "leaf", "retriable"),
    [
        (foreign.SaslAuthenticationFailedError("no"), NotAllowed, False),
        (foreign.UnsupportedSaslMechanismError("no"), NotAllowed, False),
        (foreign.TopicAuthorizationFailedError("no"), NotAllowed, False),
        (foreign.KafkaConnectionError("Handshake failed: bad certificate"), NotAllowed, False),
        (foreign.InvalidReceiveError("Invalid frame length"), NotAllowed, False),
        (foreign.KafkaConnectionError("gone"), BrokerDown, True),
        (foreign.KafkaTimeoutError(), BrokerDown, True),
        (foreign.KafkaConnectionError("socket disconnected"), BrokerDown, True),
        (foreign.InvalidTopicError("odd"), BadAnswer, False),
        (foreign.NotEnoughReplicasError("few"), BadAnswer, True),
    ],
)
def test_foreign_errors_become_one_of_our_leaves(
    error: foreign.KafkaError, leaf: type[KafkaProblem], retriable: bool
):
    problem = translate(error, "host:1")

    assert type(problem) is leaf
    assert problem.retriable is retriable
    assert "host:1" in str(problem)
    assert "\n" not in str(problem)


def test_every_leaf_has_a_code_of_its_own():
    codes = {leaf.code for leaf in KafkaProblem.__subclasses__()}

    assert len(codes) == len(KafkaProblem.__subclasses__()) == 6


def test_port_in_use_is_not_free(silent_server: int):
    assert not is_free(silent_server)
    assert is_free(free_port())


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _record(text: str, at_s: float, name: str = "kafka.net") -> logging.LogRecord:
    record = logging.LogRecord(name, logging.ERROR, "f", 1, text, (), None)
    record.created = at_s
    return record


@pytest.fixture
def target() -> logging.Logger:
    logger = logging.Logger("target")
    logger.addHandler(_Lines())
    return logger


def _lines(logger: logging.Logger) -> list[str]:
    handler = logger.handlers[0]
    assert isinstance(handler, _Lines)
    return handler.lines


def test_repeated_warning_is_said_once_and_counted(target: logging.Logger):
    handler = QuietHandler(target, timedelta(seconds=10))
    for at_s in (0, 1, 2, 11):
        handler.handle(_record("lost\nat line 2", at_s))

    assert _lines(target) == ["kafka.net: lost", "kafka.net: lost (2 more like it)"]


def test_kinds_of_warnings_are_bounded(target: logging.Logger):
    handler = QuietHandler(target, timedelta(hours=1))
    for number in range(3 * QuietHandler.MOST_KINDS):
        handler.handle(_record(f"odd {number}", 0.0))

    assert len(handler._kinds) <= QuietHandler.MOST_KINDS


def test_kafka_logs_are_quietened_once_per_process(monkeypatch: pytest.MonkeyPatch):
    logger = logging.getLogger("kafka")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)

    quieten_kafka_logs()
    quieten_kafka_logs()

    assert [type(handler) for handler in logger.handlers] == [QuietHandler]
    assert logger.propagate is False
    logger.setLevel(logging.NOTSET)
