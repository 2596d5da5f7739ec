"""How clients of kafka-python are set up, and whether Kafka is there at all.

A constructor of kafka-python blocks for 30 s when nobody answers, and a consumer's leaks a thread; so
`probe` first. It also names a wrong password, which a constructor reports as a timeout.
"""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Generator
from datetime import timedelta
from typing import Any, cast

import kafka.errors as foreign
from kafka import KafkaAdminClient
from kafka.net import selector
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.metadata import MetadataRequest

from connectors.kafka.errors import (
    CERTIFICATE_HINT,
    DOWN_HINT,
    BadAnswer,
    BrokerDown,
    KafkaProblem,
    NotAllowed,
    translate,
)
from connectors.kafka.sockets import close_failed
from schemas.cluster import Cluster

close_failed()

API_VERSION = (4, 0)
"""What clients assume before they have asked; corrected at the first connection to an older broker."""

PROBE_TIMEOUT = timedelta(seconds=5)


def group_name(cluster: Cluster) -> str:
    """The workers' consumer group on this cluster."""
    return cluster.topic(cluster.group)


def address(cluster: Cluster) -> str:
    """The brokers as text, for messages."""
    return ",".join(cluster.bootstrap)


def connection_settings(cluster: Cluster) -> dict[str, Any]:
    """What every kind of client takes: addresses, security, patience. Holds the password: never log it."""
    settings: dict[str, Any] = {
        "bootstrap_servers": list(cluster.bootstrap),
        "security_protocol": cluster.security,
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 500,
        "request_timeout_ms": 30_000,
    }
    if cluster.security.startswith("SASL"):
        settings["sasl_mechanism"] = cluster.sasl_mechanism or "PLAIN"
        settings["sasl_plain_username"] = cluster.username
        settings["sasl_plain_password"] = cluster.password
    if cluster.security.endswith("SSL"):
        files = {
            "ssl_cafile": cluster.ca_file,
            "ssl_certfile": cluster.cert_file,
            "ssl_keyfile": cluster.key_file,
        }
        settings |= {name: path for name, path in files.items() if path is not None}
    return settings


def client_settings(cluster: Cluster) -> dict[str, Any]:
    """What producers and consumers take: the constructor returns at once, and nothing is measured."""
    return connection_settings(cluster) | {"api_version": API_VERSION, "metrics_enabled": False}


def probe(cluster: Cluster, timeout: timedelta = PROBE_TIMEOUT) -> None:
    """Return when a broker answers, knows us and has a cluster.

    Raises:
        BrokerDown: When none does within the time.
        NotAllowed: When it refuses password or certificate.
        BadAnswer: When it answers with something else.
    """
    end_s = time.monotonic() + timeout.total_seconds()
    last: KafkaProblem | None = None
    tls = _tls(cluster)
    for server in cluster.bootstrap:
        try:
            _knock(server, tls, max(0.1, end_s - time.monotonic()))
            _greet(cluster, server, max(0.1, end_s - time.monotonic()))
        except KafkaProblem as problem:
            last = problem
        else:
            return
    raise last or BrokerDown("no broker is configured", hint=DOWN_HINT)


def _tls(cluster: Cluster) -> ssl.SSLContext | None:
    """The certificates as a context; `None` where there is no TLS."""
    if not cluster.security.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=cluster.ca_file)
        if cluster.cert_file is not None:
            context.load_cert_chain(cluster.cert_file, cluster.key_file)
    except OSError as error:  # an `ssl.SSLError` is one too
        files = ", ".join(name for name in (cluster.ca_file, cluster.cert_file, cluster.key_file) if name)
        why = error.strerror or str(error)
        reason = f"the certificates in {files} can't be used: {why}"
        raise NotAllowed(reason, hint=CERTIFICATE_HINT) from error
    return context


