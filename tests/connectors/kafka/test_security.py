"""Passwords and certificates against the real broker: SASL PLAIN and SCRAM, and TLS."""

import subprocess
import threading
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from connectors.kafka.broker import BrokerOptions, Listener
from connectors.kafka.clients import admin, client_settings, probe
from connectors.kafka.errors import KafkaProblem, NotAllowed
from connectors.kafka.ports import free_port
from connectors.kafka.topics import ensure_topics
from schemas.cluster import Cluster
from schemas.topics import METRICS
from tests.support.kafka import requires, running_broker

pytestmark = pytest.mark.broker
USER, PASSWORD = "alice", "correct-horse"
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class Doors:
    """One broker with a door for each kind of security."""

    plain: Cluster
    scram: Cluster
    tls: Cluster
    mutual: Cluster


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key, as PEM files."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def _properties(folder: Path) -> dict[str, str]:
    certificate, key = _certificate(folder, "broker")
    client, _ = _certificate(folder, "client")
    store = folder / "store.pem"
    store.write_text(key.read_text() + certificate.read_text())
    properties = {
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "listener.name.sasl.plain.sasl.jaas.config": (
            f"{MODULES}.plain.PlainLoginModule required user_{USER}={PASSWORD};"
        ),
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
    }
    for door in ("tls", "mutual"):
        properties |= {
            f"listener.name.{door}.ssl.keystore.type": "PEM",
            f"listener.name.{door}.ssl.keystore.location": str(store),
        }
    return properties | {
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.truststore.type": "PEM",
        "listener.name.mutual.ssl.truststore.location": str(client),
    }


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Generator[Doors]:
    """A broker with SASL and TLS doors, and the right keys to them."""
    requires("openssl")
    folder = tmp_path_factory.mktemp("doors")
    listeners = (
        Listener("SASL", "SASL_PLAINTEXT", free_port()),
        Listener("TLS", "SSL", free_port()),
        Listener("MUTUAL", "SSL", free_port()),
    )
    options = BrokerOptions(properties=_properties(folder), listeners=listeners)
    with running_broker(folder / "data", options) as broker:
        sasl, tls, mutual = (Cluster((f"127.0.0.1:{door.port}",)) for door in listeners)
        with admin(Cluster((broker.bootstrap,))) as client:
            client.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_256, PASSWORD)]
            )
        sasl = replace(sasl, security="SASL_PLAINTEXT", username=USER, password=PASSWORD)
        ca_file = str(folder / "broker.pem")
        keys = {"cert_file": str(folder / "client.pem"), "key_file": str(folder / "client.key")}
        yield Doors(
            plain=replace(sasl, sasl_mechanism="PLAIN", prefix="plain."),
            scram=replace(sasl, sasl_mechanism="SCRAM-SHA-256", prefix="scram."),
            tls=replace(tls, security="SSL", ca_file=ca_file, prefix="tls."),
            mutual=replace(mutual, security="SSL", ca_file=ca_file, prefix="mutual.", **keys),
        )


@pytest.mark.parametrize("door", ["plain", "scram", "tls", "mutual"])
def test_right_key_opens_the_door_for_probe_admin_and_producer(doors: Doors, door: str):
    cluster: Cluster = getattr(doors, door)
    probe(cluster)

    report = ensure_topics(cluster, [METRICS])
    producer = KafkaProducer(**client_settings(cluster))
    sent = producer.send(cluster.topic(METRICS.name), value=b"x").get(timeout=20)
    producer.close()

    assert report.created == (cluster.topic(METRICS.name),)
    assert sent.offset == 0


@pytest.mark.parametrize("door", ["plain", "scram"])
def test_wrong_password_is_said_at_once_and_leaves_no_thread(doors: Doors, door: str):
    cluster: Cluster = replace(getattr(doors, door), password="wrong")
    threads = threading.active_count()

    # under load the broker's words and its hanging up are read together, and kafka-python drops the words
    with pytest.raises(KafkaProblem, match=r"password.*KAFKA_SASL_USERNAME|KAFKA_SASL_MECHANISM.*password"):
        probe(cluster)

    assert threading.active_count() == threads


def test_broker_that_hangs_up_on_a_wrong_mechanism_or_protocol_points_at_the_settings(doors: Doors):
    for wrong in (
        replace(doors.scram, sasl_mechanism="SCRAM-SHA-512"),
        replace(doors.scram, security="PLAINTEXT"),
        replace(doors.tls, security="PLAINTEXT"),
    ):
        with pytest.raises(KafkaProblem, match=r"KAFKA_SASL_MECHANISM|KAFKA_SECURITY_PROTOCOL"):
            probe(wrong)


def test_broker_with_an_unknown_certificate_is_not_trusted(doors: Doors):
    with pytest.raises(NotAllowed, match=r"no TLS connection .*certificate verify failed"):
        probe(replace(doors.tls, ca_file=None))


def test_client_without_a_certificate_is_not_let_in(doors: Doors):
    with pytest.raises(KafkaProblem, match=r"127\.0\.0\.1"):
        probe(replace(doors.mutual, cert_file=None, key_file=None))
