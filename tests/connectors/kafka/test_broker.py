"""The embedded broker: start, stop, kill, restart; it dies with its parent; what goes wrong is said."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from kafka import KafkaProducer

from connectors.kafka.broker import BrokerOptions, EmbeddedBroker
from connectors.kafka.clients import client_settings, probe
from connectors.kafka.errors import BrokerDown, BrokerFailed, NotInstalled
from connectors.process.state import start_time
from schemas.cluster import Cluster
from schemas.topics import METRICS, REQUESTS
from tests.support.kafka import fresh_topics, requires, running_broker

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def formatted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has been used and is free."""
    folder = tmp_path_factory.mktemp("formatted")
    with running_broker(folder):
        pass
    return folder


def test_killed_broker_comes_back_with_its_data_and_ends_in_good_order(formatted: Path):
    broker = EmbeddedBroker(formatted, 0)
    broker.start()
    topics = fresh_topics(broker, [REQUESTS])
    topics.produce(REQUESTS, [b"kept"], partition=0)
    first = broker.pid
    broker.kill()
    with pytest.raises(BrokerDown):
        probe(topics.cluster)

    broker.start()

    assert broker.pid != first
    assert [record.value for record in topics.consume(REQUESTS, 1)] == [b"kept"]
    assert broker.stop() is True
    assert broker.poll() is None
    assert broker.stop() is True
    assert broker.log_path.stat().st_size > 0


def test_starting_twice_is_starting_once(broker: EmbeddedBroker):
    pid = broker.pid

    broker.start()

    assert broker.pid == pid


def test_records_of_nine_mebibytes_are_taken(broker: EmbeddedBroker):
    topics = fresh_topics(broker, [METRICS])
    producer = KafkaProducer(**client_settings(topics.cluster), max_request_size=10 * 2**20)
    found = producer.send(topics.name(METRICS), value=bytes(9 * 2**20 - 1024)).get(timeout=20)
    producer.close()

    assert found.offset == 0


PARENT = """
import sys, time, threading
from pathlib import Path
from connectors.kafka.broker import EmbeddedBroker
broker = EmbeddedBroker(Path(sys.argv[1]), 0)
starter = threading.Thread(target=broker.launch)  # a thread that ends must not take the broker with it
starter.start()
starter.join()
broker.wait_ready()
print(broker.pid, broker.port, flush=True)
time.sleep(60)
"""


def test_broker_dies_with_its_parent(formatted: Path):
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PARENT, str(formatted)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, port = map(int, parent.stdout.readline().split())
    assert psutil.Process(pid).name() == "java"
    probe(Cluster((f"127.0.0.1:{port}",)))

    parent.kill()
    parent.wait()
    parent.stdout.close()

    end_s = time.monotonic() + 5
    while start_time(pid) is not None and time.monotonic() < end_s:
        time.sleep(0.02)
    assert start_time(pid) is None


def test_data_folder_serves_one_broker(broker: EmbeddedBroker):
    second = EmbeddedBroker(broker.log_path.parent, 0)

    with pytest.raises(BrokerFailed, match="in use by another broker"):
        second.start()

    probe(Cluster((broker.bootstrap,)))


def test_port_that_is_taken_is_said(broker: EmbeddedBroker, tmp_path: Path):
    with pytest.raises(BrokerFailed, match=f"port {broker.port} is taken"):
        EmbeddedBroker(tmp_path, broker.port).start()


def test_broker_that_is_not_ready_in_time_says_so_and_is_gone(formatted: Path):
    said: list[str] = []
    broker = EmbeddedBroker(
        formatted, 0, options=BrokerOptions(ready_timeout=timedelta(seconds=0.3)), say=said.append
    )

    with pytest.raises(BrokerFailed, match=r"not ready after 0\.3 s .*see .*broker\.log"):
        broker.start()

    assert broker.pid is None


def test_broker_that_ends_at_once_says_why(formatted: Path):
    broker = EmbeddedBroker(formatted, 0, options=BrokerOptions(properties={"num.io.threads": "many"}))

    with pytest.raises(BrokerFailed, match=r"ended with exit code 1: .*num\.io\.threads"):
        broker.start()


def test_data_folder_that_cannot_be_formatted_is_said(tmp_path: Path):
    requires("java", "mvn")
    broker = EmbeddedBroker(tmp_path / "new", 0, options=BrokerOptions(properties={"node.id": "x"}))

    with pytest.raises(BrokerFailed, match="can't be formatted"):
        broker.start()

    assert not (tmp_path / "new" / "log").exists()


def test_broker_that_does_not_stop_in_time_is_killed(formatted: Path):
    options = BrokerOptions(stop_timeout=timedelta(seconds=0.2))
    with running_broker(formatted, options) as broker:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)

        assert broker.stop() is False

        assert broker.pid is None


def test_broker_without_java_says_what_to_install(tmp_path: Path):
    with pytest.raises(NotInstalled, match=r"needs Java 17 or newer; install it .*apt-get install"):
        EmbeddedBroker(tmp_path, 0, env={"PATH": str(tmp_path)}).start()