def _knock(server: str, tls: ssl.SSLContext | None, timeout_s: float) -> None:
    """Connect and hang up. With TLS shake hands too: kafka-python leaves a socket open where that fails."""
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout_s) as plain:
            if tls is not None:
                tls.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLError as error:
        reason = f"no TLS connection to Kafka at {server}: {error.strerror or error}"
        raise NotAllowed(reason, hint=CERTIFICATE_HINT) from error
    except ValueError as error:
        raise BadAnswer(f"{server!r} is not host:port", hint="set KAFKA_BOOTSTRAP_SERVERS") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise BrokerDown(f"no Kafka at {server} ({why})", hint=DOWN_HINT) from error


def _greet(cluster: Cluster, server: str, timeout_s: float) -> None:
    """Connect, sign in and ask for the cluster, on a connection of its own."""
    net = NetworkSelector()
    settings = connection_settings(cluster) | {"bootstrap_servers": [server]}
    manager = KafkaConnectionManager(net, **settings)
    net.start()
    try:
        brokers = net.run(_ask, manager, timeout_s * 1000)
    except foreign.KafkaError as error:
        raise translate(error, server) from error
    finally:
        manager.close()
        net.stop()
        net.close()
    if not brokers:
        raise BrokerDown(f"Kafka at {server} has no brokers yet", hint="wait a moment")


async def _ask(manager: KafkaConnectionManager, timeout_ms: float) -> int:
    """How many brokers the cluster has."""
    connection = manager.get_connection("bootstrap-0", timeout_ms=timeout_ms, refresh_metadata_on_err=False)
    await manager.wait_for(connection.init_future, timeout_ms)
    answer = await manager.wait_for(connection.send_request(MetadataRequest(topics=[])), timeout_ms)
    return len(answer.brokers)


@contextlib.contextmanager
def admin(cluster: Cluster, timeout: timedelta = PROBE_TIMEOUT) -> Generator[Any]:
    """A `KafkaAdminClient`, closed at the end; errors of kafka-python inside become `KafkaProblem`.

    Untyped, because the stubs that type checkers carry are those of kafka-python 2.

    Raises:
        KafkaProblem: One of its leaves.
    """
    probe(cluster, timeout)
    settings = connection_settings(cluster)
    settings["bootstrap_timeout_ms"] = int(timeout.total_seconds() * 1000)
    try:
        client = KafkaAdminClient(**settings)
    except foreign.KafkaError as error:
        raise translate(error, address(cluster)) from error
    try:
        yield client
    except foreign.KafkaError as error:
        raise translate(error, address(cluster)) from error
    finally:
        client.close()


class QuietHandler(logging.Handler):
    """Passes kafka-python's warnings on as one line each, every kind at most once in `every`.

    kafka-python warns on each attempt to connect: a hundred lines in an outage of 30 s.
    """

    MOST_KINDS = 256

    def __init__(self, target: logging.Logger, every: timedelta = timedelta(seconds=10)) -> None:
        super().__init__(logging.WARNING)
        self._target = target
        self._every_s = every.total_seconds()
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record on, or count it."""
        kind = (record.name, str(record.msg)[:80])
        said_s, held = self._kinds.get(kind, (float("-inf"), 0))
        if record.created - said_s < self._every_s:
            self._kinds[kind] = (said_s, held + 1)
            return
        if len(self._kinds) >= self.MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (record.created, 0)
        text = (record.getMessage().splitlines() or [""])[0][:300]
        more = f" ({held} more like it)" if held else ""
        self._target.log(min(record.levelno, logging.WARNING), "%s: %s%s", record.name, text, more)


def quieten_kafka_logs(every: timedelta = timedelta(seconds=10)) -> None:
    """Let kafka-python's warnings through as rate-limited lines of `weir.kafka`; once per process."""
    logger = logging.getLogger("kafka")
    if any(isinstance(handler, QuietHandler) for handler in logger.handlers):
        return
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)  # it complains when a client is closed
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)  # it complains of a machine that is busy
    logger.addHandler(QuietHandler(logging.getLogger("weir.kafka"), every))
    _spare_unwritten_lines()


def _spare_unwritten_lines() -> None:
    """A twentieth of what kafka-python does is asking whether a line is to be written; here none ever is."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("kafka") and isinstance(logger, logging.Logger):
            logger.debug = _write_nothing
    cast(Any, selector).log_trace = _write_nothing


def _write_nothing(*_: object, **__: object) -> None:
    pass
